"""The two queues of a connection against a model that knows nothing of queues: a list, gone through anew."""

import random
from dataclasses import dataclass, field

import pytest

from exchange.edge.order_requests import OrderRequest
from exchange.edge.rest.order_answers import Answer
from exchange.edge.ws.requests import TradeRequest, TradingOp
from exchange.edge.ws.turns import Pending, Turns

SEEDS = range(60)
STEPS = 400
NOTHING = OrderRequest((), lambda _: Answer(200, {}))


@dataclass(eq=False)
class Item:
    """Something that arrives, as the model sees it."""

    number: int
    kind: str
    """trade, refused (a trade that is answered at once), waits, or plain."""
    handed_in: bool = False
    engine_is_done: bool = False
    taken_out: bool = False
    served: bool = False


@dataclass
class Model:
    """All that has arrived, in order."""

    items: list[Item] = field(default_factory=list)

    def may_be_handed_in(self) -> list[Item]:
        """Trades that nothing which waits is before, and that were not handed in yet."""
        found = []
        for item in self.items:
            if item.kind == "waits" and not item.served:
                break
            if item.kind in {"trade", "refused"} and not item.handed_in:
                found.append(item)
        return found

    def next(self) -> Item | None:
        """The first that was not answered, if its answer is there and nothing is being waited for."""
        for item in self.items:
            if item.kind == "waits" and item.taken_out and not item.served:
                return None
            if not item.taken_out:
                return None if item.kind == "trade" and not item.engine_is_done else item
        return None

    def weight(self) -> int:
        return sum(weight_of(item.number) for item in self.items if not item.taken_out)


def weight_of(number: int) -> int:
    return 1 + number % 7


class Both:
    """The queues and the model, side by side."""

    def __init__(self) -> None:
        self.model = Model()
        self.turns: Turns[str] = Turns(lambda item: item.startswith("waits"))
        self.handed_in: list[int] = []
        self.pending: dict[int, Pending] = {}

    def hand_in(self, request: TradeRequest) -> Pending | str:
        assert request.id is not None
        number = int(request.id)
        item = self.model.items[number]
        assert item in self.model.may_be_handed_in()
        item.handed_in = True
        self.handed_in.append(number)
        if item.kind == "refused":
            return f"refused {number}"
        pending = self.pending[number] = Pending(request, NOTHING, lambda _: None)
        return pending

    def add(self, kind: str) -> None:
        number = len(self.model.items)
        self.model.items.append(Item(number, kind))
        item: TradeRequest | str = f"{kind} {number}"
        if kind in {"trade", "refused"}:
            item = TradeRequest(str(number), TradingOp.PLACE, {}, 1)
        self.turns.add(item, weight_of(number), self.hand_in)

    def engine_does(self, number: int) -> None:
        self.pending[number].said = b"{}"
        self.model.items[number].engine_is_done = True

    def answer(self, draw: random.Random) -> None:
        """Takes out what is next, if anything is; a request that waits may be served at once, or later."""
        expected = self.model.next()
        found = self.turns.next()
        assert number_of(found) == (None if expected is None else expected.number)
        if expected is not None:
            expected.taken_out = True
            if expected.kind == "waits" and draw.random() < 0.3:
                self.serve(expected)

    def answer_pending(self) -> None:
        expected = self.model.next()
        found = self.turns.next_pending()
        wanted = expected is not None and expected.kind == "trade"
        assert number_of(found) == (expected.number if expected is not None and wanted else None)
        if expected is not None and wanted:
            expected.taken_out = True

    def serve(self, item: Item) -> None:
        item.served = True
        self.turns.go_on(self.hand_in)

    def step(self, draw: random.Random) -> None:
        waiting = [item for item in self.model.items if item.kind == "waits" and item.taken_out]
        unserved = [item for item in waiting if not item.served]
        undone = [number for number, pending in self.pending.items() if pending.said is None]
        match draw.choice(["add", "add", "answer", "answer", "pending", "engine", "engine", "serve"]):
            case "add":
                self.add(draw.choice(["trade"] * 5 + ["refused", "plain", "plain", "waits"]))
            case "answer":
                self.answer(draw)
            case "pending":
                self.answer_pending()
            case "engine" if undone:
                self.engine_does(draw.choice(undone[:3]))
            case "serve" if unserved:
                self.serve(unserved[0])
        assert self.model.may_be_handed_in() == [], "a trade waits that nothing holds back"
        assert self.turns.weight == self.model.weight()


def number_of(found: Pending | str | None) -> int | None:
    if found is None:
        return None
    return int(found.request.id or "") if isinstance(found, Pending) else int(found.split()[1])


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_arrives_is_handed_in_and_answered_as_the_model_has_it(seed: int) -> None:
    draw = random.Random(seed)
    both = Both()
    for _ in range(STEPS):
        both.step(draw)
    for _ in range(len(both.model.items) * 3):  # then everything is answered
        for number in [number for number, pending in both.pending.items() if pending.said is None]:
            both.engine_does(number)
        for item in both.model.items:
            if item.kind == "waits" and item.taken_out and not item.served:
                both.serve(item)
        both.answer(draw)
    assert all(item.taken_out for item in both.model.items)
    trades = [item.number for item in both.model.items if item.kind in {"trade", "refused"}]
    assert both.handed_in == trades, "the engine gets them in the order of their arrival"
    assert both.turns.weight == 0


async def test_a_connection_that_ends_tells_what_the_engine_still_has() -> None:
    both = Both()
    for kind in ("trade", "refused", "trade", "waits", "trade"):
        both.add(kind)
    assert [number_of(pending) for pending in both.turns.clear()] == [0, 2]
    assert both.turns.next() is None
    assert both.turns.weight == 0
