"""Table `orders`: every order ever accepted, with its present state."""

from dataclasses import dataclass
from typing import Literal

import asyncpg

from exchange.core.events import (
    Event,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderTriggered,
    SelfTradePrevented,
    Trade,
)
from exchange.projections.errors import ReadTablesBroken
from exchange.projections.page import Found, Page, Selection, column_names, read_one, read_page
from exchange.projections.place import Place
from exchange.stores.postgres import Connection

OPEN = "open"

Status = Literal["open", "all", "ended"]
"""Which orders; one that is not open has ended."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order. `status` is "open" or why it ended; filled quote amount and fee are sums so far.

    Price and sizes are the present ones: amendments change them, and self-trade prevention takes lots off
    both. `awaiting_trigger` is True until the trigger is met, for ever when the order ended before.
    """

    order_id: int
    account_id: int
    market_id: int
    side: str
    order_type: str
    time_in_force: str
    self_trade_prevention: str
    price_ticks: int
    size_lots: int
    remaining_lots: int
    filled_quote_atoms: int
    fee_atoms: int
    status: str
    client_order_id: str | None
    created_ns: int
    updated_seq: int
    updated_ns: int
    good_till_ns: int
    trigger: str | None
    trigger_ticks: int
    quote_atoms: int
    awaiting_trigger: bool


async def order_by_id(pool: asyncpg.Pool, order_id: int) -> Found[OrderRow]:
    """The order, whoever placed it: the caller must see whose `account_id` it is."""
    return await read_one(pool, OrderRow, "orders", [("order_id = {}", order_id)])


def orders_of(
    account_id: int, *, status: Status = "all", market_id: int | None = None
) -> Selection[OrderRow]:
    """The account's orders. Key: (order_id,), so in the order in which they were accepted."""
    conditions = [
        # Written out, not a parameter: only so is the index of open orders sure to be used.
        ("status = 'open' AND {}", True if status == OPEN else None),
        ("status <> 'open' AND {}", True if status == "ended" else None),
    ]
    return Selection(
        OrderRow,
        "orders",
        ("order_id",),
        "created_ns",
        account_id,
        conditions,
        filters=[("market_id = {}", market_id)],
        changing="status = 'open'",
    )


async def newest_order_of_client(pool: asyncpg.Pool, account_id: int, client_order_id: str) -> Page[OrderRow]:
    """The account's newest order of this client order id, which later ones may have again.

    Looked for among the account's newest orders, as a filter is: when it is not on the page, and there is a
    next one, there are older orders that were not looked at.
    """
    filters = [("client_order_id = {}", client_order_id)]
    selection = Selection(OrderRow, "orders", ("order_id",), "created_ns", account_id, filters=filters)
    return await read_page(pool, selection, limit=1)


@dataclass(slots=True)
class _Change:
    """What a batch does to one order. `accepted` is set when the order began in it.

    Price and sizes are None while they are as before; `lost_lots` come off the size.
    """

    remaining_lots: int | None
    accepted: tuple[OrderAccepted, Place] | None = None
    price_ticks: int | None = None
    size_lots: int | None = None
    lost_lots: int = 0
    triggered: bool = False
    quote_atoms: int = 0
    fee_atoms: int = 0
    status: str = OPEN
    updated_seq: int = 0
    updated_ns: int = 0


class OrderChanges:
    """What some batches of the journal do to the table, folded to one change per order."""

    def __init__(self) -> None:
        self._changes: dict[int, _Change] = {}

    def take(self, event: Event, place: Place) -> None:
        match event:
            case OrderAccepted():
                self._changes[event.order_id] = _Change(event.size_lots, (event, place))
                self._touch(event.order_id, event.size_lots, place)
            case Trade():
                maker = self._touch(event.maker_order_id, event.maker_remaining_lots, place)
                maker.quote_atoms += event.quote_atoms
                maker.fee_atoms += event.maker_fee_atoms
                taker = self._touch(event.taker_order_id, event.taker_remaining_lots, place)
                taker.quote_atoms += event.quote_atoms
                taker.fee_atoms += event.taker_fee_atoms
            case OrderEnded():
                self._touch(event.order_id, event.remaining_lots, place).status = event.reason.value
            case OrderAmended():
                change = self._touch(event.order_id, event.remaining_lots, place)
                change.price_ticks, change.size_lots, change.lost_lots = event.price_ticks, event.size_lots, 0
            case OrderTriggered():
                self._touch(event.order_id, None, place).triggered = True
            case SelfTradePrevented():
                for order_id, remaining_lots in (
                    (event.maker_order_id, event.maker_remaining_lots),
                    (event.taker_order_id, event.taker_remaining_lots),
                ):
                    self._touch(order_id, remaining_lots, place).lost_lots += event.size_lots
            case _:
                pass

    def _touch(self, order_id: int, remaining_lots: int | None, place: Place) -> _Change:
        change = self._changes.get(order_id)
        if change is None:
            change = self._changes[order_id] = _Change(remaining_lots)
        if remaining_lots is not None:
            change.remaining_lots = remaining_lots
        change.updated_seq = place.seq
        change.updated_ns = place.time_ns
        return change

    async def write(self, connection: Connection) -> None:
        begun = [
            _new_row(change.accepted[0], change.accepted[1], change)
            for change in self._changes.values()
            if change.accepted is not None
        ]
        if begun:
            await connection.copy_records_to_table("orders", columns=column_names(OrderRow), records=begun)
        changed = [item for item in self._changes.items() if item[1].accepted is None]
        if changed:
            await _update(connection, changed)


def _new_row(accepted: OrderAccepted, place: Place, change: _Change) -> tuple[object, ...]:
    size_lots = accepted.size_lots if change.size_lots is None else change.size_lots
    return (
        accepted.order_id,
        accepted.account_id,
        accepted.market_id,
        accepted.side.value,
        accepted.order_type.value,
        accepted.time_in_force.value,
        accepted.self_trade_prevention.value,
        accepted.price_ticks if change.price_ticks is None else change.price_ticks,
        size_lots - change.lost_lots,
        change.remaining_lots,
        change.quote_atoms,
        change.fee_atoms,
        change.status,
        accepted.client_order_id,
        place.time_ns,
        change.updated_seq,
        change.updated_ns,
        accepted.good_till_ns,
        None if accepted.trigger is None else accepted.trigger.value,
        accepted.trigger_ticks,
        accepted.quote_atoms,
        accepted.trigger is not None and not change.triggered,
    )


async def _update(connection: Connection, changed: list[tuple[int, _Change]]) -> None:
    changes = [change for _, change in changed]
    status = await connection.execute(
        """
        UPDATE orders SET
            price_ticks = coalesce(c.price_ticks, orders.price_ticks),
            size_lots = coalesce(c.size_lots, orders.size_lots) - c.lost_lots,
            remaining_lots = coalesce(c.remaining_lots, orders.remaining_lots),
            filled_quote_atoms = orders.filled_quote_atoms + c.quote_atoms,
            fee_atoms = orders.fee_atoms + c.fee_atoms,
            status = c.status,
            awaiting_trigger = orders.awaiting_trigger AND NOT c.triggered,
            updated_seq = c.updated_seq,
            updated_ns = c.updated_ns
        FROM unnest(
            $1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[],
            $6::NUMERIC[], $7::NUMERIC[], $8::TEXT[], $9::BOOLEAN[], $10::BIGINT[], $11::BIGINT[]
        ) AS c (
            order_id, price_ticks, size_lots, lost_lots, remaining_lots, quote_atoms, fee_atoms,
            status, triggered, updated_seq, updated_ns
        )
        WHERE orders.order_id = c.order_id AND orders.status = 'open'
        """,
        [order_id for order_id, _ in changed],
        [change.price_ticks for change in changes],
        [change.size_lots for change in changes],
        [change.lost_lots for change in changes],
        [change.remaining_lots for change in changes],
        [change.quote_atoms for change in changes],
        [change.fee_atoms for change in changes],
        [change.status for change in changes],
        [change.triggered for change in changes],
        [change.updated_seq for change in changes],
        [change.updated_ns for change in changes],
    )
    if status != f"UPDATE {len(changed)}":
        raise ReadTablesBroken(f"{len(changed)} open orders change, but the table answers {status}")
