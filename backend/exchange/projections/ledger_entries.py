"""Table `ledger_entries`: every movement of every balance, with the balance after it.

Double entry: per event and asset the entries of all accounts, the system's included, sum to zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.core.events import (
    DepositCredited,
    Event,
    FundsTransferred,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    SelfTradePrevented,
    Trade,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
)
from exchange.core.markets import Market
from exchange.core.movements import Movement, movements
from exchange.projections.balances import load_balances, store_balances
from exchange.projections.page import Selection, column_names
from exchange.projections.place import Place
from exchange.stores.postgres import Connection


@dataclass(frozen=True, slots=True)
class LedgerEntryRow:
    """One movement. The plain amounts are the balance after it, the deltas what it changed.

    `kind` and `reference` say why: order_hold, order_amend and order_release (order id), trade (trade id),
    self_trade_prevented (maker's:taker's order id), transfer (client transfer id), deposit
    (chain id:vault:number), withdrawal, withdrawal_settled and withdrawal_refunded (withdrawal id).
    """

    account_id: int
    seq: int
    event_index: int
    entry_index: int
    time_ns: int
    asset_id: int
    available_delta_atoms: int
    held_delta_atoms: int
    available_atoms: int
    held_atoms: int
    kind: str
    reference: str


def entries_of(account_id: int) -> Selection[LedgerEntryRow]:
    """The account's entries. Key: (seq, event_index, entry_index)."""
    key = ("seq", "event_index", "entry_index")
    return Selection(LedgerEntryRow, "ledger_entries", key, "time_ns", account_id)


class NewEntries:
    """The movements of some batches of the journal, and with them the balances."""

    def __init__(self, markets: Mapping[int, Market]) -> None:
        """`markets` are those of the events, and kept up to date by who hands them in."""
        self._markets = markets
        self._entries: list[tuple[Movement, Place, int, str, str]] = []

    def take(self, event: Event, place: Place) -> None:
        moved = movements(event, self._markets)
        if moved:
            kind, reference = _reason(event)
            for entry_index, movement in enumerate(moved):
                self._entries.append((movement, place, entry_index, kind, reference))

    async def write(self, connection: Connection) -> None:
        """Adds the entries and brings the balances up to date."""
        if not self._entries:
            return
        seqs = {
            (movement.account_id, movement.asset_id): place.seq for movement, place, _, _, _ in self._entries
        }
        balances = await load_balances(connection, seqs)
        rows: list[tuple[object, ...]] = []
        for movement, place, entry_index, kind, reference in self._entries:
            balance = balances[movement.account_id, movement.asset_id]
            balance.available_atoms += movement.available_atoms
            balance.held_atoms += movement.held_atoms
            rows.append(
                (
                    movement.account_id,
                    place.seq,
                    place.event_index,
                    entry_index,
                    place.time_ns,
                    movement.asset_id,
                    movement.available_atoms,
                    movement.held_atoms,
                    balance.available_atoms,
                    balance.held_atoms,
                    kind,
                    reference,
                )
            )
        await connection.copy_records_to_table(
            "ledger_entries", columns=column_names(LedgerEntryRow), records=rows
        )
        await store_balances(connection, balances, seqs)


def _reason(event: Event) -> tuple[str, str]:
    match event:
        case OrderAccepted(order_id=order_id):
            return "order_hold", str(order_id)
        case OrderEnded(order_id=order_id):
            return "order_release", str(order_id)
        case Trade(trade_id=trade_id):
            return "trade", str(trade_id)
        case OrderAmended(order_id=order_id):
            return "order_amend", str(order_id)
        case SelfTradePrevented(maker_order_id=maker_order_id, taker_order_id=taker_order_id):
            return "self_trade_prevented", f"{maker_order_id}:{taker_order_id}"
        case FundsTransferred(client_transfer_id=client_transfer_id):
            return "transfer", client_transfer_id
        case DepositCredited(chain_id=chain_id, vault=vault, number=number):
            return "deposit", f"{chain_id}:{vault}:{number}"
        case WithdrawalRequested(withdrawal_id=withdrawal_id):
            return "withdrawal", withdrawal_id
        case WithdrawalSettled(withdrawal_id=withdrawal_id):
            return "withdrawal_settled", withdrawal_id
        case WithdrawalRefunded(withdrawal_id=withdrawal_id):
            return "withdrawal_refunded", withdrawal_id
        case _:
            raise AssertionError(f"an event that moves balances for no known reason: {event}")
