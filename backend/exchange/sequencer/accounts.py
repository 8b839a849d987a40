"""The accounts' side of the committed view: who they are, what they have, which terms they trade on.

The movements of the three events of everyday trading are done in place, because they come by the ten
thousands a second. Those of all other events come from `core.movements`, which says the same of these three;
tests hold the two together.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from exchange.core.accounts import FEES_ACCOUNT, MAX_OPEN_ORDERS, SYSTEM_ACCOUNTS, Balance
from exchange.core.events import (
    AccountLimitsSet,
    AccountOpened,
    AccountStateSet,
    CancelAllAfterFired,
    CancelAllAfterSet,
    Event,
    FeeTierSet,
    OrderAccepted,
    OrderEnded,
    Trade,
)
from exchange.core.markets import Market
from exchange.core.movements import movements
from exchange.core.state import State
from exchange.core.words import AccountState, Side

_BUY = Side.BUY


class AccountLimits(NamedTuple):
    """How many orders an account may have open, in all and in one market."""

    max_open_orders: int
    max_orders_per_market: int


class _Account(msgspec.Struct, gc=False):
    owner: str = ""
    sub_account: int = 0
    balances: dict[int, Balance] = msgspec.field(default_factory=dict)
    """By asset id."""
    limits: AccountLimits = AccountLimits(MAX_OPEN_ORDERS, MAX_OPEN_ORDERS)
    cancel_all_ns: int = 0
    state: AccountState = AccountState.ACTIVE


class Accounts:
    """All accounts, the system's included. Methods that take an event fold it in.

    Raises KeyError for an account that does not exist, except where nothing is the answer.
    """

    def __init__(self, markets: Mapping[int, Market]) -> None:
        self._markets = markets
        self._accounts: dict[int, _Account] = {number: _Account() for number in SYSTEM_ACCOUNTS}
        self._sub_accounts: dict[str, dict[int, int]] = {}
        self._fee_tiers: dict[str, int] = {}

    def load(self, state: State) -> None:
        """Takes over what is in the core's state."""
        for account_id, account in state.accounts.items():
            self._accounts[account_id] = _Account(
                account.owner,
                account.sub_account,
                {asset_id: _copy(entry) for asset_id, entry in account.balances.items()},
                AccountLimits(account.max_open_orders, account.max_orders_per_market),
                account.cancel_all_ns,
                account.state,
            )
        for (owner, sub_account), account in state.account_by_owner.items():
            self._sub_accounts.setdefault(owner, {})[sub_account] = account.account_id
        self._fee_tiers = dict(state.fee_tiers)

    # ---- reads

    def find(self, owner: str, sub_account: int) -> int | None:
        """The id of an account."""
        return self._sub_accounts.get(owner, {}).get(sub_account)

    def of_owner(self, owner: str) -> list[tuple[int, int]]:
        """(number, account id), by number."""
        return sorted(self._sub_accounts.get(owner, {}).items())

    def owner(self, account_id: int) -> str:
        return self._accounts[account_id].owner

    def sub_account(self, account_id: int) -> int:
        return self._accounts[account_id].sub_account

    def limits(self, account_id: int) -> AccountLimits:
        return self._accounts[account_id].limits

    def cancel_all_ns(self, account_id: int) -> int:
        return self._accounts[account_id].cancel_all_ns

    def state(self, account_id: int) -> AccountState:
        return self._accounts[account_id].state

    def fee_tier(self, owner: str) -> int:
        return self._fee_tiers.get(owner, 0)

    def balance(self, account_id: int, asset_id: int) -> Balance:
        """A copy; empty for an account that does not exist."""
        account = self._accounts.get(account_id)
        entry = None if account is None else account.balances.get(asset_id)
        return Balance() if entry is None else _copy(entry)

    def balances(self, account_id: int) -> dict[int, Balance]:
        """Copies of those that are not empty, by asset id."""
        account = self._accounts.get(account_id)
        if account is None:
            return {}
        return {
            asset_id: _copy(entry)
            for asset_id, entry in account.balances.items()
            if entry.available_atoms or entry.held_atoms
        }

    # ---- movements

    def hold(self, event: OrderAccepted) -> None:
        hold_atoms = event.hold_atoms
        entry = self._accounts[event.account_id].balances[event.hold_asset_id]
        entry.available_atoms -= hold_atoms
        entry.held_atoms += hold_atoms

    def release(self, event: OrderEnded) -> None:
        released_atoms = event.released_atoms
        if released_atoms:
            entry = self._accounts[event.account_id].balances[event.released_asset_id]
            entry.available_atoms += released_atoms
            entry.held_atoms -= released_atoms

    def exchange(self, trade: Trade) -> None:
        if trade.taker_side is _BUY:
            buyer_id, buyer_fee_atoms = trade.taker_account_id, trade.taker_fee_atoms
            seller_id, seller_fee_atoms = trade.maker_account_id, trade.maker_fee_atoms
        else:
            buyer_id, buyer_fee_atoms = trade.maker_account_id, trade.maker_fee_atoms
            seller_id, seller_fee_atoms = trade.taker_account_id, trade.taker_fee_atoms
        market = self._markets[trade.market_id]
        base, quote = market.base_asset_id, market.quote_asset_id
        quote_atoms, released_atoms = trade.quote_atoms, trade.buyer_released_atoms
        bought, sold = self._accounts[buyer_id].balances, self._accounts[seller_id].balances
        entry = bought[quote]
        entry.held_atoms -= quote_atoms + buyer_fee_atoms + released_atoms
        entry.available_atoms += released_atoms
        sold[base].held_atoms -= trade.base_atoms
        _entry(bought, base).available_atoms += trade.base_atoms
        _entry(sold, quote).available_atoms += quote_atoms - seller_fee_atoms
        fee_atoms = buyer_fee_atoms + seller_fee_atoms
        if fee_atoms:
            _entry(self._accounts[FEES_ACCOUNT].balances, quote).available_atoms += fee_atoms

    def move(self, event: Event) -> None:
        """Any other event that moves something."""
        for account_id, asset_id, available_atoms, held_atoms in movements(event, self._markets):
            entry = _entry(self._accounts[account_id].balances, asset_id)
            entry.available_atoms += available_atoms
            entry.held_atoms += held_atoms

    # ---- terms

    def open(self, event: AccountOpened) -> None:
        self._accounts[event.account_id] = _Account(event.owner, event.sub_account)
        self._sub_accounts.setdefault(event.owner, {})[event.sub_account] = event.account_id

    def set_limits(self, event: AccountLimitsSet) -> None:
        limits = AccountLimits(event.max_open_orders, event.max_orders_per_market)
        self._accounts[event.account_id].limits = limits

    def set_state(self, event: AccountStateSet) -> None:
        self._accounts[event.account_id].state = event.state

    def set_switch(self, event: CancelAllAfterSet) -> None:
        self._accounts[event.account_id].cancel_all_ns = event.fires_ns

    def fire_switch(self, event: CancelAllAfterFired) -> None:
        self._accounts[event.account_id].cancel_all_ns = 0

    def set_fee_tier(self, event: FeeTierSet) -> None:
        if event.tier:
            self._fee_tiers[event.owner] = event.tier
        else:
            self._fee_tiers.pop(event.owner, None)


def _entry(balances: dict[int, Balance], asset_id: int) -> Balance:
    """The balance of an asset, created empty on first use."""
    entry = balances.get(asset_id)
    if entry is None:
        entry = balances[asset_id] = Balance()
    return entry


def _copy(entry: Balance) -> Balance:
    return Balance(entry.available_atoms, entry.held_atoms)
