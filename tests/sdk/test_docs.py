"""The programs of the SDK's documentation, each run as it stands, page by page, on a real exchange."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from mypy import api as mypy
from tests.fixtures.anvil import more_blocks
from tests.sdk.market import Market
from tests.sdk.programs import DEVELOPMENT_KEY, PAGES, RPC, SDK, URL, needs_a_chain, play, programs

from exchange.testing_devnet.process import DevnetProcess
from exchange_sdk import Wallet

ON_A_CHAIN = [page for page in PAGES if needs_a_chain(page)]
WITHOUT = [page for page in PAGES if page not in ON_A_CHAIN]
CACHE = SDK.parents[1] / "build" / "mypy-docs"


@pytest.mark.parametrize("page", WITHOUT, ids=lambda page: page.stem)
async def test_the_programs_of_the_page_do_what_it_says(
    market_with_history: Market, page: Path, tmp_path: Path
) -> None:
    market = market_with_history
    await market.quote()
    owner = Wallet.from_key(DEVELOPMENT_KEY).address.lower()
    for symbol, amount in (("ETH", 10), ("USDC", 100_000)):
        asset = market.running.view.asset_by_symbol[symbol]
        await market.running.deposit(owner, asset.token, int(Decimal(amount) * 10**asset.decimals))
    await play(page, tmp_path, {URL: market.url}, market.projected)


@pytest.mark.timeout(300)
async def test_the_programs_that_need_a_chain_do_what_their_pages_say(tmp_path: Path) -> None:
    devnet = DevnetProcess(tmp_path / "devnet", tmp_path / "log", arguments=("--no-bots",))
    await asyncio.to_thread(devnet.start)
    try:
        with more_blocks(devnet.rpc_url):
            for page in ON_A_CHAIN:
                folder = tmp_path / page.stem
                folder.mkdir()
                await play(page, folder, {URL: devnet.url, RPC: devnet.rpc_url}, nothing)
    finally:
        await asyncio.to_thread(devnet.stop)


async def nothing() -> None:
    """There is nothing to wait for."""


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
