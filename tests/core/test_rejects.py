"""Every reason of a refusal is produced by a scenario, and by the command it belongs to."""

from collections.abc import Callable

import pytest
from tests.core.venue import Venue, refusal

from exchange.core.commands import CancelOrder, OpenAccount, OpenMarket, SetRules
from exchange.core.events import Event
from exchange.core.rejects import RejectReason
from exchange.core.words import AccountState, MarketState, OrderType, TimeInForce


def mine(venue: Venue) -> int:
    return venue.state.accounts[venue.account_id("alice")].client_orders["mine"].order_id


def in_state(venue: Venue, state: MarketState) -> list[Event]:
    """An order that no market takes unless it is open."""
    venue.set_state(state)
    return venue.buy("bob", 1, at=1, tif=TimeInForce.IOC)


def when_due(venue: Venue) -> list[Event]:
    venue.cancel_all_after("alice", 1)
    venue.pass_time(1)
    venue.ticking = False
    return venue.buy("bob", 1, at=1)


SCENARIOS: dict[RejectReason, Callable[[Venue], list[Event]]] = {
    RejectReason.ASSET_EXISTS: lambda v: v.list_asset("APPLE"),
    RejectReason.ASSET_INVALID: lambda v: v.list_asset("KIWI", 99),
    RejectReason.MARKET_EXISTS: lambda v: v.do(OpenMarket("APPLE-COIN", "APPLE", "COIN", 1, 0, 1, 0, 0)),
    RejectReason.MARKET_INVALID: lambda v: v.do(OpenMarket("X", "APPLE", "COIN", 0, 0, 1, 0, 0)),
    RejectReason.MARKET_NOT_DIVISIBLE: lambda v: v.do(OpenMarket("X", "APPLE", "COIN", 1, 1, 1, 0, 0)),
    RejectReason.FEES_INVALID: lambda v: v.set_fees((-2, 1)),
    RejectReason.PRICE_BANDS_INVALID: lambda v: v.set_bands(1, 2),
    RejectReason.ACCOUNT_LIMITS_INVALID: lambda v: v.set_limits("alice", 1, 2),
    RejectReason.RULES_INVALID: lambda v: v.do(SetRules(2)),
    RejectReason.UNKNOWN_ACCOUNT: lambda v: v.do(CancelOrder(77, 1)),
    RejectReason.UNKNOWN_ASSET: lambda v: v.do(OpenMarket("X", "KIWI", "COIN", 1, 0, 1, 0, 0)),
    RejectReason.UNKNOWN_MARKET: lambda v: v.sell("alice", 1, at=1, market=9),
    RejectReason.UNKNOWN_ORDER: lambda v: v.cancel("alice", 12345),
    RejectReason.UNKNOWN_WITHDRAWAL: lambda v: v.settle("nothing"),
    RejectReason.ACCOUNT_INVALID: lambda v: v.do(OpenAccount("")),
    RejectReason.REQUEST_EXPIRED: lambda v: v.sell("alice", 1, at=1, expires_ns=0),
    RejectReason.REQUEST_EXPIRY_TOO_FAR: lambda v: v.sell(
        "alice", 1, at=1, expires_ns=v.time_ns + 60_000_000_001
    ),
    RejectReason.PRICE_OUT_OF_RANGE: lambda v: v.sell("alice", 1, at=0),
    RejectReason.SIZE_OUT_OF_RANGE: lambda v: v.sell("alice", 0, at=1),
    RejectReason.AMOUNT_TOO_LARGE: lambda v: v.buy("bob", 2**63 - 1, at=2**63 - 1, market=2),
    RejectReason.INSUFFICIENT_FUNDS: lambda v: v.sell("bob", 2, at=1),
    RejectReason.INVALID_COMBINATION: lambda v: v.sell("alice", 1, at=1, kind=OrderType.MARKET),
    RejectReason.POST_ONLY_WOULD_CROSS: lambda v: v.buy("bob", 1, at=100, tif=TimeInForce.POST_ONLY),
    RejectReason.FILL_OR_KILL_UNFILLABLE: lambda v: v.buy("bob", 9, at=100, tif=TimeInForce.FOK),
    RejectReason.CLIENT_ORDER_ID_REUSED: lambda v: v.sell("alice", 2, at=100, cid="mine"),
    RejectReason.TOO_MANY_OPEN_ORDERS: lambda v: [v.sell("alice", 1, at=100) for _ in range(1_001)][-1],
    RejectReason.TOO_MANY_ORDERS_IN_MARKET: lambda v: [
        v.set_limits("alice", 9, 1),
        v.sell("alice", 1, at=100),
    ][-1],
    RejectReason.PRICE_OUTSIDE_BAND: lambda v: [v.set_bands(1, 1), v.buy("bob", 1, at=102)][-1],
    RejectReason.NO_REFERENCE_PRICE: lambda v: v.market_buy("bob", 1, market=2),
    RejectReason.AMOUNT_BUYS_NOTHING: lambda v: v.spend("bob", 99, worst=100),
    RejectReason.GOOD_TILL_INVALID: lambda v: v.buy("bob", 1, at=1, till_ns=v.time_ns),
    RejectReason.TRIGGER_INVALID: lambda v: v.buy("bob", 1, at=1, stop=0),
    RejectReason.TRIGGER_ALREADY_MET: lambda v: v.buy("bob", 1, at=1, stop=50),
    RejectReason.AMEND_BELOW_FILLED: lambda v: v.amend("alice", mine(v), 1, at=100),
    RejectReason.CANCEL_ALL_AFTER_INVALID: lambda v: v.cancel_all_after("alice", 86_401),
    RejectReason.MARKET_PRE_OPEN: lambda v: in_state(v, MarketState.PRE_OPEN),
    RejectReason.MARKET_POST_ONLY: lambda v: in_state(v, MarketState.POST_ONLY),
    RejectReason.MARKET_CANCEL_ONLY: lambda v: in_state(v, MarketState.CANCEL_ONLY),
    RejectReason.MARKET_HALTED: lambda v: in_state(v, MarketState.HALTED),
    RejectReason.WORK_QUEUED: when_due,
    RejectReason.ACCOUNT_CANCEL_ONLY: lambda v: [
        v.restrict("bob", AccountState.CANCEL_ONLY),
        v.buy("bob", 1, at=1),
    ][-1],
    RejectReason.ACCOUNT_FROZEN: lambda v: [v.freeze("alice"), v.withdraw("alice", "APPLE", 1, "n")][-1],
    RejectReason.TRANSFER_INVALID: lambda v: v.transfer("alice", "APPLE", 1, to=0),
    RejectReason.CLIENT_TRANSFER_ID_REUSED: lambda v: v.transfer("alice", "APPLE", 2, to=1, cid="moved"),
    RejectReason.DEPOSIT_ALREADY_CREDITED: lambda v: v.deposit("alice", "APPLE", 1, number=1),
    RejectReason.DEPOSIT_OUT_OF_ORDER: lambda v: v.deposit("alice", "APPLE", 1, number=99),
    RejectReason.DEPOSIT_INVALID: lambda v: v.deposit("alice", "APPLE", 0),
    RejectReason.WITHDRAWAL_REPLAYED: lambda v: v.withdraw("alice", "APPLE", 1, "flying"),
    RejectReason.WITHDRAWAL_DEADLINE_PASSED: lambda v: v.withdraw("alice", "APPLE", 1, "n", in_s=0),
    RejectReason.WITHDRAWAL_DEADLINE_TOO_FAR: lambda v: v.withdraw("alice", "APPLE", 1, "n", in_s=10**6),
    RejectReason.WITHDRAWAL_TOO_SMALL: lambda v: v.withdraw("alice", "APPLE", 0, "n"),
    RejectReason.TOO_MANY_WITHDRAWALS: lambda v: [
        v.withdraw("alice", "APPLE", 1, f"w{n}") for n in range(21)
    ][-1],
    RejectReason.WITHDRAWAL_FEE_ABOVE_MAXIMUM: lambda v: v.withdraw("alice", "PLUM", 9, "n"),
    RejectReason.WITHDRAWAL_ALREADY_FINAL: lambda v: v.settle("landed"),
    RejectReason.WITHDRAWAL_NOT_REFUNDABLE: lambda v: v.refund("flying", 1),
    RejectReason.AGENT_INVALID: lambda v: v.approve("alice", "new", name=""),
    RejectReason.AGENT_UNKNOWN: lambda v: v.sign("new"),
    RejectReason.AGENT_REVOKED: lambda v: [v.revoke("alice", "bot"), v.sign("bot")][-1],
    RejectReason.AGENT_EXPIRED: lambda v: v.approve("alice", "new", days=0),
    RejectReason.AGENT_KEY_USED: lambda v: v.approve("bob", "bot"),
    RejectReason.TOO_MANY_AGENTS: lambda v: [v.approve("alice", f"bot {n}") for n in range(50)][-1],
    RejectReason.NONCE_USED: lambda v: [v.sign("bot"), v.sign("bot")][-1],
    RejectReason.NONCE_TOO_OLD: lambda v: [v.sign("bot", ahead_us=-n) for n in range(129)][-1],
    RejectReason.NONCE_OFF_TIME: lambda v: v.sign("bot", 1),
}


def stage() -> Venue:
    """A venue in which every refusal can happen with one more command."""
    venue = Venue(checking=False)
    venue.open_market()
    venue.open_market("PEAR", "COIN", lot_atoms=2**40)
    venue.list_asset("PLUM", 0, withdrawal_fee_atoms=3)
    venue.give("alice", apple=2_000)
    venue.give("bob", coin=5_000)
    venue.withdraw("alice", "APPLE", 1, "flying")
    venue.withdraw("alice", "APPLE", 1, "landed")
    venue.settle("landed")
    venue.sell("alice", 4, at=100, cid="mine")
    venue.buy("bob", 1, at=100)
    venue.transfer("alice", "APPLE", 1, to=1, cid="moved")
    venue.approve("alice", "bot")
    venue.check()
    return venue


@pytest.mark.parametrize("reason", RejectReason)
def test_a_command_is_refused_because_of(reason: RejectReason) -> None:
    assert reason in SCENARIOS, "a reason that nothing produces is not part of the public contract"
    venue = stage()
    assert refusal(SCENARIOS[reason](venue)) is reason
    venue.check()


def test_no_two_reasons_share_a_code() -> None:
    assert len({reason.value for reason in RejectReason}) == len(RejectReason.__members__) == len(SCENARIOS)
    assert all(reason.value == reason.name.lower() for reason in RejectReason)
