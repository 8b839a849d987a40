"""The whole state of the exchange: what the journal's commands, applied in order, have made."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from exchange.core.accounts import FIRST_USER_ACCOUNT, SYSTEM_ACCOUNTS, Account
from exchange.core.agents import Agent
from exchange.core.book import Book
from exchange.core.by_id import ById
from exchange.core.events import WithdrawalRequested
from exchange.core.markets import Asset, Market
from exchange.core.orders import Order
from exchange.core.words import RateClass

NEVER_NS: Final = 2**64
"""Later than any time."""


def _system_accounts() -> dict[int, Account]:
    return {number: Account(number, owner="", sub_account=0) for number in SYSTEM_ACCOUNTS}


def _no_orders() -> ById[Order]:
    return ById()


@dataclass(slots=True)
class State:
    """Mutable, owned by one task. Changed by `apply` only."""

    seq: int = 0
    time_ns: int = 0
    rules_version: int = 1
    """Of the rules in force; every journal begins with the first and switches on later ones."""

    assets: dict[int, Asset] = field(default_factory=dict)
    asset_by_symbol: dict[str, Asset] = field(default_factory=dict)
    asset_by_route: dict[tuple[int, str, str], Asset] = field(default_factory=dict)

    markets: dict[int, Market] = field(default_factory=dict)
    market_by_symbol: dict[str, Market] = field(default_factory=dict)
    books: dict[int, Book] = field(default_factory=dict)

    accounts: dict[int, Account] = field(default_factory=_system_accounts)
    account_by_owner: dict[tuple[str, int], Account] = field(default_factory=dict)
    next_account_id: int = FIRST_USER_ACCOUNT
    fee_tiers: dict[str, int] = field(default_factory=dict)
    """Fee tier by owner, where it is not 0."""
    rate_classes: dict[str, RateClass] = field(default_factory=dict)
    """By owner, where it is not the standard one."""
    agents: dict[str, Agent] = field(default_factory=dict)
    """Every key that was ever approved."""
    agents_by_owner: dict[str, list[Agent]] = field(default_factory=dict)

    orders: ById[Order] = field(default_factory=_no_orders)
    """Every open order, in a book or awaiting its trigger."""
    next_trade_id: int = 1
    ended_client_orders: deque[Order] = field(default_factory=deque)
    """Ended orders whose client order ids are remembered, the first to be forgotten first."""
    made_transfers: deque[tuple[int, int, str]] = field(default_factory=deque)
    """(forget at time_ns, account id, client transfer id), oldest first."""

    expiries: list[tuple[int, int]] = field(default_factory=list)
    """(-good_till_ns, -order id) of every open order that expires, sorted: the next one is the last."""
    switches: list[tuple[int, int]] = field(default_factory=list)
    """(-fires_ns, -account id) of every dead man's switch, sorted: the next one is the last."""
    met_markets: list[int] = field(default_factory=list)
    """Ids of open markets with an order whose trigger is met, in the order in which that happened."""
    work_due_ns: int = NEVER_NS
    """When there is work for a Tick: now, when it is not later than `time_ns`. See `schedule`."""

    last_deposit: dict[tuple[int, str], int] = field(default_factory=dict)
    withdrawals: dict[str, WithdrawalRequested] = field(default_factory=dict)
    """In flight, by withdrawal id."""
    final_withdrawals: dict[str, str] = field(default_factory=dict)
    """Settled or refunded, until no replay of the request can pass its deadline."""
    final_by_deadline: list[tuple[int, str]] = field(default_factory=list)
    """Heap of (deadline_s, withdrawal id) over `final_withdrawals`."""


def user_account(state: State, account_id: int) -> Account | None:
    """The account of a user; the system's accounts can not be spoken for."""
    account = state.accounts.get(account_id)
    return None if account is None or account_id in SYSTEM_ACCOUNTS else account
