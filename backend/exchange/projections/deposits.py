"""Table `deposits`: what was credited, by the vault's numbers."""

from dataclasses import dataclass

from exchange.core.events import DepositCredited, Event
from exchange.projections.page import Selection, column_names
from exchange.projections.place import Place
from exchange.stores.postgres import Connection


@dataclass(frozen=True, slots=True)
class DepositRow:
    """A credited deposit. Pending ones are not in the journal yet and so not here."""

    chain_id: int
    vault: str
    number: int
    account_id: int
    owner: str
    asset_id: int
    token: str
    amount_atoms: int
    tx_hash: str
    log_index: int
    block_number: int
    seq: int
    event_index: int
    time_ns: int


def deposits_of(account_id: int, *, asset_id: int | None = None) -> Selection[DepositRow]:
    """The account's credited deposits. Key: (seq, event_index)."""
    conditions = [("asset_id = {}", asset_id)]
    return Selection(DepositRow, "deposits", ("seq", "event_index"), "time_ns", account_id, conditions)


class NewDeposits:
    """The deposits of some batches of the journal."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []

    def take(self, event: Event, place: Place) -> None:
        if isinstance(event, DepositCredited):
            self._rows.append(
                (
                    event.chain_id,
                    event.vault,
                    event.number,
                    event.account_id,
                    event.owner,
                    event.asset_id,
                    event.token,
                    event.amount_atoms,
                    event.tx_hash,
                    event.log_index,
                    event.block_number,
                    *place,
                )
            )

    async def write(self, connection: Connection) -> None:
        if self._rows:
            await connection.copy_records_to_table(
                "deposits", columns=column_names(DepositRow), records=self._rows
            )
