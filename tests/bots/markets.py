"""Markets and orders to test bots' logic with."""

from decimal import Decimal

from exchange_sdk.models import Level, Market, Order, Side


def market(tick: str = "0.01", lot: str = "0.0001", maker_fee_bps: int = 10) -> Market:
    return Market(
        symbol="ETH-USDC",
        base="ETH",
        quote="USDC",
        tick=Decimal(tick),
        lot=Decimal(lot),
        state="open",
        last_price=None,
        price_band_bps=0,
        market_band_bps=500,
        maker_fee_bps=maker_fee_bps,
        taker_fee_bps=20,
        fee_tiers=(),
    )


def order(order_id: int, side: Side, price: str, size: str, filled: str = "0") -> Order:
    return Order(
        order_id=str(order_id),
        sub_account=0,
        market="ETH-USDC",
        side=side,
        type="limit",
        time_in_force="post_only",
        price=Decimal(price),
        size=Decimal(size),
        amount=None,
        filled=Decimal(filled),
        remaining=Decimal(size) - Decimal(filled),
        status="open",
        trigger=None,
        good_till_ms=None,
        self_trade_prevention="cancel_newest",
        created_ms=0,
    )


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), Decimal(size)) for price, size in pairs)
