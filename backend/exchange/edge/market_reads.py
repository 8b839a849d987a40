"""What all reads of ClickHouse share: how far it must be, what its silence is answered with, what is final.

Trades and candles follow the journal at their own pace and nothing else waits for them; their `seq` says how
far they are, and `min_seq` waits for them. When they are emptied, to be filled again, answers that were being
read then are worth nothing: each notes as of what it is, before its first read, and is given up if it is of
another filling after its last.

ClickHouse answers a few at a time, so no client may have many that wait for it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from exchange.edge.dependencies import AsOf, Edge, MarketData
from exchange.edge.errors import unavailable
from exchange.edge.problems import RETRY_AFTER_S, Problem
from exchange.edge.reads import require_projected
from exchange.gateway.rate_limit import client_key
from exchange.gateway.refusals import GatewayCode
from exchange.stores.errors import ClickHouseError

NOT_AVAILABLE = "market data is not available now; trading goes on"
MAX_READS_PER_CLIENT = 32
"""At a time. A page with charts has some six connections; behind one address may be some such pages."""
FILLED_AGAIN = "market data is being made again from the journal; trading goes on"


async def limit_reads(request: Request) -> AsyncIterator[None]:
    """Counts a request while it is answered, by the connection's address. Raises Problem (rate_limited)."""
    reading: Counter[str] = request.app.state.market_reads
    client = client_key(request.client.host if request.client is not None else None)
    if reading[client] >= MAX_READS_PER_CLIENT:
        raise Problem(
            GatewayCode.RATE_LIMITED,
            f"an address may have {MAX_READS_PER_CLIENT} of these requests at a time",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    reading[client] += 1
    try:
        yield
    finally:
        reading[client] -= 1
        if not reading[client]:
            del reading[client]


async def require_market_data(edge: Edge, min_seq: int | None) -> MarketData:
    """Where to read, once that is at `min_seq`. Raises Problem (unavailable, not_yet)."""
    if edge.market_data is None:
        raise unavailable(detail=NOT_AVAILABLE)
    if min_seq is not None:
        await require_projected(edge, edge.market_data.projection, min_seq)
    return edge.market_data


@contextmanager
def reading_clickhouse(data: MarketData, as_of: AsOf) -> Iterator[None]:
    """Around all reads of an answer that is as of this, noted before them.

    Raises Problem (unavailable) when ClickHouse fails, or was emptied since.
    """
    try:
        yield
    except (ClickHouseError, TimeoutError) as error:
        raise unavailable(detail=NOT_AVAILABLE) from error
    if data.as_of.filling != as_of.filling:
        raise unavailable(detail=FILLED_AGAIN)


def is_final(data: MarketData, time_ms: int) -> bool:
    """Whether no trade from before this time can be missing in what is read from now on.

    The times of batches never decrease, so all from before the newest one's are in.
    """
    return data.projection.time_ns >= time_ms * 1_000_000
