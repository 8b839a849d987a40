"""The double-entry ledger: the only code that changes a balance.

Every function moves a positive amount from one place to another, so that per asset the sum over all
accounts, held and available, never changes. Callers check for sufficient funds first and refuse; here a
shortfall is a broken invariant.
"""

from exchange.core.accounts import Account, Balance
from exchange.core.markets import Market
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
    entry = account.balances.get(asset_id)
    assert entry is not None
    assert atoms > 0
    assert entry.available_atoms >= atoms
    entry.available_atoms -= atoms
    entry.held_atoms += atoms


def release(account: Account, asset_id: int, atoms: int) -> None:
    """Moves from held back to available."""
    entry = account.balances.get(asset_id)
    assert entry is not None
    assert atoms >= 0
    assert entry.held_atoms >= atoms
    entry.held_atoms -= atoms
    entry.available_atoms += atoms


def exchange(
    buyer: Account,
    seller: Account,
    fees: Account,
    market: Market,
    base_atoms: int,
    quote_atoms: int,
    buyer_fee_atoms: int,
    seller_fee_atoms: int,
    released_atoms: int,
) -> None:
    """One trade: held quote for held base, both fees (negative for a rebate) to the fees account.

    `released_atoms` is the part of the buyer's hold that is not needed any more.
    """
    assert base_atoms > 0
    assert quote_atoms > 0
    assert quote_atoms >= seller_fee_atoms
    assert quote_atoms + buyer_fee_atoms >= 0
    assert released_atoms >= 0
    quote_asset_id, base_asset_id = market.quote_asset_id, market.base_asset_id
    paying = buyer.balances[quote_asset_id]
    taken_atoms = quote_atoms + buyer_fee_atoms + released_atoms
    assert paying.held_atoms >= taken_atoms
    paying.held_atoms -= taken_atoms
    paying.available_atoms += released_atoms
    giving = seller.balances[base_asset_id]
    assert giving.held_atoms >= base_atoms
    giving.held_atoms -= base_atoms
    bought = buyer.balances.get(base_asset_id) or balance(buyer, base_asset_id)
    bought.available_atoms += base_atoms
    earned = seller.balances.get(quote_asset_id) or balance(seller, quote_asset_id)
    earned.available_atoms += quote_atoms - seller_fee_atoms
    charged = fees.balances.get(quote_asset_id) or balance(fees, quote_asset_id)
    charged.available_atoms += buyer_fee_atoms + seller_fee_atoms


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
