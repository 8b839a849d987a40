"""What can be traded: the operator's commands that list assets and open markets."""

from exchange.core.book import Book
from exchange.core.commands import ListAsset, OpenMarket
from exchange.core.events import AssetListed, Event, MarketOpened, rejected
from exchange.core.markets import MAX_DECIMALS, Asset, Market, exact_unit_atoms
from exchange.core.rejects import RejectReason
from exchange.core.state import State
from exchange.core.units import BPS_PER_ONE


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
    if not 0 <= command.maker_fee_bps <= BPS_PER_ONE or not 0 <= command.taker_fee_bps <= BPS_PER_ONE:
        return rejected(RejectReason.MARKET_INVALID)
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
    )
    state.markets[market.market_id] = market
    state.market_by_symbol[market.symbol] = market
    state.books[market.market_id] = Book()
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
        )
    ]
