"""The peer: pyorderbook from PyPI, through its public API (`bid`, `ask`, `Book.match`, `Book.cancel`).

It gets the same operations as our book. It does less with them: no balances, no accounts, no holds and no
fees. In exchange it gives each order a random UUID and keeps prices as Decimal. Making an order is part
of the work on our side too, so it is inside the clock here; `run_made_beforehand` leaves it out.

    python -m scripts.bench.peer
"""

from collections.abc import Callable
from importlib.metadata import version
from time import thread_time

from pyorderbook import Book, Order, ask, bid  # type: ignore[import-untyped]
from scripts.bench.workload import ADD, CANCEL, Depth, Operation, Workload, fresh_batches

SYMBOL = "ETH-USDC"


class Peer:
    """One pyorderbook book that follows a workload."""

    name = f"pyorderbook {version('pyorderbook')}"

    def __init__(self) -> None:
        self.book = Book()
        self.orders: dict[int, Order] = {}

    def run(self, operations: list[Operation], first_index: int) -> float:
        """Seconds for the operations, the first of which has this index in the workload."""
        self._forget_ended()
        book, orders, index = self.book, self.orders, first_index
        match, cancel = book.match, book.cancel
        seconds = 0.0
        for batch in fresh_batches(operations):
            started = thread_time()
            for kind, _, is_buy, price_ticks, size_lots, target in batch:
                if kind == CANCEL:
                    cancel(orders.pop(target))
                else:
                    order = (bid if is_buy else ask)(SYMBOL, price_ticks, size_lots)
                    if kind == ADD:
                        orders[index] = order
                    match(order)
                index += 1
            seconds += thread_time() - started
        return seconds

    def run_made_beforehand(self, operations: list[Operation], first_index: int) -> float:
        """The same, with the orders of each batch made before the clock starts."""
        self._forget_ended()
        book, orders, index = self.book, self.orders, first_index
        match, cancel = book.match, book.cancel
        seconds = 0.0
        for batch in fresh_batches(operations):
            work: list[tuple[Callable[[Order], object], Order]] = []
            for kind, _, is_buy, price_ticks, size_lots, target in batch:
                if kind == CANCEL:
                    work.append((cancel, orders.pop(target)))
                else:
                    order = (bid if is_buy else ask)(SYMBOL, price_ticks, size_lots)
                    if kind == ADD:
                        orders[index] = order
                    work.append((match, order))
                index += 1
            started = thread_time()
            for act, order in work:
                act(order)
            seconds += thread_time() - started
        return seconds

    def depth(self) -> Depth:
        """Open lots by price, bids and asks."""
        sides: Depth = {}, {}
        for order in self.book.order_map.values():
            side = sides[order.side.value == "ask"]
            price_ticks = int(order.price)
            side[price_ticks] = side.get(price_ticks, 0) + order.quantity
        return sides

    def _forget_ended(self) -> None:
        self.orders = {index: order for index, order in self.orders.items() if order.quantity}


def main() -> None:
    """A single run, for a quick look."""
    workload, peer = Workload(1, 1_000), Peer()
    load = workload.load(10_000)
    peer.run(load, 0)
    first_index, operations = workload.drawn, workload.mixed(100_000)
    seconds = peer.run(operations, first_index)
    assert peer.depth() == workload.depth()
    print(f"{Peer.name}: {len(operations) / seconds:,.0f} ops/s at {workload.open_orders:,} open orders")


if __name__ == "__main__":
    main()
