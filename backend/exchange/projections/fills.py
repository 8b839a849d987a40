"""Table `fills`: both sides of every trade, one row for the maker and one for the taker."""

from dataclasses import dataclass

from exchange.core.events import Event, Trade
from exchange.core.words import Side
from exchange.projections.page import Selection, column_names
from exchange.projections.place import Place
from exchange.stores.postgres import Connection


@dataclass(frozen=True, slots=True)
class FillRow:
    """One side of a trade, as seen by its account. `fee_atoms` is in the quote asset."""

    account_id: int
    trade_id: int
    seq: int
    event_index: int
    time_ns: int
    order_id: int
    market_id: int
    role: str
    side: str
    price_ticks: int
    size_lots: int
    base_atoms: int
    quote_atoms: int
    fee_atoms: int


def fills_of(
    account_id: int, *, market_id: int | None = None, order_id: int | None = None
) -> Selection[FillRow]:
    """The account's fills. Key: (trade_id,); no account is on both sides of a trade."""
    filters = [("market_id = {}", market_id)]
    if order_id is None:
        return Selection(FillRow, "fills", ("trade_id",), "time_ns", account_id, filters=filters)
    # Whose order it is, is asked for once and not of each of its fills.
    owned = [("(SELECT o.account_id FROM orders AS o WHERE o.order_id = {}) = {}", order_id, account_id)]
    within = ("order_id", order_id)
    return Selection(FillRow, "fills", ("trade_id",), "time_ns", account_id, owned, filters, within)


class NewFills:
    """The fills of some batches of the journal."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []

    def take(self, event: Event, place: Place) -> None:
        if not isinstance(event, Trade):
            return
        taker_side = event.taker_side
        maker_side = Side.SELL if taker_side is Side.BUY else Side.BUY
        when = (event.trade_id, place.seq, place.event_index, place.time_ns)
        what = (event.price_ticks, event.size_lots, event.base_atoms, event.quote_atoms)
        maker = (event.maker_order_id, event.market_id, "maker", maker_side.value)
        taker = (event.taker_order_id, event.market_id, "taker", taker_side.value)
        self._rows.append((event.maker_account_id, *when, *maker, *what, event.maker_fee_atoms))
        self._rows.append((event.taker_account_id, *when, *taker, *what, event.taker_fee_atoms))

    async def write(self, connection: Connection) -> None:
        if self._rows:
            await connection.copy_records_to_table("fills", columns=column_names(FillRow), records=self._rows)
