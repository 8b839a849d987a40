"""`python -m bots maker|taker|mirror|lmsr|record`: programs that trade, and need nothing but the public API.

`--help` after any of them tells its options; docs/bots.md explains them.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from bots.desk import CannotTrade
from bots.feeds import FeedInvalid
from bots.options import parser
from bots.programs import run_program
from bots.quoting import Unreasonable
from bots.references import RecordingInvalid
from exchange_sdk.errors import ExchangeError

FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until Ctrl-C or SIGTERM (0), or until it can not go on (1). Returns the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("httpx", "httpcore", "websockets", "web3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    log = logging.getLogger("bots")
    try:
        return asyncio.run(_until_signalled(run_program(options)))
    except (ExchangeError, CannotTrade, FeedInvalid, RecordingInvalid, Unreasonable, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - the message says what is wrong
        return FAILED


async def _until_signalled(work: Coroutine[Any, Any, None]) -> int:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return 0


if __name__ == "__main__":
    sys.exit(main())
