"""A whole exchange in memory that checks itself after every command, in the words of its scenarios."""

from collections.abc import Iterable

from tests.core.checked import SECOND, START_NS, CheckedState

from exchange.core import ledger
from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.commands import (
    AmendOrder,
    ApproveAgent,
    CancelAll,
    CancelAllAfter,
    CancelClientOrder,
    CancelOrder,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    RevokeAgent,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRateClass,
    SetRules,
    SettleWithdrawal,
    SetWithdrawalTerms,
    Tick,
    TransferFunds,
    UseNonce,
)
from exchange.core.events import AccountKnown, AccountOpened, Event, OrderEnded, Rejected, Trade
from exchange.core.markets import Market
from exchange.core.orders import Order
from exchange.core.rejects import RejectReason
from exchange.core.words import (
    AccountState,
    AgentScope,
    MarketState,
    OrderType,
    RateClass,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)

__all__ = [
    "CHAIN_ID",
    "SECOND",
    "START_NS",
    "VAULT",
    "Venue",
    "address",
    "approval",
    "ends",
    "fills",
    "key_of",
    "refusal",
    "token",
    "trades",
    "withdrawal_id",
]

CHAIN_ID = 31337
VAULT = "0x" + "fa" * 20


def address(name: str) -> str:
    """A stable lower-case address for a person of a test."""
    return "0x" + name.encode().hex().rjust(40, "0")


def token(symbol: str) -> str:
    return "0x" + symbol.encode().hex().rjust(40, "e")


def withdrawal_id(label: str) -> str:
    return "0x" + label.encode().hex().rjust(64, "0")


def key_of(bot: str) -> str:
    """A stable Ed25519 key for an agent of a test."""
    return "0x" + bot.encode().hex().rjust(64, "0")


def approval(person: str, bot: str, expires_ns: int, **more: object) -> ApproveAgent:
    """The person's approval of a bot that may do everything everywhere, but for what `more` says."""
    return ApproveAgent(
        **{
            "owner": address(person),
            "key": key_of(bot),
            "name": bot,
            "scopes": (AgentScope.READ, AgentScope.TRADE),
            "market_ids": (),
            "sub_accounts": (),
            "expires_ns": expires_ns,
            "ip_ranges": (),
            "nonce": 1,
            "deadline_s": expires_ns // SECOND,
            "signature": "0x" + "22" * 65,
            **more,
        }  # type: ignore[arg-type]
    )


class Venue(CheckedState):
    """The scenarios' words. Everybody has an account as soon as they are named; sub-account 0 unless said.

    It begins by switching on the version of the rules that it is to play by; a journal begins with version 1.
    """

    def __init__(self, *, checking: bool = True, ticking: bool = True, rules: int = 2) -> None:
        super().__init__(checking=checking, ticking=ticking)
        for version in range(2, rules + 1):
            self.do(SetRules(version))

    # ---- the operator

    def list_asset(self, symbol: str, decimals: int = 0, **numbers: int) -> list[Event]:
        return self.do(ListAsset(symbol, decimals, CHAIN_ID, VAULT, token(symbol), **numbers))

    def open_market(
        self,
        base: str = "APPLE",
        quote: str = "COIN",
        *,
        maker_fee_bps: int = 0,
        taker_fee_bps: int = 0,
        tick: tuple[int, int] = (1, 0),
        lot_atoms: int = 1,
        state: MarketState = MarketState.OPEN,
    ) -> Market:
        """Lists both assets (whole units only) when needed and opens their market."""
        for symbol in (base, quote):
            if symbol not in self.state.asset_by_symbol:
                self.list_asset(symbol)
        symbol = f"{base}-{quote}"
        self.do(OpenMarket(symbol, base, quote, *tick, lot_atoms, maker_fee_bps, taker_fee_bps, state))
        return self.state.market_by_symbol[symbol]

    def set_state(self, state: MarketState, market: int = 1) -> list[Event]:
        return self.do(SetMarketState(market, state))

    def set_fees(self, *tiers: tuple[int, int], market: int = 1) -> list[Event]:
        """(maker, taker) bps of tier 0, 1, ..."""
        return self.do(SetFees(market, tiers))

    def set_tier(self, name: str, tier: int) -> list[Event]:
        return self.do(SetFeeTier(address(name), tier))

    def set_bands(self, price_band_bps: int, market_band_bps: int, market: int = 1) -> list[Event]:
        return self.do(SetPriceBands(market, price_band_bps, market_band_bps))

    def set_limits(self, name: str, in_all: int, per_market: int, sub_account: int = 0) -> list[Event]:
        return self.do(SetAccountLimits(self.account_id(name, sub_account), in_all, per_market))

    def restrict(self, name: str, state: AccountState, sub_account: int = 0) -> list[Event]:
        return self.do(SetAccountState(self.account_id(name, sub_account), state))

    def freeze(self, name: str, sub_account: int = 0) -> list[Event]:
        return self.restrict(name, AccountState.FROZEN, sub_account)

    def set_withdrawal_terms(self, symbol: str, fee: int, minimum: int) -> list[Event]:
        return self.do(SetWithdrawalTerms(self.asset_id(symbol), fee, minimum))

    # ---- accounts and funds

    def account_id(self, name: str, sub_account: int = 0) -> int:
        known = self.state.account_by_owner.get((address(name), sub_account))
        if known is not None:
            return known.account_id
        (event,) = self.do(OpenAccount(address(name), sub_account))
        assert isinstance(event, AccountOpened | AccountKnown)
        return event.account_id

    def asset_id(self, symbol: str) -> int:
        return self.state.asset_by_symbol[symbol].asset_id

    def deposit(
        self, name: str, symbol: str, amount: int, number: int | None = None, vault: str = VAULT
    ) -> list[Event]:
        last = self.state.last_deposit.get((CHAIN_ID, vault), 0)
        chosen = last + 1 if number is None else number
        return self.do(
            CreditDeposit(
                CHAIN_ID,
                vault,
                chosen,
                address(name),
                token(symbol),
                amount,
                "0x" + "ab" * 32,
                3,
                100 + chosen,
            )
        )

    def give(self, name: str, **amounts: int) -> int:
        """Deposits for a person; answers with the account id."""
        for symbol, amount in amounts.items():
            self.deposit(name, symbol.upper(), amount)
        return self.account_id(name)

    def transfer(
        self,
        name: str,
        symbol: str,
        amount: int,
        to: int,
        *,
        cid: str = "t1",
        sub_account: int = 0,
        expires_ns: int | None = None,
    ) -> list[Event]:
        """From one sub-account of the person to another."""
        expires = self.time_ns + 30 * SECOND if expires_ns is None else expires_ns
        account_id = self.account_id(name, sub_account)
        return self.do(TransferFunds(account_id, to, self.asset_id(symbol), amount, cid, expires))

    def withdraw(
        self, name: str, symbol: str, amount: int, label: str = "w1", *, max_fee: int = 0, in_s: int = 600
    ) -> list[Event]:
        deadline_s = self.time_ns // SECOND + in_s
        return self.do(
            RequestWithdrawal(
                withdrawal_id(label),
                self.account_id(name),
                self.asset_id(symbol),
                amount,
                max_fee,
                address(name),
                1,
                deadline_s,
                "0x" + "11" * 65,
            )
        )

    def settle(self, label: str = "w1", outcome: str = "paid") -> list[Event]:
        return self.do(SettleWithdrawal(withdrawal_id(label), "0x" + "cd" * 32, 200, outcome))  # type: ignore[arg-type]

    def refund(self, label: str, block_time_s: int) -> list[Event]:
        return self.do(RefundWithdrawal(withdrawal_id(label), 300, block_time_s))

    # ---- agents

    def approve(self, person: str, bot: str, *, days: float = 30, **more: object) -> list[Event]:
        """The person lets a bot act for so long."""
        self.account_id(person)
        return self.do(approval(person, bot, self.time_ns + int(days * 86_400 * SECOND), **more))

    def revoke(self, name: str, bot: str) -> list[Event]:
        return self.do(RevokeAgent(address(name), key_of(bot)))

    def sign(self, bot: str, nonce: int | None = None, *, ahead_us: int = 0) -> list[Event]:
        """A request signed by the bot: at this time, or so far ahead of now."""
        return self.do(UseNonce(key_of(bot), self.time_ns // 1_000 + ahead_us if nonce is None else nonce))

    def set_rate_class(self, name: str, rate_class: RateClass) -> list[Event]:
        self.account_id(name)
        return self.do(SetRateClass(address(name), rate_class))

    # ---- orders

    def order(
        self,
        name: str,
        side: Side,
        size: int,
        at: int,
        *,
        tif: TimeInForce = TimeInForce.GTC,
        kind: OrderType = OrderType.LIMIT,
        cid: str | None = None,
        market: int = 1,
        sub_account: int = 0,
        expires_ns: int | None = None,
        stp: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST,
        till_ns: int = 0,
        stop: int | None = None,
        take_profit: int | None = None,
        spending: int = 0,
    ) -> list[Event]:
        """`till_ns` makes it good till a time; `stop` and `take_profit` are triggers."""
        expires = self.time_ns + 30 * SECOND if expires_ns is None else expires_ns
        account_id = self.account_id(name, sub_account)
        trigger, trigger_ticks = None, 0
        if stop is not None:
            trigger, trigger_ticks = TriggerKind.STOP, stop
        elif take_profit is not None:
            trigger, trigger_ticks = TriggerKind.TAKE_PROFIT, take_profit
        if till_ns and tif is TimeInForce.GTC:
            tif = TimeInForce.GTT
        return self.do(
            PlaceOrder(
                account_id,
                market,
                side,
                kind,
                tif,
                at,
                size,
                cid,
                expires,
                stp,
                till_ns,
                trigger,
                trigger_ticks,
                spending,
            )
        )

    def buy(self, name: str, size: int, at: int, **more: object) -> list[Event]:
        return self.order(name, Side.BUY, size, at, **more)  # type: ignore[arg-type]

    def sell(self, name: str, size: int, at: int, **more: object) -> list[Event]:
        return self.order(name, Side.SELL, size, at, **more)  # type: ignore[arg-type]

    def market_buy(self, name: str, size: int, worst: int = 0, **more: object) -> list[Event]:
        return self._market(name, Side.BUY, size, worst, more)

    def market_sell(self, name: str, size: int, worst: int = 0, **more: object) -> list[Event]:
        return self._market(name, Side.SELL, size, worst, more)

    def spend(self, name: str, amount: int, worst: int = 0, **more: object) -> list[Event]:
        """A market buy by amount, fee included."""
        return self._market(name, Side.BUY, 0, worst, {"spending": amount, **more})

    def _market(self, name: str, side: Side, size: int, worst: int, more: dict[str, object]) -> list[Event]:
        chosen = {"kind": OrderType.MARKET, "tif": TimeInForce.IOC, **more}
        return self.order(name, side, size, worst, **chosen)  # type: ignore[arg-type]

    def trade_at(self, price: int, size: int = 1, market: int = 1) -> list[Event]:
        """Two strangers trade at a price of an empty stretch of the book."""
        base, quote = (
            self.state.assets[asset].symbol.lower()
            for asset in (
                self.state.markets[market].base_asset_id,
                self.state.markets[market].quote_asset_id,
            )
        )
        self.give("stranger1", **{base: size * self.state.markets[market].lot_atoms})
        notional = self.state.markets[market].notional_atoms(price, size)
        self.give("stranger2", **{quote: 2 * notional})
        self.sell("stranger1", size, at=price, market=market)
        events = self.buy("stranger2", size, at=price, market=market, tif=TimeInForce.FOK)
        assert trades(events) == [(price, size)]
        return events

    def amend(
        self,
        name: str,
        order_id: int,
        size: int,
        at: int,
        *,
        sub_account: int = 0,
        expires_ns: int | None = None,
    ) -> list[Event]:
        expires = self.time_ns + 30 * SECOND if expires_ns is None else expires_ns
        return self.do(AmendOrder(self.account_id(name, sub_account), order_id, at, size, expires))

    def cancel(self, name: str, order_id: int, sub_account: int = 0) -> list[Event]:
        return self.do(CancelOrder(self.account_id(name, sub_account), order_id))

    def cancel_by_client(
        self, name: str, cid: str, only: tuple[int, ...] = (), *, sub_account: int = 0
    ) -> list[Event]:
        return self.do(CancelClientOrder(self.account_id(name, sub_account), cid, only))

    def cancel_all(self, name: str, market: int | None = None, side: Side | None = None) -> list[Event]:
        return self.do(CancelAll(self.account_id(name), market, side))

    def cancel_all_after(self, name: str, seconds: float) -> list[Event]:
        """Sets the person's dead man's switch that far ahead; 0 switches it off."""
        fires_ns = self.time_ns + int(seconds * SECOND) if seconds else 0
        return self.do(CancelAllAfter(self.account_id(name), fires_ns))

    def tick(self) -> list[Event]:
        return self.do(Tick())

    # ---- looking

    def has(self, name: str, symbol: str, sub_account: int = 0) -> tuple[int, int]:
        """What the person has of an asset: (available, held)."""
        account = self.state.accounts[self.account_id(name, sub_account)]
        entry = ledger.balance(account, self.asset_id(symbol))
        return entry.available_atoms, entry.held_atoms

    def system(self, account_id: int, symbol: str) -> int:
        return ledger.available_atoms(self.state.accounts[account_id], self.asset_id(symbol))

    def fees(self, symbol: str = "COIN") -> int:
        return self.system(FEES_ACCOUNT, symbol)

    def open(self, order_id: int) -> Order:
        """An order that must be open."""
        return self.state.orders[order_id]

    def queue(self, price: int, market: int = 1) -> list[tuple[int, int]]:
        """(order id, remaining) at a price of the book, the first in the queue first."""
        book = self.state.books[market]
        return [
            (order.order_id, order.remaining_lots)
            for side in (book.bids, book.asks)
            for at, level in side.levels_from_best()
            for order in level
            if at == price
        ]

    @property
    def last_order_id(self) -> int:
        return self.state.seq


def refusal(events: Iterable[Event]) -> RejectReason:
    """The reason of a refused command; fails when it was not refused."""
    (event,) = events
    assert isinstance(event, Rejected), event
    return event.reason


def trades(events: Iterable[Event]) -> list[tuple[int, int]]:
    """(price, size) of each fill, in order."""
    return [(event.price_ticks, event.size_lots) for event in events if isinstance(event, Trade)]


def fills(events: Iterable[Event]) -> list[Trade]:
    return [event for event in events if isinstance(event, Trade)]


def ends(events: Iterable[Event]) -> list[tuple[int, str]]:
    """(order id, reason) of each order that ended, in order."""
    return [(event.order_id, event.reason.value) for event in events if isinstance(event, OrderEnded)]
