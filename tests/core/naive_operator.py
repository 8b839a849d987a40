"""The naive exchange's answers about assets, markets, accounts, fees and transfers."""

from fractions import Fraction

import msgspec
from tests.core.naive_orders import Answer, early_refusal
from tests.core.naive_world import LARGEST, SECOND, NaiveAsset, NaiveMarket, World

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.rejects import RejectReason as R


def list_asset(world: World, a: c.ListAsset) -> Answer:
    if (
        not a.symbol
        or a.decimals not in range(37)
        or a.withdrawal_fee_atoms < 0
        or a.min_withdrawal_atoms < 1
    ):
        return R.ASSET_INVALID
    route = (a.chain_id, a.vault, a.token)
    if any(x.symbol == a.symbol or (x.route == route and x.listed) for x in world.assets.values()):
        return R.ASSET_EXISTS
    known = [x.id for x in world.assets.values() if x.route == route]
    asset_id = known[0] if known else len(world.assets) + 1
    numbers = (a.withdrawal_fee_atoms, a.min_withdrawal_atoms)
    world.assets[asset_id] = NaiveAsset(asset_id, a.symbol, a.decimals, route, *numbers, listed=True)
    return [e.AssetListed(asset_id, a.symbol, a.decimals, *route, *numbers, listed=True)]


def open_market(world: World, m: c.OpenMarket) -> Answer:
    by_symbol = {x.symbol: x for x in world.assets.values() if x.listed}
    if m.base not in by_symbol or m.quote not in by_symbol:
        return R.UNKNOWN_ASSET
    if any(x.symbol == m.symbol for x in world.markets.values()):
        return R.MARKET_EXISTS
    base, quote = by_symbol[m.base], by_symbol[m.quote]
    lowest_maker = -m.taker_fee_bps if world.rules > 1 else 0
    if not m.symbol or base is quote or m.tick_mantissa < 1 or m.tick_decimals not in range(37):
        return R.MARKET_INVALID
    if m.lot_atoms < 1 or m.taker_fee_bps not in range(10_001):
        return R.MARKET_INVALID
    if not lowest_maker <= m.maker_fee_bps <= 10_000:
        return R.MARKET_INVALID
    if bands_are_wrong(m.price_band_bps, m.market_band_bps):
        return R.PRICE_BANDS_INVALID
    unit = Fraction(m.tick_mantissa, 10**m.tick_decimals) * Fraction(m.lot_atoms, 10**base.decimals)
    unit *= 10**quote.decimals
    if unit.denominator != 1:
        return R.MARKET_NOT_DIVISIBLE
    rates = (m.maker_fee_bps, m.taker_fee_bps)
    market = NaiveMarket(
        len(world.markets) + 1, m.symbol, base.id, quote.id, m.lot_atoms, int(unit), [rates], m.state,
        m.price_band_bps, m.market_band_bps, in_force=[rates],
    )  # fmt: skip
    world.markets[market.id] = market
    return [
        e.MarketOpened(
            market.id, m.symbol, base.id, quote.id, m.tick_mantissa, m.tick_decimals, m.lot_atoms, int(unit),
            base.decimals, quote.decimals, *rates, m.state, m.price_band_bps, m.market_band_bps,
        )
    ]  # fmt: skip


def bands_are_wrong(price_band_bps: int, market_band_bps: int) -> bool:
    too_wide = price_band_bps > 0 and market_band_bps > price_band_bps
    return price_band_bps not in range(10_001) or market_band_bps not in range(1, 10_001) or too_wide


def set_market_state(world: World, s: c.SetMarketState) -> Answer:
    market = world.markets.get(s.market_id)
    if market is None:
        return R.UNKNOWN_MARKET
    if market.state is not s.state:
        market.counting = [] if market.last is None else [market.last]
        market.state = s.state
    return [e.MarketStateSet(market.id, s.state)]


def set_price_bands(world: World, s: c.SetPriceBands) -> Answer:
    market = world.markets.get(s.market_id)
    if market is None:
        return R.UNKNOWN_MARKET
    if bands_are_wrong(s.price_band_bps, s.market_band_bps):
        return R.PRICE_BANDS_INVALID
    market.band, market.market_band = s.price_band_bps, s.market_band_bps
    return [e.PriceBandsSet(market.id, market.band, market.market_band)]


def set_fees(world: World, s: c.SetFees) -> Answer:
    market = world.markets.get(s.market_id)
    if market is None:
        return R.UNKNOWN_MARKET
    if len(s.tiers) not in range(1, 17):
        return R.FEES_INVALID
    if any(abs(maker) > 10_000 or taker not in range(10_001) for maker, taker in s.tiers):
        return R.FEES_INVALID
    is_empty = not any(o.market is market for o in world.open)
    together = [*s.tiers] if is_empty else [*market.in_force, *s.tiers]
    if max(-maker for maker, _ in together) > min(taker for _, taker in together):
        return R.FEES_INVALID
    market.tiers, market.in_force = list(s.tiers), together
    return [e.FeesSet(market.id, *s.tiers[0], s.tiers[1:])]


def set_fee_tier(world: World, s: c.SetFeeTier) -> Answer:
    if not s.owner:
        return R.ACCOUNT_INVALID
    if s.tier not in range(16):
        return R.FEES_INVALID
    world.tier_of[s.owner] = s.tier
    return [e.FeeTierSet(s.owner, s.tier)]


def set_account_limits(world: World, s: c.SetAccountLimits) -> Answer:
    if s.account_id not in world.owners:
        return R.UNKNOWN_ACCOUNT
    if not 0 <= s.max_orders_per_market <= s.max_open_orders <= 1_000:
        return R.ACCOUNT_LIMITS_INVALID
    world.limits[s.account_id] = (s.max_open_orders, s.max_orders_per_market)
    return [e.AccountLimitsSet(s.account_id, s.max_open_orders, s.max_orders_per_market)]


def set_withdrawal_terms(world: World, s: c.SetWithdrawalTerms) -> Answer:
    asset = world.assets.get(s.asset_id)
    if asset is None or not asset.listed:
        return R.UNKNOWN_ASSET
    if s.fee_atoms < 0 or s.min_atoms < 1 or max(s.fee_atoms, s.min_atoms) > LARGEST:
        return R.ASSET_INVALID
    asset.fee, asset.least = s.fee_atoms, s.min_atoms
    return [e.WithdrawalTermsSet(s.asset_id, s.fee_atoms, s.min_atoms)]


def set_rules(world: World, s: c.SetRules) -> Answer:
    if s.version != world.rules + 1 or s.version > 2:
        return R.RULES_INVALID
    world.rules = s.version
    return [e.RulesSet(s.version)]


def open_account(world: World, o: c.OpenAccount) -> Answer:
    if not o.owner or o.sub_account not in range(128):
        return R.ACCOUNT_INVALID
    out: list[e.Event] = []
    account = account_of(world, o.owner, o.sub_account, out)
    return out or [e.AccountKnown(account)]


def account_of(world: World, owner: str, sub_account: int, out: list[e.Event]) -> int:
    """The owner's account, opened when it is new."""
    for account, attributes in world.owners.items():
        if attributes == (owner, sub_account):
            return account
    account = 1_000 + len(world.owners)
    world.owners[account] = (owner, sub_account)
    world.limits[account] = (1_000, 1_000)
    out.append(e.AccountOpened(account, owner, sub_account))
    return account


def transfer_funds(world: World, t: c.TransferFunds) -> Answer:
    refused = early_refusal(world, t.account_id, t.expires_ns)
    if refused is not None:
        return refused
    if t.asset_id not in world.assets:
        return R.UNKNOWN_ASSET
    owner, sub_account = world.owners[t.account_id]
    if t.to_sub_account == sub_account or t.to_sub_account not in range(128):
        return R.TRANSFER_INVALID
    if t.client_transfer_id == "" or t.amount_atoms <= 0:
        return R.TRANSFER_INVALID
    key = (t.account_id, t.client_transfer_id)
    old = world.known_transfers.get(key)
    out: list[e.Event] = []
    if old is not None:
        if msgspec.structs.replace(old, expires_ns=t.expires_ns) != t:
            return R.CLIENT_TRANSFER_ID_REUSED
        receiver = account_of(world, owner, t.to_sub_account, out)
        return [e.TransferKnown(t.account_id, receiver, t.asset_id, t.amount_atoms, t.client_transfer_id)]
    of_owner = {number: known for known, (who, number) in world.owners.items() if who == owner}
    new = t.to_sub_account not in of_owner
    others = of_owner.values() if new else [of_owner[t.to_sub_account]]
    if any(world.frozen(account) for account in (t.account_id, *others)):
        return R.ACCOUNT_FROZEN
    if t.amount_atoms > world.available(t.account_id, t.asset_id):
        return R.INSUFFICIENT_FUNDS
    receiver = account_of(world, owner, t.to_sub_account, out)
    world.move(t.account_id, receiver, t.asset_id, t.amount_atoms)
    world.known_transfers[key] = t
    world.leaving_transfers.append((world.now + 60 * SECOND, key))
    out.append(e.FundsTransferred(t.account_id, receiver, t.asset_id, t.amount_atoms, t.client_transfer_id))
    return out
