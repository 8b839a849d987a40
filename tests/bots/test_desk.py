"""How a bot gets to trade, against a served exchange: nothing is done by halves."""

from decimal import Decimal
from pathlib import Path

import pytest
from bots.desk import WALLET_VARIABLE, CannotTrade, DeskOptions, trading_key
from tests.sdk.market import Market

from exchange_sdk import AgentKey, Exchange, Wallet

SECRET = "0x" + "5e" * 32


@pytest.fixture(autouse=True)
def wallet(monkeypatch: pytest.MonkeyPatch) -> Wallet:
    monkeypatch.setenv(WALLET_VARIABLE, SECRET)
    return Wallet.from_key(SECRET)


def modes_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_no_key_is_approved_that_can_not_be_kept(
    market: Market, wallet: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(key: AgentKey, path: Path) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(AgentKey, "save", save)
    with pytest.raises(OSError, match="full"):
        await trading_key(DeskOptions(market.url, "maker", tmp_path / "bot.key"))
    async with Exchange(market.url, wallet=wallet) as owner:
        assert await owner.agents() == []


async def test_the_approved_key_is_kept_and_nothing_beside_it(market: Market, tmp_path: Path) -> None:
    options = DeskOptions(market.url, "maker", tmp_path / "bot.key")
    key = await trading_key(options)
    assert (await trading_key(options)).id == key.id
    assert modes_in(tmp_path) == {"bot.key": 0o600}


async def test_what_is_finer_than_an_asset_is_told_in_a_line(market: Market, tmp_path: Path) -> None:
    fund = {"USDC": Decimal("0.0000001")}
    options = DeskOptions(market.url, "maker", tmp_path / "bot.key", rpc_url="http://localhost:1", fund=fund)
    with pytest.raises(CannotTrade, match="--fund USDC: amount is finer than 6 decimals"):
        await trading_key(options)
