"""Table `transfers`: funds moved between two accounts of an owner, one row for each of the two."""

from dataclasses import dataclass

from exchange.core.events import Event, FundsTransferred
from exchange.projections.page import Selection, column_names
from exchange.projections.place import Place
from exchange.stores.postgres import Connection


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer as one of its accounts sees it: `direction` is "in" or "out"."""

    account_id: int
    seq: int
    event_index: int
    time_ns: int
    direction: str
    other_account_id: int
    asset_id: int
    amount_atoms: int
    client_transfer_id: str


def transfers_of(account_id: int) -> Selection[TransferRow]:
    """The account's transfers, in and out. Key: (seq, event_index)."""
    return Selection(TransferRow, "transfers", ("seq", "event_index"), "time_ns", account_id)


class NewTransfers:
    """The transfers of some batches of the journal."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []

    def take(self, event: Event, place: Place) -> None:
        if not isinstance(event, FundsTransferred):
            return
        giver, receiver = event.from_account_id, event.to_account_id
        what = (event.asset_id, event.amount_atoms, event.client_transfer_id)
        self._rows.append((giver, *place, "out", receiver, *what))
        self._rows.append((receiver, *place, "in", giver, *what))

    async def write(self, connection: Connection) -> None:
        if self._rows:
            await connection.copy_records_to_table(
                "transfers", columns=column_names(TransferRow), records=self._rows
            )
