"""Order requests: a decoded JSON object becomes a command, or is refused by the field at fault.

What only the state of the engine can decide is left to the core. What does not go together in one request
is refused here too, with words that name the field.
"""

from collections.abc import Mapping
from typing import Any

from exchange.core.commands import AmendOrder, CancelClientOrder, CancelOrder, PlaceOrder
from exchange.core.markets import Market
from exchange.core.rejects import RejectReason
from exchange.core.units import MAX_TIME_NS
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce, TriggerKind
from exchange.gateway.accounts import own_account_id, own_open_order
from exchange.gateway.callers import Caller
from exchange.gateway.fields import (
    parse_amount_atoms,
    parse_client_id,
    parse_expires_ns,
    parse_market,
    parse_order_id,
    parse_price_ticks,
    parse_size_lots,
    parse_time_ms,
    parse_word,
    refuse_unknown_fields,
    required,
)
from exchange.gateway.refusals import FieldRefused, GatewayCode
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.open_orders import OpenOrder

PLACE_FIELDS = frozenset(
    {
        "sub_account",
        "market",
        "side",
        "type",
        "time_in_force",
        "price",
        "size",
        "amount",
        "good_till_ms",
        "trigger",
        "self_trade_prevention",
        "client_order_id",
        "expires_at_ms",
    }
)
AMEND_FIELDS = frozenset({"price", "size", "expires_at_ms"})
CANCEL_FIELDS = frozenset({"order_id", "client_order_id", "sub_account"})
_TRIGGER_FIELDS = frozenset({"type", "price"})
_MAY_REST = (TimeInForce.GTC, TimeInForce.POST_ONLY, TimeInForce.GTT)


def parse_place_order(
    body: Mapping[str, object], account_id: int, markets: Mapping[str, Market], now_ns: int
) -> PlaceOrder:
    """The command of an order request. Raises FieldRefused.

    `type` is limit unless given; `time_in_force` is gtc for a limit order and ioc for a market order unless
    given; the request lives for 30 s from now unless `expires_at_ms` says less. `sub_account` has been read
    by who knows the account.
    """
    refuse_unknown_fields(body, PLACE_FIELDS)
    market = parse_market(required(body, "market"), markets)
    order_type = parse_word(_given(body, "type", OrderType.LIMIT), "type", OrderType)
    usual = TimeInForce.GTC if order_type is OrderType.LIMIT else TimeInForce.IOC
    trigger, trigger_ticks = _parse_trigger(body.get("trigger"), market)
    client_order_id = body.get("client_order_id")
    order = PlaceOrder(  # by position: made for every order
        account_id,
        market.market_id,
        parse_word(required(body, "side"), "side", Side),
        order_type,
        parse_word(_given(body, "time_in_force", usual), "time_in_force", TimeInForce),
        _parse_worst_price(body, order_type, market),
        _parse_size(body, market),
        None if client_order_id is None else parse_client_id(client_order_id, "client_order_id"),
        parse_expires_ns(body.get("expires_at_ms"), now_ns),
        parse_word(
            _given(body, "self_trade_prevention", SelfTradePrevention.CANCEL_NEWEST),
            "self_trade_prevention",
            SelfTradePrevention,
        ),
        _parse_good_till_ns(body.get("good_till_ms")),
        trigger,
        trigger_ticks,
        _parse_amount(body, market),
    )
    _refuse_combination(order)
    return order


def parse_amend_order(
    body: Mapping[str, object], order: OpenOrder, market: Market, now_ns: int
) -> AmendOrder:
    """The command that amends this open order: what is not given stays as it is. Raises FieldRefused."""
    refuse_unknown_fields(body, AMEND_FIELDS)
    price, size = body.get("price"), body.get("size")
    if price is None and size is None:
        raise FieldRefused(GatewayCode.FIELD_MISSING, "give a new price, a new size, or both", field="price")
    return AmendOrder(
        account_id=order.account_id,
        order_id=order.order_id,
        price_ticks=order.price_ticks if price is None else parse_price_ticks(price, market),
        size_lots=order.size_lots if size is None else parse_size_lots(size, market),
        expires_ns=parse_expires_ns(body.get("expires_at_ms"), now_ns),
    )


def parse_cancel_order(
    body: Mapping[str, object], view: CommittedView, caller: Caller
) -> tuple[CancelOrder | CancelClientOrder, OpenOrder | None]:
    """The command that ends one order, and the order where it is known. Raises FieldRefused, AgentRefused.

    By `order_id` it is an order that is open as committed. By `client_order_id` and `sub_account` it may be
    one that is still on its way, so only the engine can say which it is, and whether the caller may touch it.
    """
    refuse_unknown_fields(body, CANCEL_FIELDS)
    order_id, client_order_id = body.get("order_id"), body.get("client_order_id")
    if client_order_id is None:
        if order_id is None:
            raise FieldRefused(
                GatewayCode.FIELD_MISSING, "give an order_id or a client_order_id", field="order_id"
            )
        if body.get("sub_account") is not None:
            raise _does_not_go_together("sub_account", "an order_id says which account it is of")
        order = own_open_order(view, caller, parse_order_id(order_id))
        return CancelOrder(order.account_id, order.order_id), order
    if order_id is not None:
        raise _does_not_go_together("client_order_id", "give an order_id or a client_order_id, not both")
    name = parse_client_id(client_order_id, "client_order_id")
    account_id = own_account_id(view, caller, body.get("sub_account"))
    market_ids = () if caller.agent is None else caller.agent.market_ids
    return CancelClientOrder(account_id, name, market_ids), None


def _given(body: Mapping[str, object], field: str, usual: object) -> object:
    value = body.get(field)
    return usual if value is None else value


def _parse_worst_price(body: Mapping[str, object], order_type: OrderType, market: Market) -> int:
    """Ticks of the price; 0 when a market order leaves it to the market's band."""
    if order_type is OrderType.MARKET and body.get("price") is None:
        return 0
    return parse_price_ticks(required(body, "price"), market)


def _parse_size(body: Mapping[str, object], market: Market) -> int:
    """Lots of the size; 0 when an amount is given instead."""
    if body.get("amount") is None:
        return parse_size_lots(required(body, "size"), market)
    if body.get("size") is not None:
        raise _does_not_go_together("amount", "give a size or an amount, not both")
    return 0


def _parse_amount(body: Mapping[str, object], market: Market) -> int:
    amount = body.get("amount")
    return 0 if amount is None else parse_amount_atoms(amount, market.quote_decimals, "amount")


def _parse_good_till_ns(value: object) -> int:
    """A time that is past is left to the engine: it may know the order, which is then sent again."""
    if value is None:
        return 0
    good_till_ns = parse_time_ms(value, "good_till_ms") * 1_000_000
    if not 0 < good_till_ns <= MAX_TIME_NS:
        raise FieldRefused(
            RejectReason.GOOD_TILL_INVALID, "there is no such time", field="good_till_ms", value=value
        )
    return good_till_ns


def _parse_trigger(value: object, market: Market) -> tuple[TriggerKind | None, int]:
    if value is None:
        return None, 0
    if not isinstance(value, dict):
        raise FieldRefused(
            GatewayCode.FIELD_INVALID,
            'must be an object like {"type": "stop", "price": "2900"}',
            field="trigger",
            value=value,
        )
    trigger: dict[str, Any] = value
    refuse_unknown_fields(trigger, _TRIGGER_FIELDS, "trigger.")
    kind = parse_word(required(trigger, "type", "trigger."), "trigger.type", TriggerKind)
    return kind, parse_price_ticks(required(trigger, "price", "trigger."), market, "trigger.price")


def _refuse_combination(order: PlaceOrder) -> None:
    """As the core does, but saying which field does not go with the others. Raises FieldRefused."""
    tif = order.time_in_force
    if order.order_type is OrderType.MARKET and tif in _MAY_REST:
        raise _does_not_go_together("time_in_force", "a market order is ioc or fok")
    if tif is TimeInForce.GTT and not order.good_till_ns:
        raise FieldRefused(GatewayCode.FIELD_MISSING, "gtt says until when", field="good_till_ms")
    if tif is not TimeInForce.GTT and order.good_till_ns:
        raise _does_not_go_together("good_till_ms", "only with time_in_force gtt")
    if not order.quote_atoms:
        return
    if order.order_type is not OrderType.MARKET or order.side is not Side.BUY or tif is not TimeInForce.IOC:
        raise _does_not_go_together("amount", "only a market buy that is ioc may have an amount")
    if order.trigger is not None:
        raise _does_not_go_together("trigger", "an order by amount can not wait for a trigger; give a size")
    if order.self_trade_prevention is SelfTradePrevention.DECREMENT:
        raise _does_not_go_together("self_trade_prevention", "an order by amount has no size to decrement")


def _does_not_go_together(field: str, detail: str) -> FieldRefused:
    return FieldRefused(RejectReason.INVALID_COMBINATION, detail, field=field)
