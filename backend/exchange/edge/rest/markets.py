"""Assets, markets and their books, from the committed view."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from exchange.core.markets import Asset, Market
from exchange.core.units import format_atoms
from exchange.core.words import MarketState
from exchange.edge.caching import NOT_MODIFIED, answered, not_modified, tagged, weak_tag
from exchange.edge.cross_origin import PublicRead
from exchange.edge.dependencies import Edge, edge_of
from exchange.edge.problems import EdgeCode, Problem
from exchange.edge.reads import ReadQuery, SeqAnswer, WholeNumber, require_view
from exchange.edge.values import AddressText, AmountText, AssetSymbol, Symbol, TimeMs, time_ms
from exchange.gateway.addresses import checksummed
from exchange.gateway.fields import parse_market, parse_price_ticks
from exchange.sequencer.depth import GroupTooWide

router = APIRouter(tags=["markets"], route_class=PublicRead)

DEFAULT_DEPTH = 50
MAX_DEPTH = 500
MAX_GROUPED_LEVELS = 5_000
"""Price levels a side that are read for one grouped answer: about a millisecond of everybody's time."""

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
        default=DEFAULT_DEPTH, description="Price levels, or groups of them, a side, at most."
    )
    group: str | None = Field(
        default=None,
        description="Put levels together by this step of price, a whole multiple of the market's tick: bids "
        "are rounded down, asks up, sizes added.",
        examples=["0.5"],
    )


class BookAnswer(SeqAnswer):
    """The book as of `seq`, the best price first on both sides."""

    market: Symbol
    time_ms: TimeMs
    group: AmountText | None = Field(description="The step of price asked for; null: each level by itself.")
    bids: list[Level]
    asks: list[Level]


def market_of(edge: Edge, symbol: str) -> Market:
    """The market of a path or a parameter. Raises FieldRefused (unknown_market)."""
    return parse_market(symbol, edge.view.market_by_symbol)


@router.get("/v1/assets", response_model=AssetsAnswer, responses=NOT_MODIFIED)
async def get_assets(request: Request, query: Annotated[ReadQuery, Query()]) -> Response:
    """All listed assets, with decimals and token addresses."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    items = [_asset_item(asset) for asset in edge.view.asset_by_symbol.values()]
    return answered(request, AssetsAnswer(seq=edge.view.seq, items=items))


@router.get("/v1/markets", response_model=MarketsAnswer, responses=NOT_MODIFIED)
async def get_markets(request: Request, query: Annotated[ReadQuery, Query()]) -> Response:
    """All markets, with tick, lot, state, bands, fees and last price."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    items = [_market_item(edge, market) for market in edge.view.markets.values()]
    return answered(request, MarketsAnswer(seq=edge.view.seq, items=items))


@router.get("/v1/markets/{market}/book", response_model=BookAnswer, responses=NOT_MODIFIED)
async def get_book(request: Request, market: str, query: Annotated[BookQuery, Query()]) -> Response:
    """Aggregated open orders of a market by price, or by steps of price."""
    edge = edge_of(request)
    await require_view(edge, query.min_seq)
    found = market_of(edge, market)
    step_ticks = None if query.group is None else parse_price_ticks(query.group, found, "group")
    tag = weak_tag(edge.view.genesis_id, edge.view.seq, found.symbol, query.depth, step_ticks)
    unchanged = not_modified(request, tag)
    if unchanged is not None:
        return unchanged
    bids, asks = _depth(edge, found, query.depth, step_ticks)
    answer = BookAnswer(
        seq=edge.view.seq,
        market=found.symbol,
        time_ms=time_ms(edge.view.time_ns),
        group=None if step_ticks is None else found.format_price(step_ticks),
        bids=[(found.format_price(price), found.format_size(size)) for price, size in bids],
        asks=[(found.format_price(price), found.format_size(size)) for price, size in asks],
    )
    return tagged(answer, tag)


def _depth(
    edge: Edge, market: Market, depth: int, step_ticks: int | None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    if step_ticks is None:
        return edge.view.depth(market.market_id, depth)
    try:
        return edge.view.grouped_depth(market.market_id, step_ticks, depth, MAX_GROUPED_LEVELS)
    except GroupTooWide as error:
        raise Problem(
            EdgeCode.GROUP_TOO_WIDE,
            f"the group at {market.format_price(error.price_ticks)} alone has more than "
            f"{error.max_levels} price levels",
            field="group",
            value=market.format_price(step_ticks),
        ) from error


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
