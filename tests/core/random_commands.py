"""Random commands of every kind, drawn with an eye on the state so that most of them do something.

For tests of what carries a state (images, journals), where what the commands do is proven elsewhere.
"""

from random import Random

from msgspec.structs import replace
from tests.core.venue import (
    CHAIN_ID,
    SECOND,
    START_NS,
    VAULT,
    address,
    approval,
    key_of,
    token,
    withdrawal_id,
)

from exchange.core import commands as c
from exchange.core.apply import apply
from exchange.core.events import Event
from exchange.core.orders import Order
from exchange.core.schedule import work_is_due
from exchange.core.state import State
from exchange.core.terms import RULES_VERSION
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

PEOPLE = ("alice", "bob", "carol", "dave")
MARKETS = ("APPLE-COIN", "PEAR-COIN")


def opening() -> list[c.Command]:
    """Three assets, two markets with rebates, four people with plenty of everything."""
    commands: list[c.Command] = [c.SetRules(version) for version in range(2, RULES_VERSION + 1)]
    symbols = ("APPLE", "PEAR", "COIN")
    commands += [c.ListAsset(symbol, 0, CHAIN_ID, VAULT, token(symbol), 2) for symbol in symbols]
    commands += [c.OpenMarket(name, *name.split("-"), 1, 0, 1, -5, 30) for name in MARKETS]
    number = 0
    for person in PEOPLE:
        commands.append(c.OpenAccount(address(person)))
        for symbol in symbols:
            number += 1
            commands.append(_deposit(person, token(symbol), 10**9, number))
    return commands


def _deposit(person: str, of: str, amount: int, number: int) -> c.CreditDeposit:
    return c.CreditDeposit(
        CHAIN_ID, VAULT, number, address(person), of, amount, "0x" + "ab" * 32, 3, 100 + number
    )


class RandomCommands:
    """An endless day on one state: `step` applies a command and whatever Ticks are due before it.

    Now and then something of an agent's comes first.
    """

    def __init__(self, seed: int, state: State | None = None) -> None:
        self.random = Random(seed)
        self._beside = Random(seed)
        """For what comes beside: it changes nothing in what else happens on the day of a seed."""
        self.state = State() if state is None else state
        self.time_ns = max(START_NS, self.state.time_ns)
        self.log: list[tuple[int, c.Command, list[Event]]] = []

    def open(self) -> None:
        for command in opening():
            self._do(command)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def step(self) -> None:
        self.time_ns += self.random.choice([0] * 40 + [1, 1, 7, 65]) * SECOND
        while work_is_due(self.state, self.time_ns) and self.random.random() < 0.9:
            self._do(c.Tick())
        if self._beside.random() < 0.05:
            self._do(self._of_an_agent())
        self._do(self._command())

    def _do(self, command: c.Command) -> None:
        events = apply(self.state, self.state.seq + 1, self.time_ns, command)
        self.log.append((self.time_ns, command, events))

    def _command(self) -> c.Command:
        random, state = self.random, self.state
        rich = list(range(1_000, 1_000 + len(PEOPLE)))
        account_id = random.choice(rich * 4 + [number for number in state.accounts if number >= 1_000])
        person, expires_ns = random.choice(PEOPLE), self.time_ns + 30 * SECOND
        market_id = random.choice((1, 1, 1, 2))
        closed = [market.market_id for market in state.markets.values() if market.state != MarketState.OPEN]
        if closed and random.random() < 0.2:
            return c.SetMarketState(closed[0], MarketState.OPEN)
        restricted = [a.account_id for a in state.accounts.values() if a.state != AccountState.ACTIVE]
        if restricted and random.random() < 0.1:
            return c.SetAccountState(restricted[0], AccountState.ACTIVE)
        roll = random.randrange(100)
        if roll < 55:
            return self._order(account_id, market_id, expires_ns)
        if roll < 70:
            order = self._open_order(account_id)
            if roll < 64:
                return self._cancel(order) if order else c.Tick()
            size_lots = random.randrange(1, 60)
            price_ticks = order.price_ticks + random.randrange(3) if order else 1
            owner, order_id = (order.account.account_id, order.order_id) if order else (account_id, 3)
            return c.AmendOrder(owner, order_id, price_ticks, size_lots, expires_ns)
        match roll:
            case 70 | 71 | 72:
                return c.CancelAllAfter(account_id, self.time_ns + random.randrange(1, 900) * SECOND)
            case 73 | 74 | 75:
                deadline_s = self.time_ns // SECOND + random.randrange(1, 600)
                label = withdrawal_id(f"w{random.randrange(30)}")
                return c.RequestWithdrawal(
                    label, account_id, random.choice((1, 2, 3)), random.randrange(1, 500), 5, "0xd", 1,
                    deadline_s, "0x",
                )  # fmt: skip
            case 76 | 77 if state.withdrawals:
                return c.SettleWithdrawal(random.choice(list(state.withdrawals)), "0xt", 9, "paid")
            case 78 if state.withdrawals:
                return c.RefundWithdrawal(random.choice(list(state.withdrawals)), 9, 2**40)
            case 79 | 80 | 81:
                return c.TransferFunds(
                    account_id, random.randrange(4), random.choice((1, 2, 3)), random.randrange(1, 10**6),
                    random.choice("stuvw"), expires_ns,
                )  # fmt: skip
            case 82 | 83:
                number = state.last_deposit[CHAIN_ID, VAULT] + 1
                return _deposit(
                    random.choice((person, "erin")), token(random.choice(("COIN", "NUT"))), 7, number
                )
            case 84 | 85 | 86 | 87 | 88 | 89 | 93 | 94:
                return self._operators(roll, account_id, market_id, person)
            case 90 | 91:
                return c.CancelAll(account_id, random.choice((None, 1, 2)), random.choice((None, *Side)))
            case 92:
                return c.OpenAccount(address(person), random.randrange(4))
            case _:
                return self._order(account_id, market_id, expires_ns)

    def _cancel(self, order: Order) -> c.Command:
        """By the one id or the other: it ends either way."""
        account_id = order.account.account_id
        if order.client_order_id is None or self._beside.random() < 0.5:
            return c.CancelOrder(account_id, order.order_id)
        return c.CancelClientOrder(account_id, order.client_order_id, self._beside.choice(((), (1, 2))))

    def _operators(self, roll: int, account_id: int, market_id: int, person: str) -> c.Command:
        random = self.random
        match roll:
            case 84 | 85:
                return c.SetMarketState(market_id, random.choice(list(MarketState)))
            case 86:
                return c.SetFees(
                    market_id, random.choice([((-4, 30), (-6, 20)), ((10, 20),), ((5, 3), (1, 1))])
                )
            case 87:
                return c.SetFeeTier(address(person), random.randrange(3))
            case 88:
                return c.SetPriceBands(market_id, random.choice((0, 2_000)), random.choice((500, 1_500)))
            case 89:
                return c.SetAccountLimits(account_id, random.choice((1_000, 40)), random.choice((40, 30)))
            case 93:
                return c.SetAccountState(account_id, random.choice(list(AccountState)))
            case _:
                asset_id = random.choice(list(self.state.assets))
                return c.SetWithdrawalTerms(asset_id, random.randrange(4), random.randrange(1, 4))

    def _of_an_agent(self) -> c.Command:
        """Signed requests of a dozen keys, that are now and then approved, revoked, and approved again."""
        random, state = self._beside, self.state
        person = random.choice(PEOPLE)
        key, owner = key_of(f"bot {random.randrange(12)}"), address(person)
        match random.randrange(8):
            case 0 | 1:
                agent = state.agents.get(key)
                days = random.choice((0.001, 30))
                fresh = approval(person, "bot", self.time_ns + int(days * 86_400 * SECOND), key=key)
                if agent is None or random.random() < 0.3:
                    return fresh
                names = ("owner", "key", "name", "expires_ns")
                return replace(fresh, **{name: getattr(agent, name) for name in names})
            case 2:
                return c.RevokeAgent(state.agents[key].owner if key in state.agents else owner, key)
            case 3:
                return c.SetRateClass(owner, random.choice(list(RateClass)))
            case _:
                return c.UseNonce(key, self.time_ns // 1_000 + random.randrange(-3, 4))

    def _open_order(self, account_id: int) -> Order | None:
        account = self.state.accounts[account_id]
        mine = list(account.orders.values())
        return self.random.choice(mine) if mine else None

    def _order(self, account_id: int, market_id: int, expires_ns: int) -> c.PlaceOrder:
        random = self.random
        side = random.choice(list(Side))
        order = c.PlaceOrder(
            account_id,
            market_id,
            side,
            OrderType.LIMIT,
            random.choice([TimeInForce.GTC] * 6 + [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY]),
            1_000 + (random.randrange(-40, 8) if side is Side.BUY else random.randrange(-8, 40)),
            random.randrange(1, 40),
            random.choice([None, None, f"c{random.randrange(60)}"]),
            expires_ns,
            random.choice(list(SelfTradePrevention)),
        )
        fields = {name: getattr(order, name) for name in order.__struct_fields__}
        match random.randrange(12):
            case 0 | 1:
                ahead_ns = random.randrange(1, 200) * SECOND
                fields |= {"time_in_force": TimeInForce.GTT, "good_till_ns": self.time_ns + ahead_ns}
            case 2 | 3:
                fields |= {
                    "trigger": random.choice(list(TriggerKind)),
                    "trigger_ticks": 1_000 + random.randrange(-20, 20),
                }
            case 4:
                fields |= {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "price_ticks": 0}
            case 5:
                fields |= {
                    "order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC, "side": Side.BUY,
                    "size_lots": 0, "quote_atoms": random.randrange(1, 60_000),
                    "self_trade_prevention": SelfTradePrevention.CANCEL_OLDEST,
                }  # fmt: skip
            case _:
                pass
        return c.PlaceOrder(**fields)
