"""The programs of the SDK's documentation, each run as it stands, page by page, on a real exchange.

What stands in a `text` block below a program is what it prints, with `...` for what differs each time. A
program that does not end by itself is marked `no-run`: only its types are checked.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from mypy import api as mypy
from tests.sdk.market import Market

from exchange_sdk import Wallet

SDK = Path(__file__).parents[2] / "sdk" / "python"
PAGES = [SDK / "README.md", *sorted((SDK / "docs").glob("*.md"))]
ON_A_CHAIN = {"chain.md"}
"""Pages whose programs need a chain: run by tests of their own."""
PLAYED = [page for page in PAGES if page.name not in ON_A_CHAIN]
CACHE = SDK.parents[1] / "build" / "mypy-docs"
URL = "http://localhost:8000"
DEVELOPMENT_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
_PROGRAM = re.compile(
    r"^```python( no-run)?\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)


def programs(page: Path) -> Iterator[tuple[str, bool, str]]:
    """(source, whether to run it, what it prints)."""
    for marked, source, printed in _PROGRAM.findall(page.read_text()):
        yield source, not marked, printed


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.stem)
async def test_the_programs_of_the_page_do_what_it_says(
    market_with_history: Market, page: Path, tmp_path: Path
) -> None:
    market = market_with_history
    await market.quote()
    owner = Wallet.from_key(DEVELOPMENT_KEY).address.lower()
    for symbol, amount in (("ETH", 10), ("USDC", 100_000)):
        asset = market.running.view.asset_by_symbol[symbol]
        await market.running.deposit(owner, asset.token, int(Decimal(amount) * 10**asset.decimals))
    ran = 0
    for source, runs, printed in programs(page):
        if not runs:
            continue
        assert URL in source, "a program says which exchange it is for"
        await market.projected()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", source.replace(URL, market.url)),
            cwd=tmp_path,
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


def test_the_programs_have_the_right_types(tmp_path: Path) -> None:
    files = []
    for page in PAGES:
        for number, (source, _, _) in enumerate(programs(page)):
            files.append(tmp_path / f"{page.stem.lower()}_{number}.py")
            files[-1].write_text(source)
    assert len(files) > 10
    options = ["--strict", "--no-error-summary", "--config-file=", f"--cache-dir={CACHE}"]
    out, _, _ = mypy.run([*options, *map(str, files)])
    assert out == ""
