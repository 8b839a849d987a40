"""The mutable order: what stands in a book, waits for its trigger, or is remembered for a while."""

from typing import TYPE_CHECKING, final

from mypy_extensions import mypyc_attr

from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce, TriggerKind

if TYPE_CHECKING:
    from exchange.core.accounts import Account
    from exchange.core.book import Level


@final
@mypyc_attr(acyclic=True)
class Order:
    """An order, from its acceptance until nobody can ask for it any more.

    `held_atoms` is in the quote asset for a buy and in the base asset for a sell. `fee_numerator` is the sum
    of notional x rate (atoms x bps) over the fills so far; the fee charged so far is its `div_ceil` by
    10,000, so that many small fills cost what one large fill costs.

    An order with a client order id is kept for a while after its end, to answer a request that comes again.

    Compiled, the garbage collector does not see it: a million of them cost no collection anything. Its cycle
    with its level is cut when it leaves the book, that with its account when it ends or is forgotten.
    `__init__` is written out because a dataclass's is not compiled, and one is made for every placement.
    """

    __slots__ = (
        "account",
        "ahead",
        "asked_expires_ns",
        "asked_price_ticks",
        "asked_size_lots",
        "awaiting_trigger",
        "behind",
        "client_order_id",
        "created_ns",
        "ended",
        "fee_charged_atoms",
        "fee_numerator",
        "forget_ns",
        "good_till_ns",
        "held_atoms",
        "level",
        "maker_fee_bps",
        "market_id",
        "order_id",
        "order_type",
        "price_ticks",
        "queued_seq",
        "quote_atoms",
        "remaining_lots",
        "self_trade_prevention",
        "side",
        "size_lots",
        "taker_fee_bps",
        "time_in_force",
        "trigger",
        "trigger_ticks",
    )

    order_id: int
    account: "Account"
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    self_trade_prevention: SelfTradePrevention
    price_ticks: int
    size_lots: int
    remaining_lots: int
    held_atoms: int
    maker_fee_bps: int
    taker_fee_bps: int
    client_order_id: str | None
    created_ns: int
    good_till_ns: int
    """When it expires; 0 for never."""
    trigger: TriggerKind | None
    trigger_ticks: int
    quote_atoms: int
    """The most that a market buy by amount may cost, fee included; 0 for an order by size."""
    awaiting_trigger: bool
    """Open and paid for, but in no book yet."""
    queued_seq: int
    """The command that gave it its place in the queue of its price."""
    fee_numerator: int
    fee_charged_atoms: int
    asked_price_ticks: int
    """As the request had it (0: none), while the order may have been amended since."""
    asked_size_lots: int
    asked_expires_ns: int
    """When the request ended, not the order."""
    ended: str
    """Why it ended; empty while it is open."""
    forget_ns: int
    """When its client order id is free again, once it has ended."""
    level: "Level | None"
    """Where it stands in line: in a book, or among those that await a trigger."""
    ahead: "Order | None"
    behind: "Order | None"
    """Its neighbours in the queue of its price."""

    def __init__(
        self,
        order_id: int,
        account: "Account",
        market_id: int,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        self_trade_prevention: SelfTradePrevention,
        price_ticks: int,
        size_lots: int,
        remaining_lots: int,
        held_atoms: int,
        maker_fee_bps: int,
        taker_fee_bps: int,
        client_order_id: str | None,
        created_ns: int,
        good_till_ns: int = 0,
        trigger: TriggerKind | None = None,
        trigger_ticks: int = 0,
        quote_atoms: int = 0,
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.market_id = market_id
        self.side = side
        self.order_type = order_type
        self.time_in_force = time_in_force
        self.self_trade_prevention = self_trade_prevention
        self.price_ticks = price_ticks
        self.size_lots = size_lots
        self.remaining_lots = remaining_lots
        self.held_atoms = held_atoms
        self.maker_fee_bps = maker_fee_bps
        self.taker_fee_bps = taker_fee_bps
        self.client_order_id = client_order_id
        self.created_ns = created_ns
        self.good_till_ns = good_till_ns
        self.trigger = trigger
        self.trigger_ticks = trigger_ticks
        self.quote_atoms = quote_atoms
        self.awaiting_trigger = False
        self.queued_seq = 0
        self.fee_numerator = 0
        self.fee_charged_atoms = 0
        self.asked_price_ticks = price_ticks
        self.asked_size_lots = size_lots
        self.asked_expires_ns = 0
        self.ended = ""
        self.forget_ns = 0
        self.level = None
        self.ahead = None
        self.behind = None
