"""The comparison: every promise against what the journal says, and the journal against its own money.

Pure functions from records to findings, so that tests can show each of them failing.

    lost        an acknowledged order, cancel or fill that is not there, or not as it was acknowledged
    duplicated  one client order id with two orders, one trade made twice, one order ended twice
    wrong       anything else that must not be: a refused order that exists, money made or destroyed
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from scripts.crash.history import OPEN, History, OrderHistory
from scripts.crash.promises import Batch, Cancellation, MassCancellation, Outcome, Placement, Promises

from exchange.core.accounts import FEES_ACCOUNT, FIRST_USER_ACCOUNT
from exchange.core.events import OrderAccepted, Trade
from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.core.words import EndReason, OrderType

CREATED, KNOWN = 201, 200
EXPECTED_REFUSALS = frozenset(
    {
        "insufficient_funds",
        "post_only_would_cross",
        "fill_or_kill_unfillable",
        "good_till_invalid",  # sent again when its time was past
    }
)
"""What the drill's own orders may run into."""


class Kind(Enum):
    """What went wrong with a promise."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be."""

    kind: Kind
    what: str

    @property
    def subject(self) -> str:
        """What it is about, without the details after the colon: found again at the end, it counts once."""
        return self.what.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.what}"


def lost(what: str) -> Finding:
    """An acknowledgement that did not last."""
    return Finding(Kind.LOST, what)


def duplicated(what: str) -> Finding:
    """Something that happened twice."""
    return Finding(Kind.DUPLICATED, what)


def wrong(what: str) -> Finding:
    """Anything else that must not be."""
    return Finding(Kind.WRONG, what)


def compare(promises: Promises, history: History, market: Market) -> list[Finding]:
    """One cycle's promises against everything that is committed."""
    findings = [wrong(oddity) for oddity in promises.oddities]
    for placement in promises.placements:
        findings += _placement(placement, history, market)
    for cancellation in promises.cancellations:
        findings += _cancellation(cancellation, history)
    for mass in promises.mass_cancellations:
        findings += _mass_cancellation(mass, history)
    for batch in promises.batches:
        findings += _batch(batch, history)
    return findings


def compare_journal(history: History, sent: Iterable[tuple[int, str]]) -> list[Finding]:
    """The journal against itself, and against the (account, client order id) of every order ever sent."""
    findings = [wrong(fault) for fault in history.faults]
    known = set(sent)
    for (account_id, client_order_id), order_ids in history.order_ids.items():
        if len(order_ids) > 1:
            findings.append(duplicated(f"{client_order_id} of account {account_id}: orders {order_ids}"))
        if (account_id, client_order_id) not in known:
            findings.append(wrong(f"nobody sent {client_order_id} of account {account_id}"))
    findings += [
        duplicated(f"trade {trade_id} was made again: {made.times} times")
        for trade_id, made in history.trades.items()
        if made.times > 1
    ]
    for order_id, order in history.orders.items():
        if order.times_ended > 1:
            findings.append(duplicated(f"order {order_id} ended again: {order.times_ended} times"))
        if order.status == OPEN and not order.rested:
            findings.append(wrong(f"order {order_id} neither rests nor has ended"))
    return findings


def compare_money(history: History) -> list[Finding]:
    """Per asset the accounts sum to zero, users and fees have what came in, nobody has less than nothing."""
    findings: list[Finding] = []
    for asset_id, asset in history.assets.items():
        everyone = sum(sum(atoms) for (_, held), atoms in history.balances.items() if held == asset_id)
        if everyone != 0:
            findings.append(wrong(f"all {asset.symbol} balances sum to {everyone} atoms, not to zero"))
        owned = sum(
            sum(atoms)
            for (account_id, held), atoms in history.balances.items()
            if held == asset_id and (account_id >= FIRST_USER_ACCOUNT or account_id == FEES_ACCOUNT)
        )
        if owned != history.deposited[asset_id]:
            findings.append(
                wrong(f"{history.deposited[asset_id]} {asset.symbol} atoms came in, {owned} are owned")
            )
    for (account_id, asset_id), (available_atoms, held_atoms) in history.balances.items():
        if account_id < FIRST_USER_ACCOUNT and account_id != FEES_ACCOUNT:
            continue
        where = f"account {account_id} in asset {asset_id}"
        if available_atoms < 0 or held_atoms < 0:
            findings.append(wrong(f"{where} has {available_atoms} available and {held_atoms} held atoms"))
        by_trades = history.totals[account_id, asset_id]
        if available_atoms + held_atoms != by_trades:
            findings.append(
                wrong(
                    f"{where} has {available_atoms + held_atoms} atoms, its deposits and trades {by_trades}"
                )
            )
        if held_atoms and not history.open_orders(account_id):
            findings.append(wrong(f"{where} holds {held_atoms} atoms for no order"))
    return findings


def _placement(placement: Placement, history: History, market: Market) -> list[Finding]:
    name = f"order {placement.client_order_id} of account {placement.account_id}"
    order_ids = history.order_ids.get((placement.account_id, placement.client_order_id), [])
    if placement.outcome is Outcome.REFUSED:
        findings = [wrong(f"{name} was refused and is order {order_ids}")] if order_ids else []
        unexpected = [code for code in placement.refusals if code not in EXPECTED_REFUSALS]
        return [*findings, *(wrong(f"{name} was refused: {code}") for code in unexpected)]
    if placement.outcome is Outcome.UNKNOWN:
        return []  # whichever: the answer never came, and nothing was promised
    if not order_ids:
        return [lost(f"{name}, acknowledged as {placement.order_id}, is not in the journal")]
    findings = []
    for answer in placement.answers:
        if int(answer["order"]["order_id"]) not in order_ids:
            findings.append(
                lost(f"{name}, acknowledged as {answer['order']['order_id']}, is order {order_ids}")
            )
            continue
        order = history.orders[int(answer["order"]["order_id"])]
        if differs := _content_differs(placement, order.accepted, market):
            findings.append(lost(f"{name} is in the journal with another {differs}"))
        if answer["status"] == CREATED:
            findings += _creation(name, answer, history, market)
    if placement.refusals:
        findings.append(wrong(f"{name} was acknowledged and also refused: {placement.refusals}"))
    return findings


def _content_differs(placement: Placement, accepted: OrderAccepted, market: Market) -> str:
    for name, asked, journaled in (
        ("account", placement.account_id, accepted.account_id),
        ("market", market.market_id, accepted.market_id),
        ("side", placement.side, accepted.side),
        ("type", OrderType.LIMIT, accepted.order_type),
        ("time in force", placement.time_in_force, accepted.time_in_force),
        ("price", placement.price_ticks, accepted.price_ticks),
        ("size", placement.size_lots, accepted.size_lots),
        ("good-till time", placement.good_till_ms * 1_000_000, accepted.good_till_ns),
    ):
        if asked != journaled:
            return f"{name}: {journaled}, not {asked}"
    return ""


def _creation(name: str, answer: dict[str, Any], history: History, market: Market) -> list[Finding]:
    """The first acknowledgement: its seq, and each of the fills that it told of."""
    order_id, seq = int(answer["order"]["order_id"]), answer["seq"]
    findings = []
    if seq != order_id:
        findings.append(lost(f"{name} was acknowledged with seq {seq}, the journal has it at {order_id}"))
    told = {int(fill["trade_id"]): fill for fill in answer["fills"]}
    made = [
        trade_id for trade_id in history.fills_of.get(order_id, []) if history.trades[trade_id].seq == seq
    ]
    for trade_id, fill in told.items():
        if trade_id not in made:
            findings.append(lost(f"fill {trade_id} of {name} is not in the journal"))
        elif differs := _fill_differs(fill, history.trades[trade_id].trade, market):
            findings.append(lost(f"fill {trade_id} of {name} is in the journal with another {differs}"))
    findings += [
        wrong(f"{name} was not told of its fill {trade_id}") for trade_id in made if trade_id not in told
    ]
    return findings


def _fill_differs(fill: dict[str, Any], trade: Trade, market: Market) -> str:
    for name, journaled in (
        ("price", market.format_price(trade.price_ticks)),
        ("size", market.format_size(trade.size_lots)),
        ("amount", format_atoms(trade.quote_atoms, market.quote_decimals)),
        ("fee", format_atoms(trade.taker_fee_atoms, market.quote_decimals)),
    ):
        if Decimal(fill[name]) != Decimal(journaled):
            return f"{name}: {journaled}, not {fill[name]}"
    return ""


def _cancellation(cancellation: Cancellation, history: History) -> list[Finding]:
    if cancellation.outcome is Outcome.UNKNOWN:
        return []
    order = history.orders.get(cancellation.order_id)
    if order is None:
        return [lost(f"order {cancellation.order_id}, which answered to a cancel, is not in the journal")]
    if cancellation.outcome is Outcome.REFUSED:
        # "not open any more" was the answer, so it must not be open
        return [wrong(f"order {cancellation.order_id} was said to be over")] if order.status == OPEN else []
    return _ended_by_cancel(order, cancellation.order_id, cancellation.seq)


def _mass_cancellation(mass: MassCancellation, history: History) -> list[Finding]:
    findings: list[Finding] = []
    for order_id in mass.order_ids:
        order = history.orders.get(order_id)
        if order is None or order.accepted.account_id != mass.account_id:
            findings.append(lost(f"order {order_id}, cancelled with all others, is not in the journal"))
        else:
            findings += _ended_by_cancel(order, order_id, mass.seq)
    return findings


def _batch(batch: Batch, history: History) -> list[Finding]:
    """A batch is committed whole or not at all, also when nobody was told which."""
    names = [placement.client_order_id for placement in batch.placements]
    rows = {history.first_row.get((batch.account_id, name)) for name in names}
    return [] if len(rows) == 1 else [wrong(f"the batch of {names[0]} is torn: in rows {rows}")]


def _ended_by_cancel(order: OrderHistory, order_id: int, seq: int) -> list[Finding]:
    if order.status == EndReason.CANCELLED and seq in {order.ended_seq, 0}:
        return []
    return [lost(f"the cancel {seq} of order {order_id} is undone: {order.status} by {order.ended_seq}")]
