"""An error of ours in taking in what was committed, met by one client's request before the hub meets it."""

from collections.abc import Callable

from tests.edge_ws.speaking import BOOK, ORDERS

from exchange.core.events import OrderAccepted
from exchange.feeds.feeds import Handed


async def test_when_a_request_meets_it_all_are_closed_and_begin_anew(streams, monkeypatch):
    exchange = streams.exchange
    feeds = exchange.feeds
    trader = await exchange.trader(USDC=10**12)
    folds = feeds._accounts._folds
    accept = folds[OrderAccepted]

    def fail_once(event: OrderAccepted) -> None:
        folds[OrderAccepted] = accept
        raise KeyError(event.order_id)

    def once_it_has_failed(call: Callable[[], Handed]) -> Callable[[], Handed]:
        return lambda: [] if feeds._failure is None else call()

    async with streams.signed_in(trader) as follower, streams.client() as asking:
        await follower.subscribe(**ORDERS)
        with monkeypatch.context() as late:
            late.setattr(feeds, "drain", once_it_has_failed(feeds.drain))
            late.setattr(feeds, "advance", once_it_has_failed(feeds.advance))
            folds[OrderAccepted] = fail_once
            for _ in range(3):
                await trader.order()
            await asking.send(op="subscribe", **BOOK)
            assert await asking.closed() == (1011, "internal_error")
            assert await follower.closed() == (1011, "internal_error")
        assert folds[OrderAccepted] is accept, "it did fail"
    async with streams.signed_in(trader) as again:
        snapshot = await again.subscribe(**ORDERS)
        assert len(snapshot["data"]) == 3
        await trader.order()
        update = await again.receive()
        assert (update["type"], len(update["data"])) == ("update", 1)
