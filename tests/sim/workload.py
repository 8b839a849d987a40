"""Random commands: mostly sensible ones that meet each other, now and then anything at all."""

from random import Random

import msgspec

from exchange.core.commands import (
    AmendOrder,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    Command,
    PlaceOrder,
    RequestWithdrawal,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRateClass,
    SetWithdrawalTerms,
    Tick,
    TransferFunds,
)
from exchange.core.words import (
    AccountState,
    MarketState,
    OrderType,
    RateClass,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)

SECOND = 1_000_000_000
LIFE_S = 30
"""How long an order request is good."""

SIDES = tuple(Side)
MODES = tuple(SelfTradePrevention)
TRIGGERS = tuple(TriggerKind)
RESTING = (
    TimeInForce.GTC,
    TimeInForce.GTC,
    TimeInForce.GTC,
    TimeInForce.GTC,
    TimeInForce.POST_ONLY,
    TimeInForce.GTT,
)
TAKING = (TimeInForce.IOC, TimeInForce.FOK)
NONSENSE = (0, -1, 2**62, 2**63)


def an_order(random: Random, account_id: int, now_ns: int, client_order_id: str | None) -> PlaceOrder:
    """An order near 6 ticks, of any type."""
    takes = random.random() < 0.25
    tif = random.choice(TAKING if takes else RESTING)
    plain = PlaceOrder(
        account_id=account_id,
        market_id=1,
        side=random.choice(SIDES),
        order_type=OrderType.MARKET if takes and random.random() < 0.5 else OrderType.LIMIT,
        time_in_force=tif,
        price_ticks=random.randint(3, 9),
        size_lots=random.randint(1, 20),
        client_order_id=client_order_id,
        expires_ns=now_ns + LIFE_S * SECOND,
        self_trade_prevention=random.choice(MODES),
        good_till_ns=now_ns + random.randint(1, 15) * SECOND if tif is TimeInForce.GTT else 0,
    )
    chance = random.random()
    if chance < 0.12:
        trigger, ticks = random.choice(TRIGGERS), random.randint(2, 10)
        return msgspec.structs.replace(plain, trigger=trigger, trigger_ticks=ticks)
    if chance < 0.18:
        return msgspec.structs.replace(
            plain,
            side=Side.BUY,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            size_lots=0,
            good_till_ns=0,
            quote_atoms=random.choice((5, 60, 900)),
            self_trade_prevention=SelfTradePrevention.CANCEL_OLDEST,
        )
    if chance < 0.22:
        name = random.choice(("price_ticks", "size_lots", "good_till_ns", "trigger_ticks", "quote_atoms"))
        return msgspec.structs.replace(plain, **{name: random.choice(NONSENSE)})
    return plain


def an_amendment(random: Random, account_id: int, order_id: int, now_ns: int) -> AmendOrder:
    """Another price or size for an order."""
    return AmendOrder(
        account_id, order_id, random.randint(3, 9), random.randint(1, 20), now_ns + LIFE_S * SECOND
    )


def a_cancellation(
    random: Random, account_id: int, order_ids: list[int], names: list[str], now_ns: int
) -> Command:
    """Of one order, by the exchange's id or by the client's own, of all of them, or of all of them later."""
    chance = random.random()
    if chance < 0.45 and order_ids:
        return CancelOrder(account_id, random.choice(order_ids))
    if chance < 0.75 and names:
        return CancelClientOrder(account_id, random.choice(names), random.choice(((), (), (1,), (2, 9))))
    if chance < 0.9:
        return CancelAll(account_id, random.choice((None, 1)), random.choice((None, *SIDES)))
    return CancelAllAfter(account_id, random.choice((0, now_ns + random.randint(1, 20) * SECOND)))


def a_transfer(random: Random, account_id: int, now_ns: int, name: str) -> TransferFunds:
    """To another sub-account of the owner."""
    to_sub_account, asset_id = random.choice((0, 1, 2, 128)), random.choice((1, 2, 3))
    amount = random.choice((1, 20, 300, 0, 10**12))
    return TransferFunds(account_id, to_sub_account, asset_id, amount, name, now_ns + LIFE_S * SECOND)


def a_withdrawal(
    random: Random, account_id: int, now_ns: int, withdrawal_id: str, nonce: int
) -> RequestWithdrawal:
    """With a deadline that is soon enough to be missed at times."""
    return RequestWithdrawal(
        withdrawal_id=withdrawal_id,
        account_id=account_id,
        asset_id=random.choice((1, 2)),
        amount_atoms=random.choice((3, 10, 40, 1_000, 0)),
        max_fee_atoms=2,
        destination=f"0x{0xDE57:040x}",
        nonce=nonce,
        deadline_s=now_ns // SECOND + random.choice((8, 20, 30, 45)),
        signature="0x" + "11" * 65,
    )


def an_operation(random: Random, owners: list[str], account_ids: list[int]) -> Command:
    """Something that only an operator may ask for. A market that is not open opens again soon."""
    match random.randrange(9):
        case 0 | 1:
            states = (*MarketState, *(4 * (MarketState.OPEN,)))
            return SetMarketState(1, random.choice(states))
        case 2:
            return SetFees(1, random.choice((((7, 33),), ((-5, 10), (0, 8)), ((0, 0),), ((-50, 10),))))
        case 3:
            return SetFeeTier(random.choice(owners), random.choice((0, 1, 5, 16)))
        case 4:
            return SetPriceBands(1, *random.choice(((0, 500), (5_000, 2_000), (100, 500))))
        case 5:
            states = (*AccountState, *(3 * (AccountState.ACTIVE,)))
            return SetAccountState(random.choice(account_ids), random.choice(states))
        case 6:
            return SetRateClass(random.choice(owners), random.choice(tuple(RateClass)))
        case 7:
            return SetWithdrawalTerms(random.choice((1, 2, 3)), random.choice((0, 2, 3, -1)), 1)
        case _:
            return SetAccountLimits(
                random.choice(account_ids), *random.choice(((1_000, 1_000), (5, 3), (2, 7)))
            )


def nonsense(random: Random, account_ids: list[int]) -> Command:
    """Nothing that anybody should send."""
    account_id = random.choice((*account_ids, 1, 7))
    return random.choice(
        (
            CancelOrder(account_id, random.randint(-1, 50)),
            CancelClientOrder(account_id, random.choice(("", "nobody's")), (-1,)),
            CancelAll(account_id, 9),
            AmendOrder(account_id, random.randint(1, 50), 0, -1, 0),
            Tick(),
            SetMarketState(9, MarketState.OPEN),
        )
    )
