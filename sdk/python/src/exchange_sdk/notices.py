"""What a subscription says of itself, between what it says of the exchange.

`async for item in subscription` leaves these out; `async for event in subscription.with_notices()` has them.
Times are milliseconds since 1970 by the exchange's clock.
"""

from exchange_sdk.models import Model


class Stale(Model, frozen=True):
    """From here on what you hold grows old: nothing new can be had for now."""

    since_ms: int
    reason: str


class Live(Model, frozen=True):
    """It goes on. After a `Stale`, what was missed has been made up for; where it could not be, a `Gap`
    says so."""

    seq: int
    resumed: bool
    """It went on where it had stopped; else it began anew, with what is true now."""
    stale_ms: int
    """For how long it was not live."""


class Gap(Model, frozen=True):
    """Something public was left out: you read too slowly, or were away for too long. Private data never has
    one."""

    missed: int | None
    """How many; None where that can not be known."""
    reason: str


Notice = Stale | Live | Gap
