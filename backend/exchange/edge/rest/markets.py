"""Assets, markets and their books, from the committed view."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.core.markets import Asset, Market
from exchange.core.units import format_atoms
from exchange.core.words import MarketState
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.reads import ReadQuery, SeqAnswer, WholeNumber, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, Symbol, TimeMs, time_ms
from exchange.gateway.addresses import checksummed
from exchange.gateway.fields import parse_market

router = APIRouter(tags=["markets"])

DEFAULT_DEPTH = 50
MAX_DEPTH = 500

Level = Annotated[
    tuple[AmountText, AmountText], Field(description="Price and size.", examples=[["3000.01", "1.25"]])
]


class AssetItem(BaseModel):
    """An asset and its route to the chain; `token` is the zero address for the chain's own coin."""

    symbol: AssetSymbol
    decimals: int = Field(examples=[6])
    chain_id: int = Field(examples=[31337])
    vault: AddressText
    token: AddressText
    withdrawal_fee: AmountText
    min_withdrawal: AmountText


class AssetsAnswer(SeqAnswer):
    """All listed assets."""

    items: list[AssetItem]


class FeeTierItem(BaseModel):
    """The fees of one tier; `/v1/me` tells yours."""

    tier: int = Field(examples=[0])
    maker_fee_bps: int = Field(examples=[0])
    taker_fee_bps: int = Field(examples=[10])


class MarketItem(BaseModel):
    """A spot market. Prices are whole multiples of `tick`, sizes of `lot`."""

    symbol: Symbol
    base: AssetSymbol
    quote: AssetSymbol
    tick: AmountText
    lot: AmountText
    state: MarketState = Field(
        description="pre_open: makers build the book, nothing trades; open; post_only; cancel_only; halted.",
        examples=["open"],
    )
    last_price: AmountText | None = Field(description="Of the last trade; null before the first.")
    price_band_bps: int = Field(
        description="How far an order's price may be worse than the market's; 0: any price goes.",
        examples=[0],
    )
    market_band_bps: int = Field(description="How far a market order without a price may go.", examples=[500])
    maker_fee_bps: int = Field(description="Of fee tier 0; negative: a rebate.", examples=[0])
    taker_fee_bps: int = Field(description="Of fee tier 0.", examples=[10])
    fee_tiers: list[FeeTierItem] = Field(
        description="All tiers, the first included. A tier beyond the last has the rates of the last."
    )


class MarketsAnswer(SeqAnswer):
    """All markets."""

    items: list[MarketItem]


class BookQuery(ReadQuery):
    """How much of the book."""

    depth: Annotated[WholeNumber, Field(ge=1, le=MAX_DEPTH)] = Field(
        default=DEFAULT_DEPTH, description="Price levels a side, at most."
    )


class BookAnswer(SeqAnswer):
    """The book as of `seq`, the best price first on both sides."""

    market: Symbol
    time_ms: TimeMs
    bids: list[Level]
    asks: list[Level]


def market_of(edge: Edge, symbol: str) -> Market:
    """The market of a path or a parameter. Raises FieldRefused (unknown_market)."""
    return parse_market(symbol, edge.view.market_by_symbol)


@router.get("/v1/assets")
async def get_assets(request: Request, query: Annotated[ReadQuery, Query()]) -> AssetsAnswer:
    """All listed assets, with decimals and token addresses."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    items = [_asset_item(asset) for asset in edge.view.asset_by_symbol.values()]
    return AssetsAnswer(seq=edge.view.seq, items=items)


@router.get("/v1/markets")
async def get_markets(request: Request, query: Annotated[ReadQuery, Query()]) -> MarketsAnswer:
    """All markets, with tick, lot, state, bands, fees and last price."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    items = [_market_item(edge, market) for market in edge.view.markets.values()]
    return MarketsAnswer(seq=edge.view.seq, items=items)


@router.get("/v1/markets/{market}/book")
async def get_book(request: Request, market: str, query: Annotated[BookQuery, Query()]) -> BookAnswer:
    """Aggregated open orders of a market by price."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    found = market_of(edge, market)
    bids, asks = edge.view.depth(found.market_id, query.depth)
    return BookAnswer(
        seq=edge.view.seq,
        market=found.symbol,
        time_ms=time_ms(edge.view.time_ns),
        bids=[(found.format_price(price), found.format_size(size)) for price, size in bids],
        asks=[(found.format_price(price), found.format_size(size)) for price, size in asks],
    )


def _asset_item(asset: Asset) -> AssetItem:
    return AssetItem(
        symbol=asset.symbol,
        decimals=asset.decimals,
        chain_id=asset.chain_id,
        vault=checksummed(asset.vault),
        token=checksummed(asset.token),
        withdrawal_fee=format_atoms(asset.withdrawal_fee_atoms, asset.decimals),
        min_withdrawal=format_atoms(asset.min_withdrawal_atoms, asset.decimals),
    )


def _market_item(edge: Edge, market: Market) -> MarketItem:
    last_ticks = edge.view.last_ticks(market.market_id)
    return MarketItem(
        symbol=market.symbol,
        base=edge.view.assets[market.base_asset_id].symbol,
        quote=edge.view.assets[market.quote_asset_id].symbol,
        tick=market.tick,
        lot=market.lot,
        state=market.state,
        last_price=None if last_ticks is None else market.format_price(last_ticks),
        price_band_bps=market.price_band_bps,
        market_band_bps=market.market_band_bps,
        maker_fee_bps=market.maker_fee_bps,
        taker_fee_bps=market.taker_fee_bps,
        fee_tiers=[
            FeeTierItem(tier=tier, maker_fee_bps=maker_bps, taker_fee_bps=taker_bps)
            for tier, (maker_bps, taker_bps) in enumerate(
                ((market.maker_fee_bps, market.taker_fee_bps), *market.fee_tiers)
            )
        ],
    )
