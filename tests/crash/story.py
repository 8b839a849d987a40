"""A short, true story for the drill's comparison: a journal, and what its clients were told meanwhile.

Account 1000 offers 5 lots at 2000.00; account 1001 sends a buy of 3 lots, which takes 3 of them, and sends it
again; 1000 cancels the rest; 1001 is refused an order it can not pay for, and cancels everything it has, one
resting buy. Tests tell it with something missing, doubled or changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.crash.history import History
from scripts.crash.promises import Batch, Cancellation, MassCancellation, Outcome, Placement, Promises

from exchange.core.commands import Command, OpenAccount, PlaceOrder
from exchange.core.events import (
    AccountOpened,
    AllCancelled,
    AssetListed,
    DepositCredited,
    Event,
    MarketOpened,
    OrderAccepted,
    OrderEnded,
    OrderKnown,
    OrderRested,
    Rejected,
    Trade,
)
from exchange.core.markets import Market
from exchange.core.rejects import RejectReason
from exchange.core.words import EndReason, OrderType, SelfTradePrevention, Side, TimeInForce
from exchange.journal.rows import JournalRow

SELLER, BUYER = 1_000, 1_001
ETH, USDC = 1, 2
ETH_ATOMS, USDC_ATOMS = 10**18, 10**12
LOT_ATOMS = 10**14
TICKS = 200_000
QUOTE_ATOMS, MAKER_FEE_ATOMS, TAKER_FEE_ATOMS = 3 * TICKS, 600, 1_200
OFFER, TAKE, RESTING = 8, 9, 13
"""Order ids."""
VAULT = "0x" + "aa" * 20


def accepted(
    order_id: int, account_id: int, name: str, side: Side, ticks: int, lots: int, hold_atoms: int
) -> OrderAccepted:
    """A limit order."""
    return OrderAccepted(
        order_id=order_id,
        account_id=account_id,
        market_id=1,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        self_trade_prevention=SelfTradePrevention.CANCEL_NEWEST,
        price_ticks=ticks,
        size_lots=lots,
        hold_asset_id=USDC if side is Side.BUY else ETH,
        hold_atoms=hold_atoms,
        maker_fee_bps=10,
        taker_fee_bps=20,
        client_order_id=name,
    )


def rested(order: OrderAccepted) -> OrderRested:
    return OrderRested(order.order_id, order.account_id, 1, order.side, order.price_ticks, order.size_lots)


def ended(order: OrderAccepted, reason: EndReason, remaining_lots: int, released_atoms: int) -> OrderEnded:
    return OrderEnded(
        order_id=order.order_id,
        account_id=order.account_id,
        market_id=1,
        side=order.side,
        price_ticks=order.price_ticks,
        reason=reason,
        remaining_lots=remaining_lots,
        released_asset_id=order.hold_asset_id,
        released_atoms=released_atoms,
        was_resting=reason is EndReason.CANCELLED,
    )


def deposited(account_id: int, asset_id: int, atoms: int, number: int) -> DepositCredited:
    return DepositCredited(
        account_id, asset_id, atoms, 31337, VAULT, number, "0x" + "01" * 20, VAULT, "0x" + "02" * 32, 0, 1
    )  # fmt: skip


def listed(asset_id: int, symbol: str, decimals: int) -> AssetListed:
    return AssetListed(asset_id, symbol, decimals, 31337, VAULT, VAULT, 0, 1, listed=True)


MARKET_OPENED = MarketOpened(1, "ETH-USDC", ETH, USDC, 1, 2, LOT_ATOMS, 1, 18, 6, 10, 20)
OFFERED = accepted(OFFER, SELLER, "offer", Side.SELL, TICKS, 5, 5 * LOT_ATOMS)
TAKEN = accepted(TAKE, BUYER, "take", Side.BUY, TICKS, 3, QUOTE_ATOMS + TAKER_FEE_ATOMS)
RESTED = accepted(RESTING, BUYER, "rest", Side.BUY, 1_000, 10, 10_020)
TRADE = Trade(
    trade_id=1,
    market_id=1,
    maker_order_id=OFFER,
    taker_order_id=TAKE,
    maker_account_id=SELLER,
    taker_account_id=BUYER,
    taker_side=Side.BUY,
    price_ticks=TICKS,
    size_lots=3,
    base_atoms=3 * LOT_ATOMS,
    quote_atoms=QUOTE_ATOMS,
    maker_fee_atoms=MAKER_FEE_ATOMS,
    taker_fee_atoms=TAKER_FEE_ATOMS,
    buyer_released_atoms=0,
    maker_remaining_lots=2,
    taker_remaining_lots=0,
)


def journal() -> dict[int, list[Event]]:
    """The events of each command, by seq."""
    return {
        1: [listed(ETH, "ETH", 18)],
        2: [listed(USDC, "USDC", 6)],
        3: [MARKET_OPENED],
        4: [AccountOpened(SELLER, "0x" + "01" * 20, 0)],
        5: [AccountOpened(BUYER, "0x" + "02" * 20, 0)],
        6: [deposited(SELLER, ETH, ETH_ATOMS, 1)],
        7: [deposited(BUYER, USDC, USDC_ATOMS, 2)],
        OFFER: [OFFERED, rested(OFFERED)],
        TAKE: [TAKEN, TRADE, ended(TAKEN, EndReason.FILLED, 0, 0)],
        10: [OrderKnown(TAKE, BUYER, 1, "filled", 3, 0)],
        11: [ended(OFFERED, EndReason.CANCELLED, 2, 2 * LOT_ATOMS)],
        12: [Rejected(RejectReason.INSUFFICIENT_FUNDS)],
        RESTING: [RESTED, rested(RESTED)],
        14: [ended(RESTED, EndReason.CANCELLED, 10, 10_020), AllCancelled(BUYER, 1, 1)],
    }


ROWS = ((1, 7), (8, 8), (9, 10), (11, 11), (12, 14))
"""First and last seq of each row. The refused order and the one that rests are a batch."""


def history_of(events: dict[int, list[Event]], rows: Sequence[tuple[int, int]] = ROWS) -> History:
    """The journal with these events; those beyond the rows have a row each."""
    history = History()
    beyond = range(rows[-1][1] + 1, max(events) + 1)
    for first, last in (*rows, *((seq, seq) for seq in beyond)):
        history.take(row(first, [events.get(seq, []) for seq in range(first, last + 1)]))
    return history


def row(seq_first: int, events: list[list[Event]], hash_prev: bytes | None = None) -> JournalRow:
    """A row that continues the one before."""
    seq_last = seq_first + len(events) - 1
    commands = [command(seq) for seq in range(seq_first, seq_last + 1)]
    before = _hash(seq_first - 1) if hash_prev is None else hash_prev
    return JournalRow(seq_first, seq_last, 1, seq_last, 1, commands, events, before, _hash(seq_last))


def command(seq: int) -> Command:
    """The order commands of the story; what the others are is of no interest."""
    orders: dict[int, tuple[int, Side, int, int, str]] = {
        OFFER: (SELLER, Side.SELL, TICKS, 5, "offer"),
        TAKE: (BUYER, Side.BUY, TICKS, 3, "take"),
        12: (BUYER, Side.BUY, TICKS, 10**9, "poor"),
        RESTING: (BUYER, Side.BUY, 1_000, 10, "rest"),
    }
    if seq not in orders:
        return OpenAccount("0x" + "01" * 20)
    account_id, side, ticks, lots, name = orders[seq]
    return PlaceOrder(account_id, 1, side, OrderType.LIMIT, TimeInForce.GTC, ticks, lots, name, 10**9)


def _hash(seq: int) -> bytes:
    return seq.to_bytes(32, "big")


def market_of(history: History) -> Market:
    return history.markets[1]


def answer(status: int, seq: int, order_id: int, fills: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An acknowledgement, as far as it is looked at."""
    return {"status": status, "seq": seq, "order": {"order_id": str(order_id)}, "fills": fills or []}


def fill() -> dict[str, Any]:
    return {"trade_id": "1", "price": "2000", "size": "0.0003", "amount": "0.6", "fee": "0.0012"}


@dataclass
class Told:
    """What the clients know, each thing by a name of its own."""

    offer: Placement = field(
        default_factory=lambda: Placement(
            SELLER, "offer", "sell", "gtc", TICKS, 5, Outcome.ACKNOWLEDGED, [answer(201, OFFER, OFFER)]
        )
    )
    take: Placement = field(
        default_factory=lambda: Placement(
            BUYER, "take", "buy", "gtc", TICKS, 3, Outcome.ACKNOWLEDGED,
            [answer(201, TAKE, TAKE, [fill()]), answer(200, 10, TAKE)],
        )
    )  # fmt: skip
    cancel: Cancellation = field(
        default_factory=lambda: Cancellation(SELLER, OFFER, Outcome.ACKNOWLEDGED, 11)
    )
    refused: Placement = field(
        default_factory=lambda: Placement(
            BUYER, "poor", "buy", "gtc", TICKS, 10**9, Outcome.REFUSED, [], ["insufficient_funds"]
        )
    )
    rest: Placement = field(
        default_factory=lambda: Placement(
            BUYER, "rest", "buy", "gtc", 1_000, 10, Outcome.ACKNOWLEDGED, [answer(201, RESTING, RESTING)]
        )
    )
    cancel_all: MassCancellation = field(default_factory=lambda: MassCancellation(BUYER, 14, [RESTING]))

    @property
    def batch(self) -> Batch:
        return Batch(BUYER, [self.refused, self.rest], [])

    @property
    def promises(self) -> Promises:
        return Promises(
            [self.offer, self.take, self.refused, self.rest],
            [self.cancel],
            [self.cancel_all],
            [self.batch],
        )

    @property
    def sent(self) -> list[tuple[int, str]]:
        return [(placement.account_id, placement.client_order_id) for placement in self.promises.placements]
