"""What can be traded: the operator's commands that list assets and open markets."""

from exchange.core.book import Book
from exchange.core.commands import ListAsset, OpenMarket, SetMarketState, SetPriceBands
from exchange.core.events import (
    AssetListed,
    Event,
    MarketOpened,
    MarketStateSet,
    PriceBandsSet,
    rejected,
)
from exchange.core.markets import MAX_DECIMALS, Asset, Market, exact_unit_atoms
from exchange.core.rejects import RejectReason
from exchange.core.schedule import leave_triggers, watch_triggers
from exchange.core.state import State
from exchange.core.units import BPS_PER_ONE
from exchange.core.words import MarketState


def list_asset(state: State, command: ListAsset) -> list[Event]:
    """Adds an asset with its route to a chain, or lists one that was only known from a deposit."""
    if not command.symbol or not 0 <= command.decimals <= MAX_DECIMALS:
        return rejected(RejectReason.ASSET_INVALID)
    if command.withdrawal_fee_atoms < 0 or command.min_withdrawal_atoms < 1:
        return rejected(RejectReason.ASSET_INVALID)
    known = state.asset_by_route.get((command.chain_id, command.vault, command.token))
    if command.symbol in state.asset_by_symbol or (known is not None and known.listed):
        return rejected(RejectReason.ASSET_EXISTS)
    if known is not None:
        del state.asset_by_symbol[known.symbol]
    asset = Asset(
        asset_id=len(state.assets) + 1 if known is None else known.asset_id,
        symbol=command.symbol,
        decimals=command.decimals,
        chain_id=command.chain_id,
        vault=command.vault,
        token=command.token,
        withdrawal_fee_atoms=command.withdrawal_fee_atoms,
        min_withdrawal_atoms=command.min_withdrawal_atoms,
        listed=True,
    )
    return [add_asset(state, asset)]


def add_asset(state: State, asset: Asset) -> AssetListed:
    """Enters the asset, listed or not, in every index."""
    state.assets[asset.asset_id] = asset
    state.asset_by_symbol[asset.symbol] = asset
    state.asset_by_route[asset.chain_id, asset.vault, asset.token] = asset
    return AssetListed(
        asset_id=asset.asset_id,
        symbol=asset.symbol,
        decimals=asset.decimals,
        chain_id=asset.chain_id,
        vault=asset.vault,
        token=asset.token,
        withdrawal_fee_atoms=asset.withdrawal_fee_atoms,
        min_withdrawal_atoms=asset.min_withdrawal_atoms,
        listed=asset.listed,
    )


def open_market(state: State, command: OpenMarket) -> list[Event]:
    """Opens a spot market whose numbers divide exactly."""
    base = state.asset_by_symbol.get(command.base)
    quote = state.asset_by_symbol.get(command.quote)
    if base is None or quote is None or not base.listed or not quote.listed:
        return rejected(RejectReason.UNKNOWN_ASSET)
    if command.symbol in state.market_by_symbol:
        return rejected(RejectReason.MARKET_EXISTS)
    if not command.symbol or base is quote or not 0 <= command.tick_decimals <= MAX_DECIMALS:
        return rejected(RejectReason.MARKET_INVALID)
    if command.tick_mantissa < 1 or command.lot_atoms < 1:
        return rejected(RejectReason.MARKET_INVALID)
    lowest_maker_bps = 0 if state.rules_version < 2 else -command.taker_fee_bps
    if not 0 <= command.taker_fee_bps <= BPS_PER_ONE:
        return rejected(RejectReason.MARKET_INVALID)
    if not lowest_maker_bps <= command.maker_fee_bps <= BPS_PER_ONE:
        return rejected(RejectReason.MARKET_INVALID)
    if not _are_bands(command.price_band_bps, command.market_band_bps):
        return rejected(RejectReason.PRICE_BANDS_INVALID)
    unit_atoms = exact_unit_atoms(
        command.tick_mantissa, command.tick_decimals, command.lot_atoms, base.decimals, quote.decimals
    )
    if unit_atoms is None:
        return rejected(RejectReason.MARKET_NOT_DIVISIBLE)
    market = Market(
        market_id=len(state.markets) + 1,
        symbol=command.symbol,
        base_asset_id=base.asset_id,
        quote_asset_id=quote.asset_id,
        tick_mantissa=command.tick_mantissa,
        tick_decimals=command.tick_decimals,
        lot_atoms=command.lot_atoms,
        unit_atoms=unit_atoms,
        base_decimals=base.decimals,
        quote_decimals=quote.decimals,
        maker_fee_bps=command.maker_fee_bps,
        taker_fee_bps=command.taker_fee_bps,
        state=command.state,
        price_band_bps=command.price_band_bps,
        market_band_bps=command.market_band_bps,
    )
    state.markets[market.market_id] = market
    state.market_by_symbol[market.symbol] = market
    state.books[market.market_id] = Book(market.taker_fee_bps, max(0, -market.maker_fee_bps))
    return [
        MarketOpened(
            market_id=market.market_id,
            symbol=market.symbol,
            base_asset_id=market.base_asset_id,
            quote_asset_id=market.quote_asset_id,
            tick_mantissa=market.tick_mantissa,
            tick_decimals=market.tick_decimals,
            lot_atoms=market.lot_atoms,
            unit_atoms=market.unit_atoms,
            base_decimals=market.base_decimals,
            quote_decimals=market.quote_decimals,
            maker_fee_bps=market.maker_fee_bps,
            taker_fee_bps=market.taker_fee_bps,
            state=market.state,
            price_band_bps=market.price_band_bps,
            market_band_bps=market.market_band_bps,
        )
    ]


def set_market_state(state: State, command: SetMarketState) -> list[Event]:
    """Opens, closes or halts a market. Triggers wait while it is not open; then the last price counts."""
    market = state.markets.get(command.market_id)
    if market is None:
        return rejected(RejectReason.UNKNOWN_MARKET)
    if market.state is not command.state:
        market.state = command.state
        state.books[market.market_id].forget_range()
        if market.state is MarketState.OPEN:
            watch_triggers(state, market.market_id)
        else:
            leave_triggers(state, market.market_id)
    return [MarketStateSet(market.market_id, market.state)]


def set_price_bands(state: State, command: SetPriceBands) -> list[Event]:
    """Changes a market's bands, for orders from now on."""
    market = state.markets.get(command.market_id)
    if market is None:
        return rejected(RejectReason.UNKNOWN_MARKET)
    if not _are_bands(command.price_band_bps, command.market_band_bps):
        return rejected(RejectReason.PRICE_BANDS_INVALID)
    market.price_band_bps = command.price_band_bps
    market.market_band_bps = command.market_band_bps
    return [PriceBandsSet(market.market_id, market.price_band_bps, market.market_band_bps)]


def _are_bands(price_band_bps: int, market_band_bps: int) -> bool:
    """A market order's default must be inside the band of all orders."""
    if not 0 <= price_band_bps <= BPS_PER_ONE or not 0 < market_band_bps <= BPS_PER_ONE:
        return False
    return price_band_bps == 0 or market_band_bps <= price_band_bps
