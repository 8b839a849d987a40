"""Moving funds between the accounts of one owner, at once and exactly once."""

from exchange.core import ledger
from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.commands import TransferFunds
from exchange.core.custody import new_account
from exchange.core.events import Event, FundsTransferred, TransferKnown, rejected
from exchange.core.matching import CLIENT_ORDER_MEMORY_NS
from exchange.core.rejects import RejectReason
from exchange.core.state import State, user_account
from exchange.core.words import AccountState


def transfer_funds(state: State, command: TransferFunds) -> list[Event]:
    """Moves available funds to another account of the owner; the same transfer sent again changes nothing."""
    account = user_account(state, command.account_id)
    if account is None:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    if state.time_ns > command.expires_ns:
        return rejected(RejectReason.REQUEST_EXPIRED)
    if command.expires_ns - state.time_ns > CLIENT_ORDER_MEMORY_NS:
        return rejected(RejectReason.REQUEST_EXPIRY_TOO_FAR)
    if command.asset_id not in state.assets:
        return rejected(RejectReason.UNKNOWN_ASSET)
    if not 0 <= command.to_sub_account <= MAX_SUB_ACCOUNT or command.to_sub_account == account.sub_account:
        return rejected(RejectReason.TRANSFER_INVALID)
    if not command.client_transfer_id or command.amount_atoms <= 0:
        return rejected(RejectReason.TRANSFER_INVALID)
    receiver = state.account_by_owner.get((account.owner, command.to_sub_account))
    known = account.client_transfers.get(command.client_transfer_id)
    if known is not None:
        if not _is_same_transfer(command, known):
            return rejected(RejectReason.CLIENT_TRANSFER_ID_REUSED)
        assert receiver is not None
        return [
            TransferKnown(
                account.account_id,
                receiver.account_id,
                command.asset_id,
                command.amount_atoms,
                command.client_transfer_id,
            )
        ]
    if account.state is AccountState.FROZEN:
        return rejected(RejectReason.ACCOUNT_FROZEN)
    if receiver is not None and receiver.state is AccountState.FROZEN:
        return rejected(RejectReason.ACCOUNT_FROZEN)
    if receiver is None and _has_frozen_account(state, account.owner):
        return rejected(RejectReason.ACCOUNT_FROZEN)
    if command.amount_atoms > ledger.available_atoms(account, command.asset_id):
        return rejected(RejectReason.INSUFFICIENT_FUNDS)

    events: list[Event] = []
    if receiver is None:
        receiver = new_account(state, account.owner, command.to_sub_account, events)
    ledger.transfer(account, receiver, command.asset_id, command.amount_atoms)
    account.client_transfers[command.client_transfer_id] = command
    forget_ns = state.time_ns + CLIENT_ORDER_MEMORY_NS
    state.made_transfers.append((forget_ns, account.account_id, command.client_transfer_id))
    events.append(
        FundsTransferred(
            account.account_id,
            receiver.account_id,
            command.asset_id,
            command.amount_atoms,
            command.client_transfer_id,
        )
    )
    return events


def _has_frozen_account(state: State, owner: str) -> bool:
    """Then no further account gets funds: whoever freezes all of them, one by one, must come to an end."""
    for sub_account in range(MAX_SUB_ACCOUNT + 1):
        account = state.account_by_owner.get((owner, sub_account))
        if account is not None and account.state is AccountState.FROZEN:
            return True
    return False


def _is_same_transfer(one: TransferFunds, other: TransferFunds) -> bool:
    """Whether two requests ask for the same transfer; the expiry of the request may differ."""
    return (
        one.to_sub_account == other.to_sub_account
        and one.asset_id == other.asset_id
        and one.amount_atoms == other.amount_atoms
    )
