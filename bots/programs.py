"""What each program does, put together from its parts."""

import argparse
import csv
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from bots.desk import CannotTrade, DeskOptions, trading_key
from bots.feeds import BookFeed, ExchangeFeed, FileFeed
from bots.flow import Flow
from bots.ladder import Tolerance
from bots.mirroring import Margin
from bots.quoter import Quoter, known_market
from bots.quoting import Layers
from bots.references import Cross, RandomWalk, Recording, Reference
from bots.scoring import ScoringRule
from bots.strategies import AfterBook, AroundReference, ByScore, Strategy
from bots.taking import Taking
from exchange_sdk import Exchange
from exchange_sdk.numbers import decimal, plain

log = logging.getLogger(__name__)


async def run_program(options: argparse.Namespace) -> None:
    """Runs until cancelled. Raises ExchangeError, CannotTrade, FeedInvalid, RecordingInvalid."""
    match options.program:
        case "maker":
            references = maker_references(options.market, options.seed, options.step_bps, _recording(options))
            layers = Layers(
                count=options.layers,
                half_spread_bps=options.half_spread_bps,
                step_bps=options.layer_step_bps,
                share=options.share,
                growth=options.growth,
                skew_bps=options.skew_bps,
            )
            await _quote(
                options, {symbol: AroundReference(price, layers) for symbol, price in references.items()}
            )
        case "taker":
            await _take(options)
        case "mirror":
            margin = Margin(options.margin_bps, options.size_share, options.levels)
            async with _feed(options) as feed:
                await _quote(options, {options.market: AfterBook(feed, margin)})
        case "lmsr":
            await _score(options)
        case "record":
            await _record(options)


def maker_references(
    markets: Sequence[tuple[str, Decimal | None]], seed: int, step_bps: Decimal, recording: Recording | None
) -> dict[str, Reference]:
    """A price for each market: the recording for the first, walks, and crosses of these.

    Raises CannotTrade for a market without a price that can not be crossed from the others.
    """
    references: dict[str, Reference] = {}
    for index, (symbol, start) in enumerate(markets):
        if recording is not None and index == 0:
            references[symbol] = recording
        elif start is not None:
            references[symbol] = RandomWalk(start, seed + index, step_bps=step_bps)
    for symbol, _ in markets:
        if symbol not in references:
            references[symbol] = _cross(symbol, references)
    return references


def _cross(symbol: str, references: Mapping[str, Reference]) -> Reference:
    base, _, quote = symbol.partition("-")
    for other, reference in references.items():
        other_base, _, other_quote = other.partition("-")
        if other_base == base and f"{quote}-{other_quote}" in references:
            return Cross(reference, references[f"{quote}-{other_quote}"])
    raise CannotTrade(f"{symbol} has no price, and can not be crossed: give {symbol}=PRICE")


def _recording(options: argparse.Namespace) -> Recording | None:
    if options.recorded is None:
        return None
    stale_ms = int(options.stale * 1_000)
    return Recording.read(options.recorded, stale_ms=stale_ms, speed=options.recorded_speed)


def _feed(options: argparse.Namespace) -> BookFeed:
    if options.from_file is not None:
        return FileFeed(options.from_file, stale_ms=int(options.stale * 1_000))
    return ExchangeFeed(options.from_url, options.from_market or options.market)


def _desk(options: argparse.Namespace) -> DeskOptions:
    if len(dict(options.fund)) != len(options.fund):
        raise CannotTrade("--fund: an asset is given twice")
    return DeskOptions(
        url=options.url,
        name=options.program,
        key_file=options.key_file,
        rpc_url=options.rpc_url,
        fund=dict(options.fund),
        keystore=options.keystore,
        password_file=options.password_file,
    )


async def _quote(options: argparse.Namespace, strategies: Mapping[str, Strategy]) -> None:
    key = await trading_key(_desk(options))
    async with Exchange(options.url, key=key) as exchange, exchange.stream() as stream:
        log.info("%s quotes %s at %s", options.program, ", ".join(strategies), options.url)
        tolerance = Tolerance(price_bps=options.tolerance_bps)
        await Quoter(exchange, stream, strategies, round_s=options.round, tolerance=tolerance).run()


async def _take(options: argparse.Namespace) -> None:
    flow = Flow(
        per_s=options.per_s,
        mean_share=options.mean_share,
        most_share=options.most_share,
        reach_bps=options.reach_bps,
    )
    key = await trading_key(_desk(options))
    async with Exchange(options.url, key=key) as exchange, exchange.stream() as stream:
        log.info("taker takes in %s at %s", ", ".join(options.market), options.url)
        await Taking(exchange, stream, options.market, flow, options.seed).run()


async def _score(options: argparse.Namespace) -> None:
    rule = ScoringRule(options.floor, options.cap, options.first_price, options.depth)
    key = await trading_key(_desk(options))
    async with Exchange(options.url, key=key) as exchange, exchange.stream() as stream:
        market = await known_market(exchange, options.market)
        await exchange.cancel_all()  # so that nothing is sold between this look and the first quotes
        balances = await exchange.balances()
        held = balances[market.base].total if market.base in balances else Decimal(0)
        at_first = base_at_first(options.key_file.with_suffix(".lmsr.json"), options.base_at_first, held)
        log.info(
            "lmsr quotes %s at %s: began with %s %s, can lose %.2f %s at most",
            *(options.market, options.url, at_first, market.base, rule.worst_loss, market.quote),
        )
        strategy = ByScore(rule, at_first - held, options.size, options.layers)
        tolerance = Tolerance(price_bps=Decimal(0), missing=Decimal(0), excess=Decimal(0))
        await Quoter(
            exchange, stream, {options.market: strategy}, round_s=options.round, tolerance=tolerance
        ).run()


def base_at_first(path: Path, given: Decimal | None, held: Decimal) -> Decimal:
    """What the account had when the rule began: as given, or as kept in the file, or what it holds now.

    Is kept in the file. Raises CannotTrade when the file says nothing that makes sense.
    """
    at_first = given if given is not None else _kept_base(path)
    if at_first is None:
        at_first = held
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")  # a bot that is killed in the middle has the file before or the one after
    new.write_text(json.dumps({"base_at_first": plain(at_first)}) + "\n", "utf-8")
    new.replace(path)
    return at_first


def _kept_base(path: Path) -> Decimal | None:
    try:
        return decimal(json.loads(path.read_text("utf-8"))["base_at_first"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CannotTrade(f"{path} is not what it should be ({error!r}): remove it to begin anew") from error


async def _record(options: argparse.Namespace) -> None:
    """Closes of the newest candles, as `--recorded` takes them."""
    async with Exchange(options.url) as exchange:
        candles = await exchange.latest_candles(options.market, options.interval, options.count)
    print(f"# {options.market}: closes of the {options.interval} candles of {options.url}")  # noqa: T201
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["time_ms", "price"])
    rows.writerows([candle.open_ms, candle.close] for candle in candles)
