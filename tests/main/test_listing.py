"""What the settings list is opened when it is new, and compared with the journal when it is not."""

import pytest
from tests.core.venue import CHAIN_ID, VAULT, token
from tests.sequencer.engine import GatedLog, Running, running

from exchange.core.commands import (
    Command,
    ListAsset,
    OpenMarket,
    SetFees,
    SetMarketState,
    SetPriceBands,
    SetWithdrawalTerms,
)
from exchange.core.words import MarketState
from exchange.main import ListingDiffers, ListingRefused, _list

APPLE, COIN = (ListAsset(symbol, 0, CHAIN_ID, VAULT, token(symbol)) for symbol in ("APPLE", "COIN"))
MARKET = OpenMarket("APPLE-COIN", "APPLE", "COIN", 1, 0, 1, 10, 20)


async def listed(engine: Running, *listing: ListAsset | OpenMarket) -> None:
    await _list(engine.sequencer, listing)


def open_log() -> GatedLog:
    log = GatedLog()
    log.let_through.set()
    return log


async def test_a_new_listing_is_journaled_once() -> None:
    log = open_log()
    async with running(log) as engine:
        await listed(engine, APPLE, COIN, MARKET)
        await listed(engine, APPLE, COIN, MARKET)
        assert set(engine.sequencer.committed.market_by_symbol) == {"APPLE-COIN"}
    assert [command for row in log.rows for command in row.commands] == [APPLE, COIN, MARKET]


@pytest.mark.parametrize(
    "change",
    [SetFees(1, ((1, 2), (0, 1))), SetPriceBands(1, 900, 800), SetMarketState(1, MarketState.HALTED)],
)
async def test_what_operators_have_changed_of_a_market_is_no_difference(change: Command) -> None:
    async with running(open_log()) as engine:
        await listed(engine, APPLE, COIN, MARKET)
        before = engine.sequencer.committed.markets[1]
        await engine.sequencer.submit(change)
        assert engine.sequencer.committed.markets[1] != before
        await listed(engine, APPLE, COIN, MARKET)


async def test_what_operators_have_changed_of_an_asset_is_no_difference() -> None:
    async with running(open_log()) as engine:
        await listed(engine, APPLE, COIN, MARKET)
        await engine.sequencer.submit(SetWithdrawalTerms(1, 7, 9))
        await listed(engine, APPLE, COIN, MARKET)
        asset = engine.sequencer.committed.asset_by_symbol["APPLE"]
        assert (asset.withdrawal_fee_atoms, asset.min_withdrawal_atoms) == (7, 9)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("lot_atoms", OpenMarket("APPLE-COIN", "APPLE", "COIN", 1, 0, 2, 10, 20)),
        ("tick_mantissa", OpenMarket("APPLE-COIN", "APPLE", "COIN", 2, 0, 1, 10, 20)),
        ("token", ListAsset("APPLE", 0, CHAIN_ID, VAULT, token("PEAR"))),
    ],
)
async def test_another_tick_lot_or_token_refuses_the_start(field: str, other: ListAsset | OpenMarket) -> None:
    async with running(open_log()) as engine:
        await listed(engine, APPLE, COIN, MARKET)
        with pytest.raises(ListingDiffers) as caught:
            await listed(engine, other)
        assert (caught.value.symbol, caught.value.field) == (other.symbol, field)


async def test_a_listing_that_the_engine_refuses_refuses_the_start() -> None:
    async with running(open_log()) as engine:
        with pytest.raises(ListingRefused):
            await listed(engine, MARKET)
