"""What private streams missed, read over HTTP: after an absence that the exchange does not remember any more.

Each function gives everything that happened after what the follower has, in pieces, each thing once, and
tells the seq from which the stream goes on. It is called with a snapshot of the stream, which says what
stands as of its seq; what began and ended in the meantime is in the histories. `since_ms` is a time of the
engine at which the follower had everything; the engine's time never goes back.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from exchange_sdk.channels import Message, deposit_key
from exchange_sdk.errors import Forbidden
from exchange_sdk.history import PAGE_SIZE, Page
from exchange_sdk.models import Deposit, Fill, Model, Order, Withdrawal
from exchange_sdk.transport import Transport

T = TypeVar("T")


@dataclass(slots=True)
class Had(Generic[T]):
    """What a follower has."""

    since_ms: int
    unfinished: dict[str, T] = field(default_factory=dict)
    """Open orders, pending deposits, withdrawals under way, as it was last told of them."""
    finished: dict[str, int] = field(default_factory=dict)
    """Of what ended and began at `since_ms` or later: its id, and when it began."""
    newest_id: int = 0
    """Of fills the newest trade_id, of deposits the newest credited number."""


@dataclass(frozen=True, slots=True)
class Piece(Generic[T]):
    """Some of what was missed."""

    items: list[T]
    goes_on_from: int
    """The seq from which the stream is to go on, if this is the last piece."""
    as_of: int
    """The seq as of which it was read: the stream may tell some of it once more."""


Pieces = AsyncIterator[Piece[T]]


@dataclass(frozen=True, slots=True)
class Before(Generic[T]):
    """What may have been before a feed began: its snapshot has the time of the newest command before it, so
    only what happened in that very millisecond can not be told apart by its time."""

    items: list[T]
    as_of: int
    """The seq as of which it was read. What the feed is told of it until then was after its beginning."""


class _Order(Model, frozen=True):
    seq: int
    order: Order


class _Withdrawal(Model, frozen=True):
    seq: int
    withdrawal: Withdrawal


class _SubAccount(Model, frozen=True):
    sub_account: int


class _Me(Model, frozen=True):
    sub_accounts: tuple[_SubAccount, ...]


async def fills_before(http: Transport, sub_account: int, time_ms: int, seq: int) -> Before[Fill]:
    """Fills of one millisecond."""
    return await _of_one_ms(http, "/v1/fills", Page[Fill], time_ms, seq, sub_account=sub_account)


async def deposits_before(http: Transport, sub_account: int, time_ms: int, seq: int) -> Before[Deposit]:
    """Deposits that were credited in one millisecond."""
    return await _of_one_ms(http, "/v1/deposits", Page[Deposit], time_ms, seq)


async def orders_before(http: Transport, sub_account: int, time_ms: int, seq: int) -> Before[Order]:
    """Orders that were placed in one millisecond, and have ended."""
    params: dict[str, str | int | None] = {"status": "ended", "sub_account": sub_account}
    return await _of_one_ms(http, "/v1/orders", Page[Order], time_ms, seq, **params)


async def withdrawals_before(http: Transport, sub_account: int, time_ms: int, seq: int) -> Before[Withdrawal]:
    """None: no withdrawal is finished within a millisecond."""
    return Before([], seq)


async def missed_fills(http: Transport, sub_account: int, had: Had[Fill], snapshot: Message) -> Pieces[Fill]:
    """Fills after the newest that it has."""
    since_ms, min_seq = had.since_ms, snapshot.seq
    async for page in _pages(http, "/v1/fills", Page[Fill], since_ms, min_seq, sub_account=sub_account):
        fills = [fill for fill in page.items if int(fill.trade_id) > had.newest_id]
        yield Piece(fills, page.seq, page.seq)


async def missed_deposits(
    http: Transport, sub_account: int, had: Had[Deposit], snapshot: Message
) -> Pieces[Deposit]:
    """Deposits that were credited, then those on their way as they are."""
    seq = snapshot.seq
    async for page in _pages(http, "/v1/deposits", Page[Deposit], had.since_ms, snapshot.seq):
        seq = page.seq
        yield Piece([item for item in page.items if int(item.number) > had.newest_id], seq, seq)
    pending = {deposit_key(deposit): deposit for deposit in snapshot.data}
    yield Piece(_changed(had.unfinished, pending), seq, seq)


async def missed_orders(
    http: Transport, sub_account: int, had: Had[Order], snapshot: Message
) -> Pieces[Order]:
    """Orders that ended, then open ones as they are. What was placed after the snapshot is the stream's."""
    unfinished = dict(had.unfinished)
    open_now: dict[str, Order] = {order.order_id: order for order in snapshot.data}
    told: set[str] = set()
    pages = _pages(
        http,
        "/v1/orders",
        Page[Order],
        had.since_ms,
        snapshot.seq,
        status="ended",
        sub_account=sub_account,
    )
    async for page in pages:
        ended = [
            order
            for order in page.items
            if order.order_id not in open_now
            and order.order_id not in had.finished
            and (order.created_ms or 0) <= snapshot.time_ms
        ]
        told.update(order.order_id for order in ended)
        yield Piece(ended, snapshot.seq, page.seq)
    for order_id in _gone(unfinished, open_now, told):
        path, params = f"/v1/orders/{order_id}", {"min_seq": snapshot.seq}
        answer = await http.get(path, _Order, params, who="trader")
        yield Piece([answer.order], snapshot.seq, snapshot.seq)
    yield Piece(_changed(unfinished, open_now), snapshot.seq, snapshot.seq)


async def missed_withdrawals(
    http: Transport, sub_account: int, had: Had[Withdrawal], snapshot: Message
) -> Pieces[Withdrawal]:
    """Withdrawals of all accounts that ended, then those under way as they are."""
    unfinished = dict(had.unfinished)
    under_way: dict[str, Withdrawal] = {item.withdrawal_id: item for item in snapshot.data}
    told: set[str] = set()
    async for page in _withdrawal_pages(http, had.since_ms, snapshot.seq):
        ended = [
            item
            for item in page.items
            if item.is_final
            and item.withdrawal_id not in under_way
            and item.withdrawal_id not in had.finished
            and item.requested_ms <= snapshot.time_ms
        ]
        told.update(item.withdrawal_id for item in ended)
        yield Piece(ended, snapshot.seq, page.seq)
    for withdrawal_id in _gone(unfinished, under_way, told):
        path, params = f"/v1/withdrawals/{withdrawal_id}", {"min_seq": snapshot.seq}
        answer = await http.get(path, _Withdrawal, params, who="trader")
        yield Piece([answer.withdrawal], snapshot.seq, snapshot.seq)
    yield Piece(_changed(unfinished, under_way), snapshot.seq, snapshot.seq)


def _gone(unfinished: Collection[str], now: Collection[str], told: Collection[str]) -> list[str]:
    """Of what was unfinished, all that is not there any more and was not told of."""
    return [identifier for identifier in unfinished if identifier not in now and identifier not in told]


def _changed(before: Mapping[str, T], now: Mapping[str, T]) -> list[T]:
    return [item for identifier, item in now.items() if before.get(identifier) != item]


async def _withdrawal_pages(http: Transport, since_ms: int, min_seq: int) -> AsyncIterator[Page[Withdrawal]]:
    """Of all accounts that may be read."""
    me = await http.get("/v1/me", _Me, who="trader")
    for account in me.sub_accounts:
        number = account.sub_account
        pages = _pages(http, "/v1/withdrawals", Page[Withdrawal], since_ms, min_seq, sub_account=number)
        try:
            async for page in pages:
                yield page
        except Forbidden:
            continue  # this key may not read it, and is not told of it by the stream's updates either


async def _of_one_ms(
    http: Transport, path: str, into: type[Page[T]], time_ms: int, seq: int, **params: str | int | None
) -> Before[T]:
    found: list[T] = []
    as_of = seq
    async for page in _pages(http, path, into, time_ms, seq, to=time_ms + 1, **params):
        found += page.items
        as_of = page.seq
    return Before(found, as_of)


async def _pages(
    http: Transport, path: str, into: type[Page[T]], since_ms: int, min_seq: int, **params: str | int | None
) -> AsyncIterator[Page[T]]:
    """All pages from a time on, oldest first, none older than the seq."""
    asked = {**params, "from": since_ms, "min_seq": min_seq, "order": "asc", "limit": PAGE_SIZE}
    while True:
        page = await http.get(path, into, asked, who="trader")
        yield page
        if page.next_cursor is None:
            return
        asked["cursor"] = page.next_cursor
