"""Assets, markets and their books, from the committed view."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from exchange.core.markets import Asset, Market
from exchange.core.units import format_atoms
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.reads import ReadQuery, SeqAnswer, WholeNumber, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, Symbol, TimeMs, time_ms
from exchange.gateway.addresses import checksummed
from exchange.gateway.requests import parse_market

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


class MarketItem(BaseModel):
    """A spot market. Prices are whole multiples of `tick`, sizes of `lot`."""

    symbol: Symbol
    base: AssetSymbol
    quote: AssetSymbol
    tick: AmountText
    lot: AmountText
    maker_fee_bps: int = Field(examples=[0])
    taker_fee_bps: int = Field(examples=[10])


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
    """All markets, with tick, lot and fees."""
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
    return MarketItem(
        symbol=market.symbol,
        base=edge.view.assets[market.base_asset_id].symbol,
        quote=edge.view.assets[market.quote_asset_id].symbol,
        tick=market.tick,
        lot=market.lot,
        maker_fee_bps=market.maker_fee_bps,
        taker_fee_bps=market.taker_fee_bps,
    )
