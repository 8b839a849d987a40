"""Who trades, and what there is when the load begins."""

import msgspec


class Trader(msgspec.Struct):
    """Who trades: an owner with some accounts. `far` are the ids of open orders far out, by sub-account."""

    token: str
    key: str
    """Of its agent; empty: it has none."""
    seed: str
    """The agent's secret, in hex."""
    far: list[list[int]]


class Loaded(msgspec.Struct):
    """What there is when the load begins. `near_lots`: within reach of crossing orders, bids first."""

    traders: list[Trader]
    near_lots: list[int]
