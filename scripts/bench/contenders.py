"""Our two contenders: the book with balances, and the whole `apply`. All that knows the core by name is here.

`Venue` is a market as the devnet opens it (ETH-USDC, tick 0.01, lot 0.0001, fees 10/20 bps) with rich
accounts, made through commands. On it

  `run_book`   drives the core's functions below `apply`: the order, its hold, matching with settlement, the
               place in the book, release. No commands, no refusals, no answers but the trades.
  `run_apply`  applies whole commands, as the sequencer does: one time per batch, a client order id each.

Both change the same state in the same way, so rounds of the two may take turns on equal venues. Rates are of
the thread's own time: what other processes take of the machine is not counted.
"""

from array import array
from collections.abc import Iterable
from time import perf_counter_ns, thread_time, thread_time_ns

import msgspec
from scripts.bench.workload import BATCH, CANCEL, Depth, Operation, fresh_batches

from exchange.core import ledger
from exchange.core.apply import apply
from exchange.core.commands import (
    CancelOrder,
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    SetRules,
)
from exchange.core.events import AccountOpened, Event
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.matching import match, required_hold_atoms
from exchange.core.orders import Order
from exchange.core.state import State
from exchange.core.terms import RULES_VERSION
from exchange.core.words import OrderType, SelfTradePrevention, Side, TimeInForce

START_NS = 1_700_000_000_000_000_000
COMMANDS_PER_SECOND = 2_000
"""How fast command time passes: ended client order ids are remembered for 60 s of it."""
REQUEST_LIFE_NS = 10_000_000_000

CHAIN_ID = 31_337
VAULT = "0x" + "fa" * 20
USDC = "0x" + "c0" * 20
RICH_BASE_ATOMS = 10**6 * 10**18
RICH_QUOTE_ATOMS = 10**10 * 10**6

Batch = tuple[int, bytes]
"""A time and the commands that have it, as JSON."""

decode_commands = msgspec.json.Decoder(list[Command]).decode


def opening_commands(accounts: int) -> list[Command]:
    """Lists the assets, opens the market, then opens each account and gives it plenty of both assets."""
    commands: list[Command] = [
        ListAsset("ETH", 18, CHAIN_ID, VAULT, NATIVE_TOKEN),
        ListAsset("USDC", 6, CHAIN_ID, VAULT, USDC),
        OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 10, 20),
        *map(SetRules, range(2, RULES_VERSION + 1)),
    ]
    number = 0
    for account in range(accounts):
        owner = f"0x{account + 1:040x}"
        commands.append(OpenAccount(owner))
        for token, atoms in ((NATIVE_TOKEN, RICH_BASE_ATOMS), (USDC, RICH_QUOTE_ATOMS)):
            number += 1
            tx_hash = f"0x{number:064x}"
            commands.append(CreditDeposit(CHAIN_ID, VAULT, number, owner, token, atoms, tx_hash, 0, number))
    return commands


class CommandWriter:
    """Turns the operations of one workload into commands with their times.

    `first_seq` is the seq of the workload's first operation: an order's id is the seq that placed it.
    """

    def __init__(
        self,
        first_seq: int,
        account_ids: list[int],
        *,
        client_order_ids: bool = True,
        life_ns: int = REQUEST_LIFE_NS,
    ) -> None:
        self._first_seq = first_seq
        self._account_ids = account_ids
        self._client_order_ids = client_order_ids
        self._life_ns = life_ns
        self._written = 0

    def commands(self, operations: list[Operation], time_ns: int) -> list[Command]:
        """The next operations of the workload, all sent at one time."""
        return [self._command(each, time_ns) for each in operations]

    def batches(self, operations: list[Operation]) -> list[Batch]:
        """The next operations of the workload, sent `COMMANDS_PER_SECOND`."""
        batches: list[Batch] = []
        for start in range(0, len(operations), BATCH):
            time_ns = START_NS + self._written * 1_000_000_000 // COMMANDS_PER_SECOND
            commands = self.commands(operations[start : start + BATCH], time_ns)
            batches.append((time_ns, msgspec.json.encode(commands)))
        return batches

    def _command(self, operation: Operation, time_ns: int) -> Command:
        kind, account, is_buy, price_ticks, size_lots, target = operation
        index = self._written
        self._written += 1
        account_id = self._account_ids[account]
        if kind == CANCEL:
            return CancelOrder(account_id, self._first_seq + target)
        return PlaceOrder(
            account_id,
            1,
            Side.BUY if is_buy else Side.SELL,
            OrderType.LIMIT,
            TimeInForce.GTC,
            price_ticks,
            size_lots,
            f"order-{index:010d}" if self._client_order_ids else None,
            time_ns + self._life_ns,
        )


class Venue:
    """A state with one market and rich accounts, and where a workload stands on it."""

    def __init__(self, accounts: int, *, client_order_ids: bool = True) -> None:
        self.state = State()
        events = [
            apply(self.state, seq, START_NS, command)
            for seq, command in enumerate(opening_commands(accounts), 1)
        ]
        self.account_ids = opened_accounts(events)
        self.first_seq = self.state.seq + 1
        self.writer = CommandWriter(self.first_seq, self.account_ids, client_order_ids=client_order_ids)

    # ---- the whole apply

    def run_apply(self, batches: list[Batch]) -> float:
        """Seconds for the commands of the batches; each is decoded just before, with the clock stopped."""
        state, seq = self.state, self.state.seq
        seconds = 0.0
        for time_ns, payload in batches:
            commands = decode_commands(payload)
            started = thread_time()
            for command in commands:
                seq += 1
                apply(state, seq, time_ns, command)
            seconds += thread_time() - started
        return seconds

    def time_each(self, batches: list[Batch]) -> "tuple[array[int], array[int]]":
        """Nanoseconds of each command, on the wall clock and of this thread's own time.

        The clocks' own cost is included: some 50 ns in the first, more in the second.
        """
        state, seq, wall_ns, own_ns = self.state, self.state.seq, perf_counter_ns, thread_time_ns
        taken_wall_ns, taken_own_ns = array("q"), array("q")  # nothing that the collector would look at
        for time_ns, payload in batches:
            for command in decode_commands(payload):
                seq += 1
                own_before_ns = own_ns()
                started_ns = wall_ns()
                apply(state, seq, time_ns, command)
                ended_ns = wall_ns()
                taken_own_ns.append(own_ns() - own_before_ns)
                taken_wall_ns.append(ended_ns - started_ns)
        return taken_wall_ns, taken_own_ns

    # ---- the book with balances

    def run_book(self, operations: list[Operation]) -> float:
        """Seconds for the operations, without commands."""
        return sum(self._run_book(batch) for batch in fresh_batches(operations))

    def _run_book(self, operations: list[Operation]) -> float:
        state = self.state
        market, book, orders, time_ns = state.markets[1], state.books[1], state.orders, state.time_ns
        accounts = [state.accounts[account_id] for account_id in self.account_ids]
        base, quote = market.base_asset_id, market.quote_asset_id
        maker_fee_bps, taker_fee_bps = market.maker_fee_bps, market.taker_fee_bps
        bids, asks, buy, sell = book.bids, book.asks, Side.BUY, Side.SELL
        limit, gtc, prevention = OrderType.LIMIT, TimeInForce.GTC, SelfTradePrevention.CANCEL_NEWEST
        first_seq, seq = self.first_seq, state.seq
        started = thread_time()
        for kind, number, is_buy, price_ticks, size_lots, target in operations:
            seq += 1
            account = accounts[number]
            if kind == CANCEL:
                order = orders.pop(first_seq + target)
                (bids if is_buy else asks).remove(order)
                ledger.release(account, quote if is_buy else base, order.held_atoms)
                order.held_atoms = 0
                del account.orders[order.order_id]
                continue
            order = Order(
                seq,
                account,
                1,
                buy if is_buy else sell,
                limit,
                gtc,
                prevention,
                price_ticks,
                size_lots,
                size_lots,
                0,
                maker_fee_bps,
                taker_fee_bps,
                None,
                time_ns,
            )
            order.held_atoms = hold_atoms = required_hold_atoms(market, order)
            ledger.hold(account, quote if is_buy else base, hold_atoms)
            events: list[Event] = []
            match(state, market, book, order, events)
            if order.remaining_lots:
                order.queued_seq = seq
                (bids if is_buy else asks).add(price_ticks, order)
                orders[seq] = account.orders[seq] = order
        seconds = thread_time() - started
        state.seq = seq
        return seconds

    def depth(self) -> Depth:
        return depth(self.state)

    @property
    def trades(self) -> int:
        """How many there have been."""
        return self.state.next_trade_id - 1


def opened_accounts(events: Iterable[Iterable[Event]]) -> list[int]:
    """Ids of the accounts that these events opened, in order: account n of the workload is the n-th."""
    return [event.account_id for each in events for event in each if isinstance(event, AccountOpened)]


def depth(state: State) -> Depth:
    """Open lots by price, bids and asks, of the one market."""
    book = state.books[1]
    bids, asks = (
        {
            price_ticks: sum(order.remaining_lots for order in level)
            for price_ticks, level in side.levels_from_best()
        }
        for side in (book.bids, book.asks)
    )
    return bids, asks
