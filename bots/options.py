"""The command line of the bots."""

import argparse
import math
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bots.flow import Flow
from bots.mirroring import Margin
from bots.quoting import Layers
from exchange_sdk.origin import origin_of

MOST_PLACES = 18
"""Before the point, or zeros after it."""


def parser() -> argparse.ArgumentParser:
    """All programs and their options."""
    top = argparse.ArgumentParser(prog="python -m bots", description=__doc__)
    programs = top.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    _maker(programs.add_parser("maker", help="quotes in layers around a walk, or around recorded prices"))
    _taker(programs.add_parser("taker", help="market orders at random times, of random sizes"))
    _mirror(programs.add_parser("mirror", help="quotes after the book of another market"))
    _lmsr(programs.add_parser("lmsr", help="quotes by a scoring rule, with a known worst loss"))
    _record(programs.add_parser("record", help="write a market's public prices to a file for `maker`"))
    return top


def number(text: str) -> Decimal:
    """A number, not below zero, of a size that there is."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"not a number: {text}")
    if value and abs(value.adjusted()) > MOST_PLACES:
        raise argparse.ArgumentTypeError(f"too large or too small: {text}")
    return value


def amount(text: str) -> Decimal:
    """A number above zero."""
    value = number(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"not above zero: {text}")
    return value


def url(text: str) -> str:
    """`https://exchange.example`, with a port perhaps."""
    try:
        return origin_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def count(text: str) -> int:
    """A whole number above zero."""
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a whole number above zero: {text}")
    return int(text)


def priced_market(text: str) -> tuple[str, Decimal | None]:
    """`ETH-USDC=3000`, or only the market."""
    symbol, _, price = text.partition("=")
    if not symbol:
        raise argparse.ArgumentTypeError(f"no market: {text}")
    return symbol, amount(price) if price else None


def funding(text: str) -> tuple[str, Decimal]:
    """`USDC=1000`."""
    asset, _, wanted = text.partition("=")
    if not asset:
        raise argparse.ArgumentTypeError(f"no asset: {text}")
    return asset, amount(wanted)


def seconds(text: str) -> float:
    """A time above zero."""
    value = float(number(text))
    if not math.isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"not a time above zero: {text}")
    return value


def _common(program: argparse.ArgumentParser) -> None:
    program.add_argument(
        "--url", type=url, default="http://localhost:8000", help="of the exchange (%(default)s)"
    )
    program.add_argument("--verbose", action="store_true", help="tell everything")


def _trading(program: argparse.ArgumentParser) -> None:
    _common(program)
    program.add_argument(
        "--key-file",
        type=Path,
        required=True,
        help="where the bot's key is kept; a new one is approved by the wallet and written here",
    )
    program.add_argument("--keystore", type=Path, help="the wallet, encrypted; else EXCHANGE_BOT_WALLET")
    program.add_argument("--password-file", type=Path, help="password of the keystore")
    program.add_argument("--rpc-url", help="JSON-RPC of the chain, to deposit over")
    program.add_argument(
        "--fund",
        type=funding,
        action="append",
        default=[],
        metavar="ASSET=AMOUNT",
        help="deposit up to this much, when the account has less than half of it; once for each asset",
    )
    program.add_argument("--seed", type=int, default=1, help="of everything random (%(default)s)")


def _quoting(program: argparse.ArgumentParser) -> None:
    _trading(program)
    program.add_argument(
        "--round", type=seconds, default=1.0, metavar="SECONDS", help="between two looks (%(default)s)"
    )
    program.add_argument(
        "--tolerance-bps", type=number, default=Decimal(1), help="orders so near are left (%(default)s)"
    )


def _maker(program: argparse.ArgumentParser) -> None:
    _quoting(program)
    layers = Layers()
    program.add_argument(
        "--market",
        type=priced_market,
        action="append",
        required=True,
        metavar="SYMBOL[=PRICE]",
        help="with the price where its walk begins; one without is crossed from two that have one",
    )
    program.add_argument("--recorded", type=Path, metavar="FILE", help="prices of the first market, instead")
    program.add_argument("--recorded-speed", type=count, default=1, help="how much faster (%(default)s)")
    program.add_argument(
        "--stale", type=seconds, default=120.0, metavar="SECONDS", help="older prices are none (%(default)s)"
    )
    program.add_argument("--step-bps", type=number, default=Decimal(1), help="of a walk, a second")
    program.add_argument("--layers", type=int, default=layers.count)
    program.add_argument("--half-spread-bps", type=number, default=layers.half_spread_bps)
    program.add_argument("--layer-step-bps", type=number, default=layers.step_bps)
    program.add_argument(
        "--share", type=amount, default=layers.share, help="of the funds, in the first layer (%(default)s)"
    )
    program.add_argument("--growth", type=amount, default=layers.growth)
    program.add_argument("--skew-bps", type=number, default=layers.skew_bps)


def _taker(program: argparse.ArgumentParser) -> None:
    _trading(program)
    flow = Flow()
    program.add_argument("--market", action="append", required=True, metavar="SYMBOL")
    program.add_argument("--per-s", type=amount, default=flow.per_s, help="orders a second, on average")
    program.add_argument("--mean-share", type=amount, default=flow.mean_share, help="of the book, per order")
    program.add_argument("--most-share", type=amount, default=flow.most_share, help="of the book, per order")
    program.add_argument("--reach-bps", type=amount, default=flow.reach_bps)


def _mirror(program: argparse.ArgumentParser) -> None:
    _quoting(program)
    margin = Margin()
    program.add_argument("--market", required=True, metavar="SYMBOL")
    feed = program.add_mutually_exclusive_group(required=True)
    feed.add_argument("--from-url", type=url, help="another exchange of this software")
    feed.add_argument("--from-file", type=Path, help="books, one in a line")
    program.add_argument("--from-market", metavar="SYMBOL", help="its market there, if called otherwise")
    program.add_argument("--stale", type=seconds, default=5.0, metavar="SECONDS", help="of a file's book")
    program.add_argument("--margin-bps", type=number, default=margin.bps)
    program.add_argument("--size-share", type=amount, default=margin.size_share)
    program.add_argument("--levels", type=int, default=margin.levels)


def _lmsr(program: argparse.ArgumentParser) -> None:
    _quoting(program)
    program.add_argument("--market", required=True, metavar="SYMBOL")
    program.add_argument("--floor", type=number, required=True, help="the base is never worth less")
    program.add_argument("--cap", type=amount, required=True, help="nor more")
    program.add_argument("--first-price", type=amount, required=True)
    program.add_argument(
        "--depth", type=amount, required=True, help="in base; bounds the loss, with the range"
    )
    program.add_argument("--size", type=amount, required=True, help="of a quote, in base")
    program.add_argument("--layers", type=count, default=5)
    program.add_argument(
        "--base-at-first", type=amount, help="what the account had; unless given, kept beside the key file"
    )


def _record(program: argparse.ArgumentParser) -> None:
    _common(program)
    program.add_argument("--market", required=True, metavar="SYMBOL")
    program.add_argument("--interval", default="1s", choices=["1s", "1m", "5m"])
    program.add_argument("--count", type=count, default=600, help="of candles, the newest (%(default)s)")
