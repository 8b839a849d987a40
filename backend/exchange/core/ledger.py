"""The double-entry ledger: the only code that changes a balance.

Every function moves a positive amount from one place to another, so that per asset the sum over all
accounts, held and available, never changes. Callers check for sufficient funds first and refuse; here a
shortfall is a broken invariant.
"""

from exchange.core.accounts import Account, Balance
from exchange.core.units import MAX_ATOMS


def balance(account: Account, asset_id: int) -> Balance:
    """The account's balance of an asset, created empty on first use."""
    found = account.balances.get(asset_id)
    if found is None:
        found = account.balances[asset_id] = Balance()
    return found


def available_atoms(account: Account, asset_id: int) -> int:
    """What the account may spend of an asset."""
    found = account.balances.get(asset_id)
    return 0 if found is None else found.available_atoms


def hold(account: Account, asset_id: int, atoms: int) -> None:
    """Moves from available to held, for an order."""
    entry = balance(account, asset_id)
    assert atoms > 0
    assert entry.available_atoms >= atoms
    entry.available_atoms -= atoms
    entry.held_atoms += atoms


def release(account: Account, asset_id: int, atoms: int) -> None:
    """Moves from held back to available."""
    entry = balance(account, asset_id)
    assert atoms >= 0
    assert entry.held_atoms >= atoms
    entry.held_atoms -= atoms
    entry.available_atoms += atoms


def spend_held(account: Account, asset_id: int, atoms: int, receiver: Account) -> None:
    """Moves from one account's held to another account's available."""
    entry = balance(account, asset_id)
    assert atoms >= 0
    assert entry.held_atoms >= atoms
    entry.held_atoms -= atoms
    balance(receiver, asset_id).available_atoms += atoms


def transfer(giver: Account, receiver: Account, asset_id: int, atoms: int) -> None:
    """Moves from available to available between two user accounts, or with a system account."""
    giving = balance(giver, asset_id)
    assert 0 < atoms <= MAX_ATOMS
    assert is_system(giver) or giving.available_atoms >= atoms
    giving.available_atoms -= atoms
    balance(receiver, asset_id).available_atoms += atoms


def is_system(account: Account) -> bool:
    """System accounts are the other side of the outside world; theirs may be negative."""
    return account.owner == ""
