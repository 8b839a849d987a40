"""What a quoting bot may want to have in the book, by market. No I/O.

A strategy is asked each round what shall stand, and says None when it has no price to quote on: then the
orders of that market are pulled."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from bots.mirroring import Margin, OtherBook, mirrored
from bots.quoting import Funds, Layers, Quote, layered
from bots.references import Reference
from bots.scoring import ScoringRule
from exchange_sdk.models import Market


class Strategy(Protocol):
    """Quotes for one market."""

    def quotes(self, market: Market, funds: Funds, sold: Decimal, elapsed_ms: int) -> Sequence[Quote] | None:
        """What shall stand now, best first on either side; None: nothing, for want of a price.

        `sold`: how much base the bot has sold since its start, less what it has bought.
        """
        ...


class AroundReference:
    """Layers around a price from elsewhere: what `maker` does."""

    def __init__(self, reference: Reference, layers: Layers) -> None:
        self._reference = reference
        self._layers = layers

    def quotes(self, market: Market, funds: Funds, sold: Decimal, elapsed_ms: int) -> Sequence[Quote] | None:
        price = self._reference.price(elapsed_ms)
        return None if price is None else layered(market, price, funds, self._layers)


class BookSource(Protocol):
    """Another book, as somebody follows it."""

    def latest(self, elapsed_ms: int) -> OtherBook | None:
        """How it is now; None when that is not known."""
        ...


class AfterBook:
    """Another book's quotes, wider and smaller: what `mirror` does."""

    def __init__(self, source: BookSource, margin: Margin) -> None:
        self._source = source
        self._margin = margin

    def quotes(self, market: Market, funds: Funds, sold: Decimal, elapsed_ms: int) -> Sequence[Quote] | None:
        book = self._source.latest(elapsed_ms)
        if book is None or not book.is_usable:
            return None
        return mirrored(market, book, funds, self._margin)


class ByScore:
    """Quotes from what was sold so far: what `lmsr` does. `sold_before`: what was sold before this start."""

    def __init__(self, rule: ScoringRule, sold_before: Decimal, size: Decimal, layers: int) -> None:
        self._rule = rule
        self._sold_before = sold_before
        self._size = size
        self._layers = layers

    def quotes(self, market: Market, funds: Funds, sold: Decimal, elapsed_ms: int) -> Sequence[Quote] | None:
        sold += self._sold_before
        return self._rule.quotes(market, sold, self._size, self._layers, funds, reserve=Decimal("0.02"))
