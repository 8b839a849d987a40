"""The programs of a page of documentation, and what they print.

What stands in a `text` block below a program is what it prints, with `...` for what differs each time. A
program that does not end by itself is marked `no-run`: only its types are checked.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

SDK = Path(__file__).parents[2] / "sdk" / "python"
PAGES = [SDK / "README.md", *sorted((SDK / "docs").glob("*.md"))]
URL = "http://localhost:8000"
RPC = "http://localhost:8545"
DEVELOPMENT_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WARNINGS = ("-W", "error", "-W", "ignore::DeprecationWarning:websockets.legacy")
"""web3 imports what websockets calls deprecated."""
_PROGRAM = re.compile(r"(?ms)^```python( no-run)?\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?")


def programs(page: Path) -> Iterator[tuple[str, bool, str]]:
    """(source, whether to run it, what it prints)."""
    for marked, source, printed in _PROGRAM.findall(page.read_text()):
        yield source, not marked, printed


def needs_a_chain(page: Path) -> bool:
    return any(RPC in source for source, _, _ in programs(page))


async def play(
    page: Path, folder: Path, addresses: Mapping[str, str], before_each: Callable[[], Awaitable[None]]
) -> None:
    """Runs the page's programs in their order; `addresses` stand in for those of a devnet."""
    ran = 0
    for source, runs, printed in programs(page):
        if not runs:
            continue
        assert URL in source, "a program says which exchange it is for"
        await before_each()
        program = source
        for address, other in addresses.items():
            program = program.replace(address, other)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *WARNINGS, "-c", program),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        if printed:
            expected = re.escape(printed).replace(r"\.\.\.", ".+")
            assert re.fullmatch(expected, out.decode()), out.decode()
        ran += 1
    assert ran > 0
