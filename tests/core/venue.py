"""A whole exchange in memory that checks itself after every command.

After each command the state is audited from scratch, the folded movements of all events are compared with the
engine's balances, and the committed view (a third way to the same numbers) is compared with both.
"""

from collections import defaultdict
from collections.abc import Iterable

from exchange.core import ledger
from exchange.core.accounts import FEES_ACCOUNT
from exchange.core.apply import apply
from exchange.core.commands import (
    CancelAll,
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    RefundWithdrawal,
    RequestWithdrawal,
    SettleWithdrawal,
)
from exchange.core.events import AccountKnown, AccountOpened, Event, OrderEnded, Rejected, Trade
from exchange.core.invariants import audit
from exchange.core.markets import Market
from exchange.core.movements import movements
from exchange.core.orders import OrderType, Side, TimeInForce
from exchange.core.rejects import RejectReason
from exchange.core.state import State
from exchange.sequencer.committed import CommittedView

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
CHAIN_ID = 31337
VAULT = "0x" + "fa" * 20


def address(name: str) -> str:
    """A stable lower-case address for a person of a test."""
    return "0x" + name.encode().hex().rjust(40, "0")


def token(symbol: str) -> str:
    return "0x" + symbol.encode().hex().rjust(40, "e")


def withdrawal_id(label: str) -> str:
    return "0x" + label.encode().hex().rjust(64, "0")


class Venue:
    """A state, its events so far, and two independent folds of these events."""

    def __init__(self, *, checking: bool = True) -> None:
        self.state = State()
        self.view = CommittedView(genesis_id="0x" + "00" * 32)
        self.time_ns = START_NS
        self.checking = checking
        self.log: list[tuple[int, Command, list[Event]]] = []
        self.folded: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.deposits: dict[tuple[int, str], int] = defaultdict(int)

    # ---- running commands

    def do(self, command: Command) -> list[Event]:
        events = apply(self.state, self.state.seq + 1, self.time_ns, command)
        self.log.append((self.time_ns, command, events))
        for event in events:
            for account_id, asset_id, available, held in movements(event, self.state.markets):
                entry = self.folded[account_id, asset_id]
                entry[0] += available
                entry[1] += held
        self.view.advance(self.state.seq, self.time_ns, [events])
        if self.checking:
            self.check()
        return events

    def pass_time(self, seconds: float) -> None:
        self.time_ns += int(seconds * SECOND)

    def check(self) -> None:
        audit(self.state)
        self._check_balances()
        self._check_view()

    def _check_balances(self) -> None:
        engine = {
            (account.account_id, asset_id): [entry.available_atoms, entry.held_atoms]
            for account in self.state.accounts.values()
            for asset_id, entry in account.balances.items()
            if entry.available_atoms or entry.held_atoms
        }
        assert engine == {key: value for key, value in self.folded.items() if value != [0, 0]}
        for account in self.state.accounts.values():
            for asset_id in self.state.assets:
                mine, theirs = (
                    ledger.balance(account, asset_id),
                    self.view.balance(account.account_id, asset_id),
                )
                assert (mine.available_atoms, mine.held_atoms) == (theirs.available_atoms, theirs.held_atoms)

    def _check_view(self) -> None:
        view, state = self.view, self.state
        assert (view.seq, view.time_ns) == (state.seq, state.time_ns)
        assert view.assets == state.assets
        assert view.markets == state.markets
        assert view.asset_by_symbol == {a.symbol: a for a in state.assets.values() if a.listed}
        assert view.market_by_symbol == state.market_by_symbol
        for (owner, sub_account), account in state.account_by_owner.items():
            assert view.account_id(owner, sub_account) == account.account_id
            assert view.owner(account.account_id) == owner
            seen = [
                (o.order_id, o.remaining_lots, o.client_order_id)
                for o in view.open_orders(account.account_id)
            ]
            assert seen == [
                (o.order_id, o.remaining_lots, o.client_order_id) for o in account.open_orders.values()
            ]
        for order in state.orders.values():
            seen_order = view.open_order(order.order_id)
            assert seen_order is not None
            assert seen_order.account_id == order.account.account_id
            assert (seen_order.market_id, seen_order.side) == (order.market_id, order.side)
            assert (seen_order.price_ticks, seen_order.size_lots) == (order.price_ticks, order.size_lots)
        for market_id in state.markets:
            assert view.depth(market_id, 1_000_000) == self.depth(market_id)
        for (chain_id, vault), number in state.last_deposit.items():
            assert view.last_deposit(chain_id, vault) == number
        for label, requested in state.withdrawals.items():
            assert view.open_withdrawal(label) == requested
        for label in state.final_withdrawals:
            assert view.open_withdrawal(label) is None

    def depth(self, market_id: int = 1) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks of the engine's own book, the best first, as (price, size)."""
        book = self.state.books[market_id]
        return (
            [(level.price_ticks, level.size_lots) for level in book.bids.levels()],
            [(level.price_ticks, level.size_lots) for level in book.asks.levels()],
        )

    # ---- words of the scenarios

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
    ) -> Market:
        """Lists both assets (whole units only) when needed and opens their market."""
        for symbol in (base, quote):
            if symbol not in self.state.asset_by_symbol:
                self.list_asset(symbol)
        symbol = f"{base}-{quote}"
        self.do(OpenMarket(symbol, base, quote, *tick, lot_atoms, maker_fee_bps, taker_fee_bps))
        return self.state.market_by_symbol[symbol]

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
    ) -> list[Event]:
        expires = self.time_ns + 30 * SECOND if expires_ns is None else expires_ns
        account_id = self.account_id(name, sub_account)
        return self.do(PlaceOrder(account_id, market, side, kind, tif, at, size, cid, expires))

    def buy(self, name: str, size: int, at: int, **more: object) -> list[Event]:
        return self.order(name, Side.BUY, size, at, **more)  # type: ignore[arg-type]

    def sell(self, name: str, size: int, at: int, **more: object) -> list[Event]:
        return self.order(name, Side.SELL, size, at, **more)  # type: ignore[arg-type]

    def cancel(self, name: str, order_id: int) -> list[Event]:
        return self.do(CancelOrder(self.account_id(name), order_id))

    def cancel_all(self, name: str, market: int | None = None) -> list[Event]:
        return self.do(CancelAll(self.account_id(name), market))

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

    def has(self, name: str, symbol: str) -> tuple[int, int]:
        """What the person has of an asset: (available, held)."""
        entry = ledger.balance(self.state.accounts[self.account_id(name)], self.asset_id(symbol))
        return entry.available_atoms, entry.held_atoms

    def system(self, account_id: int, symbol: str) -> int:
        return ledger.available_atoms(self.state.accounts[account_id], self.asset_id(symbol))

    def fees(self, symbol: str = "COIN") -> int:
        return self.system(FEES_ACCOUNT, symbol)

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
