"""The process that builds a proof. Hashing a million balances takes a while, and nobody should wait for it.

One request as a line of JSON on stdin, one answer as a line of JSON on stdout, at low priority.

    python -m exchange.proofs.build_process
"""

import asyncio
import sys
from typing import Literal

import asyncpg
import msgspec
import structlog

from exchange.chain.errors import ChainError
from exchange.chain.rpc import Rpc
from exchange.journal.child import end_with_parent, lower_priority
from exchange.proofs.build import BuildAnswer, BuildRequest, build_proof
from exchange.proofs.errors import ProofError
from exchange.stores.errors import StoreError
from exchange.stores.postgres import open_pool, reaching_the_database

NICENESS = 10
STATEMENT_TIMEOUT_S = 300.0


class ChildRequest(msgspec.Struct, frozen=True):
    """What the exchange asks for, and where to find database and node."""

    database_url: str
    rpc_url: str
    build: BuildRequest


async def _answer(request: ChildRequest) -> BuildAnswer:
    with reaching_the_database():
        pool = await open_pool(
            request.database_url, min_size=0, max_size=3, command_timeout_s=STATEMENT_TIMEOUT_S
        )
        try:
            async with Rpc(request.rpc_url) as rpc:
                return await build_proof(pool, rpc, request.build)
        finally:
            pool.terminate()


def main() -> Literal[0, 1]:
    """Answers one request. The exit code is 0, or 1 with a line on stderr that says what is wrong."""
    lower_priority(NICENESS)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=ChildRequest)
    end_with_parent()
    try:
        answer = asyncio.run(_answer(request))
    except (ProofError, ChainError, StoreError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
