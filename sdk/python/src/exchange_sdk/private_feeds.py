"""One's own orders, fills, deposits and withdrawals as they change: nothing is left out, whatever happens.

Theory of operation. A feed has everything up to a seq. It takes what comes and puts it before its reader,
who may be slow. When as much waits as may wait, it takes nothing more: the exchange remembers, not this
process. Once the reader has caught up, the subscription begins again from the feed's seq. The same happens
after a lost connection.

Where the exchange does not remember far enough back (it remembers a few minutes, and nothing over its own
restart), what was missed is read from its histories (`recovery`), and the stream goes on from there.

    TAKING        it takes what comes
    FULL          its reader is behind: it takes nothing
    RECOVERING    it reads the histories: it takes nothing
    RETURNING     it is ready, and waits for the subscription to begin again from its seq
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Generic, Self, TypeVar

from exchange_sdk.channels import KeyedState, LastState, Message, deposit_key
from exchange_sdk.errors import (
    ExchangeError,
    RateLimited,
    ServerError,
    Unavailable,
    Unreachable,
)
from exchange_sdk.inbox import Inbox
from exchange_sdk.models import Deposit, Fill, Order, Withdrawal
from exchange_sdk.notices import Notice
from exchange_sdk.recovery import (
    Before,
    Had,
    Piece,
    Pieces,
    deposits_before,
    fills_before,
    missed_deposits,
    missed_fills,
    missed_orders,
    missed_withdrawals,
    orders_before,
    withdrawals_before,
)
from exchange_sdk.subscriptions import WAITING_ITEMS, Subscription, SubscriptionHost
from exchange_sdk.topics import Topic
from exchange_sdk.transport import Transport

T = TypeVar("T")

LEARNING_S = 1.0
"""For so long at most a feed that has begun is held back until it knows what was before."""
TRIED_AGAIN = (Unreachable, Unavailable, RateLimited, ServerError)


class Mode(Enum):
    """What a feed does with what comes."""

    TAKING = auto()
    FULL = auto()
    RECOVERING = auto()
    RETURNING = auto()


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What the feeds differ in."""

    key: Callable[[T], str]
    is_finished: Callable[[T], bool]
    began_ms: Callable[[T], int]
    """0 where ids tell what is new."""
    number: Callable[[T], int]
    """Of what never changes once it is told: a number that rises. 0 for all others."""
    missed: Callable[[Transport, int, Had[T], Message], Pieces[T]]
    before: Callable[[Transport, int, int, int], Awaitable[Before[T]]]


class PrivateFeed(Subscription[T]):
    """See above."""

    def __init__(self, topic: Topic, host: SubscriptionHost, kind: Kind[T]) -> None:
        super().__init__(topic, host, Inbox(WAITING_ITEMS))
        self._kind = kind
        self._mode = Mode.TAKING
        self._seq: int | None = None
        self._had: Had[T] = Had(since_ms=0)
        self._told_until: dict[str, int] = {}
        """What a recovery told as finished, and until which seq the stream may tell it once more."""
        self._recovery: asyncio.Task[None] | None = None
        self._learning: asyncio.Task[None] | None = None
        self._before: Before[T] | None = None
        self._began_ms = 0
        self._told_at_first: set[str] = set()
        """What it was told by the stream in the millisecond in which it began."""
        self._has_recovered = False
        self.recoveries = 0
        """How often the histories had to be read."""

    @property
    def is_behind(self) -> bool:
        """More was missed by its reader than waits here: it comes when the reader has caught up."""
        return self._mode is not Mode.TAKING or (self._seq or 0) < (self._topic.seq or 0)

    @property
    def is_current(self) -> bool:
        return super().is_current and not self.is_behind

    @property
    def resume_seq(self) -> int | None:
        """See `topics.Follower`."""
        return self._seq if self._mode in {Mode.TAKING, Mode.RETURNING} else None

    # ---- what the topic calls

    def on_joined(self) -> None:
        assert self._topic.seq is not None
        match self._topic.state:
            case KeyedState(by_key=by_key):
                self._begin(self._topic.seq, self._topic.time_ms, by_key.values())
            case LastState(last=last):
                self._begin(self._topic.seq, self._topic.time_ms, ())
                self._had.newest_id = 0 if last is None else self._kind.number(last)
        super().on_joined()

    def on_snapshot(self, message: Message) -> None:
        if self._seq is None:
            self._begin(message.seq, message.time_ms, message.data)
            self._gone_live(resumed=False)
        elif self._mode is Mode.FULL:
            self._gone_live(resumed=False)
        elif message.seq <= self._seq and self._mode is not Mode.RECOVERING:  # nothing happened since
            self._mode = Mode.TAKING
            self._give(message.data, message.seq)
            self._gone_live(resumed=False)
        else:
            self._state_is_live()
            if self._mode is not Mode.RECOVERING:
                self._mode = Mode.RECOVERING
                self.recoveries += 1
                self._stop(self._learning)
                self._recovery = asyncio.create_task(self._recover(message))

    def on_resumed(self, seq: int) -> None:
        if self._seq is None:
            self.on_joined()
        elif self._mode is Mode.RECOVERING:
            self._state_is_live()
        elif self._mode is Mode.FULL:
            self._gone_live(resumed=True)
        else:
            self._mode = Mode.TAKING
            self._gone_live(resumed=not self._has_recovered)
            self._has_recovered = False

    def on_update(self, message: Message) -> None:
        if self._mode is not Mode.TAKING:
            return
        assert self._seq is not None
        assert message.prev_seq is not None
        if message.prev_seq > self._seq:
            self.on_stale(f"messages from {self._seq} to {message.prev_seq} are missing")
            self._return()
        elif message.seq <= self._seq and not message.is_step:
            return  # another follower gets it once more
        elif self._inbox.is_full:
            self._mode = Mode.FULL
        else:
            self._give(message.data, message.seq)
            self._seq = max(self._seq, message.seq)
            if not message.is_step:
                self._passes(message.time_ms)
            self._note_what_was_before()

    def on_caught_up(self, seq: int) -> None:
        if self._mode is Mode.TAKING and self._seq is not None:
            self._seq = max(self._seq, seq)
            self._note_what_was_before()

    def fail(self, error: ExchangeError | None) -> None:
        self._stop(self._recovery)
        self._stop(self._learning)
        super().fail(error)

    def _stop(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    # ---- the reader

    async def begun(self) -> Self:
        await super().begun()
        if self._learning is not None:
            await asyncio.wait({self._learning}, timeout=LEARNING_S)
        return self

    async def _next(self) -> T | Notice:
        item = await super()._next()
        if self._mode is Mode.FULL and self._inbox.waiting <= WAITING_ITEMS // 2:
            self._return()
        return item

    # ---- what it has

    def _begin(self, seq: int, time_ms: int, known: Any) -> None:
        """It begins here: what stands now is known, not told."""
        self._seq = seq
        self._had.since_ms = time_ms
        self._had.unfinished = {self._kind.key(item): item for item in known}
        self._began_ms = time_ms
        self._learning = asyncio.create_task(self._learn_what_was_before(seq, time_ms))

    async def _learn_what_was_before(self, seq: int, time_ms: int) -> None:
        """So that a later recovery does not tell it. Until this is known it might."""
        sub_account = self._topic.subject.sub_account or 0
        attempt = 0
        while self._before is None:
            try:
                self._before = await self._kind.before(self._host.http, sub_account, time_ms, seq)
            except TRIED_AGAIN:
                attempt += 1
                await asyncio.sleep(min(5.0, 0.1 * 2.0**attempt))
            except ExchangeError:
                return
        self._note_what_was_before()

    def _note_what_was_before(self) -> None:
        """What was read and not told until the seq of the reading was before the beginning."""
        before, kind, had = self._before, self._kind, self._had
        if before is None or self._seq is None or self._seq < before.as_of:
            return
        for item in before.items:
            if kind.key(item) not in self._told_at_first:
                had.newest_id = max(had.newest_id, kind.number(item))
                if kind.is_finished(item) and not kind.number(item):
                    had.finished[kind.key(item)] = kind.began_ms(item)
        self._before = None
        self._told_at_first.clear()

    def _give(self, items: Any, seq: int) -> None:
        """Puts before the reader what is new to it."""
        news = [item for item in items if self._is_new(item)]
        for item in news:
            self._note(item)
        if self._had.since_ms == self._began_ms:
            self._told_at_first.update(self._kind.key(item) for item in news)
        self._inbox.take_all(news)
        if self._told_until:
            self._told_until = {key: until for key, until in self._told_until.items() if until > seq}

    def _is_new(self, item: T) -> bool:
        kind, had = self._kind, self._had
        key = kind.key(item)
        number = kind.number(item)
        if number:
            return number > had.newest_id
        return key not in self._told_until and had.unfinished.get(key) != item

    def _note(self, item: T) -> None:
        kind, had = self._kind, self._had
        key = kind.key(item)
        had.newest_id = max(had.newest_id, kind.number(item))
        if not kind.is_finished(item):
            had.unfinished[key] = item
            return
        had.unfinished.pop(key, None)
        if kind.began_ms(item) >= had.since_ms:
            had.finished[key] = kind.began_ms(item)

    def _passes(self, time_ms: int) -> None:
        """The engine's time goes on: what began before it needs not be known any more."""
        had = self._had
        if time_ms > had.since_ms:
            had.since_ms = time_ms
            had.finished = {key: began for key, began in had.finished.items() if began >= time_ms}

    def _return(self) -> None:
        self._mode = Mode.RETURNING
        self._topic.begin_again()

    # ---- what was missed

    async def _recover(self, snapshot: Message) -> None:
        attempt = 0
        while True:
            try:
                await self._read_histories(snapshot)
            except TRIED_AGAIN as error:
                attempt += 1
                self._stale_reason = f"what was missed can not be read yet: {error}"
                await asyncio.sleep(min(5.0, 0.1 * 2.0**attempt))
            except ExchangeError as error:
                self._recovery = None
                self.fail(error)
                return
            else:
                self._recovery = None
                self._has_recovered = True
                self._return()
                return

    async def _read_histories(self, snapshot: Message) -> None:
        sub_account = self._topic.subject.sub_account or 0
        last: Piece[T] | None = None
        async for piece in self._kind.missed(self._host.http, sub_account, self._had, snapshot):
            await self._inbox.room()
            news = [item for item in piece.items if self._is_new(item)]
            for item in news:
                self._note(item)
                if self._kind.is_finished(item) and not self._kind.number(item):
                    self._told_until[self._kind.key(item)] = piece.as_of
            self._inbox.take_all(news)
            last = piece
        assert last is not None
        self._seq = last.goes_on_from
        self._passes(snapshot.time_ms)


def _always(_: object) -> bool:
    return True


_ORDERS: Kind[Order] = Kind(
    key=lambda order: order.order_id,
    is_finished=lambda order: not order.is_open,
    began_ms=lambda order: order.created_ms or 0,
    number=lambda order: 0,
    missed=missed_orders,
    before=orders_before,
)
_FILLS: Kind[Fill] = Kind(
    key=lambda fill: fill.trade_id,
    is_finished=_always,
    began_ms=lambda fill: 0,
    number=lambda fill: int(fill.trade_id),
    missed=missed_fills,
    before=fills_before,
)
_DEPOSITS: Kind[Deposit] = Kind(
    key=deposit_key,
    is_finished=lambda deposit: deposit.is_credited,
    began_ms=lambda deposit: 0,
    number=lambda deposit: int(deposit.number) if deposit.is_credited else 0,
    missed=missed_deposits,
    before=deposits_before,
)
_WITHDRAWALS: Kind[Withdrawal] = Kind(
    key=lambda withdrawal: withdrawal.withdrawal_id,
    is_finished=lambda withdrawal: withdrawal.is_final,
    began_ms=lambda withdrawal: withdrawal.requested_ms,
    number=lambda withdrawal: 0,
    missed=missed_withdrawals,
    before=withdrawals_before,
)


class Fills(PrivateFeed[Fill]):
    """Your side of each trade, each once, oldest first."""

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, _FILLS)


class Orders(PrivateFeed[Order]):
    """Every change of your orders, ended ones too. `open` are those that are open now."""

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, _ORDERS)

    @property
    def open(self) -> Mapping[str, Order]:
        """Your open orders by id, as new as the stream, however much still waits to be iterated."""
        return _state(self._topic)


class Deposits(PrivateFeed[Deposit]):
    """Every step of your deposits, up to `credited`. `pending` are those on their way."""

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, _DEPOSITS)

    @property
    def pending(self) -> list[Deposit]:
        """Those that are not credited yet."""
        return list(_state(self._topic).values())


class Withdrawals(PrivateFeed[Withdrawal]):
    """Every step of your withdrawals, up to `settled` or `refunded`. `under_way` are those that are not
    finished."""

    def __init__(self, topic: Topic, host: SubscriptionHost) -> None:
        super().__init__(topic, host, _WITHDRAWALS)

    @property
    def under_way(self) -> list[Withdrawal]:
        """Those that are not finished yet."""
        return list(_state(self._topic).values())


def _state(topic: Topic) -> dict[str, Any]:
    assert isinstance(topic.state, KeyedState)
    return topic.state.by_key
