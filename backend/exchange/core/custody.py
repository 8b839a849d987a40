"""What comes and goes on chain: accounts, deposits, and the withdrawal's ledger side.

A withdrawal's amount leaves the account when it is requested and stands in the `withdrawals` account until
the chain decides: settled (it left the vault) or refunded (it never can).
"""

import heapq
from typing import Final

from exchange.core import ledger
from exchange.core.accounts import (
    CHAIN_ACCOUNT,
    FEES_ACCOUNT,
    MAX_OPEN_WITHDRAWALS,
    MAX_SUB_ACCOUNT,
    SUSPENSE_ACCOUNT,
    WITHDRAWALS_ACCOUNT,
    Account,
)
from exchange.core.commands import (
    CreditDeposit,
    OpenAccount,
    RefundWithdrawal,
    RequestWithdrawal,
    SettleWithdrawal,
)
from exchange.core.events import (
    AccountKnown,
    AccountOpened,
    DepositCredited,
    Event,
    WithdrawalRefunded,
    WithdrawalRequested,
    WithdrawalSettled,
    rejected,
)
from exchange.core.listing import add_asset
from exchange.core.markets import Asset
from exchange.core.rejects import RejectReason
from exchange.core.state import State, user_account
from exchange.core.units import MAX_ATOMS
from exchange.core.words import AccountState

MAX_WITHDRAWAL_DEADLINE_S: Final = 24 * 3600
"""How far ahead the deadline of a withdrawal may lie; it bounds how long its id must be remembered."""


def open_account(state: State, command: OpenAccount) -> list[Event]:
    """Gives the owner an account, or answers with the one there is."""
    if not command.owner or not 0 <= command.sub_account <= MAX_SUB_ACCOUNT:
        return rejected(RejectReason.ACCOUNT_INVALID)
    known = state.account_by_owner.get((command.owner, command.sub_account))
    if known is not None:
        return [AccountKnown(known.account_id)]
    events: list[Event] = []
    new_account(state, command.owner, command.sub_account, events)
    return events


def new_account(state: State, owner: str, sub_account: int, events: list[Event]) -> Account:
    """Opens an account that there is not yet, and appends the event of it."""
    account = Account(state.next_account_id, owner, sub_account)
    account.fee_tier = state.fee_tiers.get(owner, 0)
    state.next_account_id += 1
    state.accounts[account.account_id] = account
    state.account_by_owner[owner, sub_account] = account
    events.append(AccountOpened(account.account_id, owner, sub_account))
    return account


def credit_deposit(state: State, command: CreditDeposit) -> list[Event]:
    """Credits the next deposit of a vault, exactly once and in order."""
    vault = (command.chain_id, command.vault)
    last = state.last_deposit.get(vault, 0)
    if command.number <= last:
        return rejected(RejectReason.DEPOSIT_ALREADY_CREDITED)
    if command.number != last + 1:
        return rejected(RejectReason.DEPOSIT_OUT_OF_ORDER)
    if not command.owner or not 0 < command.amount_atoms <= MAX_ATOMS:
        return rejected(RejectReason.DEPOSIT_INVALID)

    events: list[Event] = []
    asset = state.asset_by_route.get((command.chain_id, command.vault, command.token))
    if asset is None:
        asset = Asset(
            asset_id=len(state.assets) + 1,
            symbol=f"{command.chain_id}:{command.vault}:{command.token}",
            decimals=0,
            chain_id=command.chain_id,
            vault=command.vault,
            token=command.token,
            withdrawal_fee_atoms=0,
            min_withdrawal_atoms=1,
            listed=False,
        )
        events.append(add_asset(state, asset))
    chain = state.accounts[CHAIN_ACCOUNT]
    in_custody_atoms = -ledger.available_atoms(chain, asset.asset_id)
    if not asset.listed or in_custody_atoms + command.amount_atoms > MAX_ATOMS:
        receiver = state.accounts[SUSPENSE_ACCOUNT]
    else:
        receiver = state.account_by_owner.get((command.owner, 0)) or new_account(
            state, command.owner, 0, events
        )
    state.last_deposit[vault] = command.number
    ledger.transfer(chain, receiver, asset.asset_id, command.amount_atoms)
    events.append(
        DepositCredited(
            account_id=receiver.account_id,
            asset_id=asset.asset_id,
            amount_atoms=command.amount_atoms,
            chain_id=command.chain_id,
            vault=command.vault,
            number=command.number,
            owner=command.owner,
            token=command.token,
            tx_hash=command.tx_hash,
            log_index=command.log_index,
            block_number=command.block_number,
        )
    )
    return events


def request_withdrawal(state: State, command: RequestWithdrawal) -> list[Event]:
    """Takes the amount out of the account, in flight until settled or refunded."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    asset = state.assets.get(command.asset_id)
    if asset is None or not asset.listed:
        return rejected(RejectReason.UNKNOWN_ASSET)
    if command.withdrawal_id in state.withdrawals or command.withdrawal_id in state.final_withdrawals:
        return rejected(RejectReason.WITHDRAWAL_REPLAYED)
    if account.state is AccountState.FROZEN:
        return rejected(RejectReason.ACCOUNT_FROZEN)
    ahead_ns = command.deadline_s * 1_000_000_000 - state.time_ns
    if ahead_ns <= 0:
        return rejected(RejectReason.WITHDRAWAL_DEADLINE_PASSED)
    if ahead_ns > MAX_WITHDRAWAL_DEADLINE_S * 1_000_000_000:
        return rejected(RejectReason.WITHDRAWAL_DEADLINE_TOO_FAR)
    fee_atoms = asset.withdrawal_fee_atoms
    if fee_atoms > command.max_fee_atoms:
        return rejected(RejectReason.WITHDRAWAL_FEE_ABOVE_MAXIMUM)
    if command.amount_atoms - fee_atoms < asset.min_withdrawal_atoms:
        return rejected(RejectReason.WITHDRAWAL_TOO_SMALL)
    if command.amount_atoms > MAX_ATOMS:
        return rejected(RejectReason.AMOUNT_TOO_LARGE)
    if account.open_withdrawals >= MAX_OPEN_WITHDRAWALS:
        return rejected(RejectReason.TOO_MANY_WITHDRAWALS)
    if command.amount_atoms > ledger.available_atoms(account, asset.asset_id):
        return rejected(RejectReason.INSUFFICIENT_FUNDS)

    requested = WithdrawalRequested(
        withdrawal_id=command.withdrawal_id,
        account_id=account.account_id,
        asset_id=asset.asset_id,
        amount_atoms=command.amount_atoms,
        fee_atoms=fee_atoms,
        destination=command.destination,
        nonce=command.nonce,
        deadline_s=command.deadline_s,
        owner=account.owner,
        chain_id=asset.chain_id,
        vault=asset.vault,
        token=asset.token,
    )
    ledger.transfer(account, state.accounts[WITHDRAWALS_ACCOUNT], asset.asset_id, command.amount_atoms)
    state.withdrawals[command.withdrawal_id] = requested
    account.open_withdrawals += 1
    return [requested]


def settle_withdrawal(state: State, command: SettleWithdrawal) -> list[Event]:
    """The payment is final on chain."""
    requested = state.withdrawals.get(command.withdrawal_id)
    if requested is None:
        return _not_in_flight(state, command.withdrawal_id)
    in_flight = state.accounts[WITHDRAWALS_ACCOUNT]
    asset_id = requested.asset_id
    paid_atoms = requested.amount_atoms - requested.fee_atoms
    ledger.transfer(in_flight, state.accounts[CHAIN_ACCOUNT], asset_id, paid_atoms)
    if requested.fee_atoms:
        ledger.transfer(in_flight, state.accounts[FEES_ACCOUNT], asset_id, requested.fee_atoms)
    _finish(state, requested, "settled")
    return [
        WithdrawalSettled(
            withdrawal_id=requested.withdrawal_id,
            account_id=requested.account_id,
            asset_id=asset_id,
            amount_atoms=requested.amount_atoms,
            fee_atoms=requested.fee_atoms,
            tx_hash=command.tx_hash,
            block_number=command.block_number,
            outcome=command.outcome,
        )
    ]


def refund_withdrawal(state: State, command: RefundWithdrawal) -> list[Event]:
    """The payment can never happen: the amount goes back."""
    requested = state.withdrawals.get(command.withdrawal_id)
    if requested is None:
        return _not_in_flight(state, command.withdrawal_id)
    if command.block_time_s <= requested.deadline_s:
        return rejected(RejectReason.WITHDRAWAL_NOT_REFUNDABLE)
    account = state.accounts[requested.account_id]
    in_flight = state.accounts[WITHDRAWALS_ACCOUNT]
    ledger.transfer(in_flight, account, requested.asset_id, requested.amount_atoms)
    _finish(state, requested, "refunded")
    return [
        WithdrawalRefunded(
            withdrawal_id=requested.withdrawal_id,
            account_id=requested.account_id,
            asset_id=requested.asset_id,
            amount_atoms=requested.amount_atoms,
            block_number=command.block_number,
        )
    ]


def _not_in_flight(state: State, withdrawal_id: str) -> list[Event]:
    if withdrawal_id in state.final_withdrawals:
        return rejected(RejectReason.WITHDRAWAL_ALREADY_FINAL)
    return rejected(RejectReason.UNKNOWN_WITHDRAWAL)


def _finish(state: State, requested: WithdrawalRequested, status: str) -> None:
    del state.withdrawals[requested.withdrawal_id]
    state.accounts[requested.account_id].open_withdrawals -= 1
    state.final_withdrawals[requested.withdrawal_id] = status
    heapq.heappush(state.final_by_deadline, (requested.deadline_s, requested.withdrawal_id))
