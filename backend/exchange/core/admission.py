"""What is wrong with an order before it may trade: the checks that placing and amending share.

Each answers with the code of a refusal, or None. They are asked in the order of docs/trading.md.
"""

from typing import Final

from exchange.core.accounts import Account
from exchange.core.commands import PlaceOrder
from exchange.core.markets import Market
from exchange.core.matching import CLIENT_ORDER_MEMORY_NS
from exchange.core.orders import Order
from exchange.core.rejects import RejectReason
from exchange.core.state import State
from exchange.core.units import MAX_ATOMS, MAX_PRICE_TICKS, MAX_SIZE_LOTS, MAX_TIME_NS
from exchange.core.words import AccountState, MarketState, OrderType, SelfTradePrevention, Side, TimeInForce

# Enum members as module constants: an attribute of an Enum class costs several times as much to look up.
_LIMIT: Final = OrderType.LIMIT
_GTC: Final = TimeInForce.GTC
_POST_ONLY: Final = TimeInForce.POST_ONLY
_GTT: Final = TimeInForce.GTT
_OPEN: Final = MarketState.OPEN
_ACTIVE: Final = AccountState.ACTIVE


def may_rest(time_in_force: TimeInForce) -> bool:
    """Whether what is left of such an order stands in the book."""
    return time_in_force is _GTC or time_in_force is _POST_ONLY or time_in_force is _GTT


def refuse_lifetime(state: State, expires_ns: int) -> RejectReason | None:
    """Whether the request came too late, or may come again after its id is forgotten."""
    if state.time_ns > expires_ns:
        return RejectReason.REQUEST_EXPIRED
    if expires_ns - state.time_ns > CLIENT_ORDER_MEMORY_NS:
        return RejectReason.REQUEST_EXPIRY_TOO_FAR
    return None


def refuse_content(state: State, command: PlaceOrder) -> RejectReason | None:
    """What is wrong with the order by itself, whatever the state of its market."""
    is_limit = command.order_type is _LIMIT
    if not 0 < command.price_ticks <= MAX_PRICE_TICKS:
        has_default = command.price_ticks == 0 and not is_limit and state.rules_version >= 2
        if not has_default:
            return RejectReason.PRICE_OUT_OF_RANGE
    if command.quote_atoms:
        if not 0 < command.quote_atoms <= MAX_ATOMS:
            return RejectReason.AMOUNT_TOO_LARGE
        if (
            is_limit
            or command.size_lots != 0
            or command.side is not Side.BUY
            or command.time_in_force is not TimeInForce.IOC
            or command.trigger is not None
            or command.self_trade_prevention is SelfTradePrevention.DECREMENT
        ):
            return RejectReason.INVALID_COMBINATION
    elif not 0 < command.size_lots <= MAX_SIZE_LOTS:
        return RejectReason.SIZE_OUT_OF_RANGE
    tif = command.time_in_force
    if not is_limit and may_rest(tif):
        return RejectReason.INVALID_COMBINATION
    if (tif is _GTT) != (command.good_till_ns != 0):
        return RejectReason.INVALID_COMBINATION
    if command.trigger is None:
        return RejectReason.INVALID_COMBINATION if command.trigger_ticks else None
    if not 0 < command.trigger_ticks <= MAX_PRICE_TICKS:
        return RejectReason.TRIGGER_INVALID
    return None


def refuse_for_now(
    state: State, account: Account, market: Market, command: PlaceOrder
) -> RejectReason | None:
    """Why the order can not be taken now, though at another time it might."""
    if state.work_due_ns <= state.time_ns:
        return RejectReason.WORK_QUEUED
    if account.state is not _ACTIVE:
        return restricted_reason(account.state)
    if market.state is not _OPEN and not _is_taken_in(market.state, command):
        return closed_reason(market.state)
    if may_rest(command.time_in_force) or command.trigger is not None:
        open_orders = len(account.orders)
        if open_orders >= account.max_open_orders:
            return RejectReason.TOO_MANY_OPEN_ORDERS
        limit = account.max_orders_per_market
        if open_orders >= limit and _orders_in(account, market.market_id) >= limit:
            return RejectReason.TOO_MANY_ORDERS_IN_MARKET
    if command.good_till_ns and not state.time_ns < command.good_till_ns <= MAX_TIME_NS:
        return RejectReason.GOOD_TILL_INVALID
    return None


def _orders_in(account: Account, market_id: int) -> int:
    """How many orders the account has open in a market. Counted, because few ever come near their limit."""
    return sum(order.market_id == market_id for order in account.orders.values())


def _is_taken_in(market_state: MarketState, command: PlaceOrder) -> bool:
    """Whether a market that is not open takes the order."""
    if command.trigger is not None:
        return False
    if market_state is MarketState.PRE_OPEN:
        return may_rest(command.time_in_force)
    return market_state is MarketState.POST_ONLY and command.time_in_force is _POST_ONLY


def closed_reason(market_state: MarketState) -> RejectReason:
    """The refusal that names the state of a market that is not open."""
    match market_state:
        case MarketState.PRE_OPEN:
            return RejectReason.MARKET_PRE_OPEN
        case MarketState.POST_ONLY:
            return RejectReason.MARKET_POST_ONLY
        case MarketState.CANCEL_ONLY:
            return RejectReason.MARKET_CANCEL_ONLY
        case _:
            return RejectReason.MARKET_HALTED


def restricted_reason(account_state: AccountState) -> RejectReason:
    """The refusal that names the state of an account that is not active."""
    if account_state is AccountState.CANCEL_ONLY:
        return RejectReason.ACCOUNT_CANCEL_ONLY
    return RejectReason.ACCOUNT_FROZEN


def is_too_large(market: Market, order: Order, hold_atoms: int) -> bool:
    """Whether a number of the order does not fit in 128 bits."""
    notional_atoms = order.price_ticks * order.size_lots * market.unit_atoms
    return (
        hold_atoms > MAX_ATOMS
        or order.size_lots * market.lot_atoms > MAX_ATOMS
        or (notional_atoms > MAX_ATOMS and order.quote_atoms == 0)
    )
