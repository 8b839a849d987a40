"""The naive exchange's answers about agents. It forgets nothing: no key, and no nonce that was ever used."""

from string import hexdigits

from tests.core.naive_orders import Answer
from tests.core.naive_world import SECOND, World

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.rejects import RejectReason as R
from exchange.core.words import RateClass

MINUTE_US = 60 * 10**6
LOWER_HEX = set(hexdigits.lower())


def approve_agent(world: World, a: c.ApproveAgent) -> Answer:
    if (a.owner, 0) not in world.owners.values():
        return R.UNKNOWN_ACCOUNT
    content = e.AgentApproved(
        a.owner, a.key, a.name, a.scopes, a.market_ids, a.sub_accounts, a.expires_ns, a.ip_ranges, a.nonce
    )
    if a.key in world.approvals:
        is_same = world.approvals[a.key] == content and a.key not in world.revoked
        return [e.AgentKnown(a.key)] if is_same else R.AGENT_KEY_USED
    if is_wrong(a):
        return R.AGENT_INVALID
    if not world.markets.keys() >= set(a.market_ids):
        return R.UNKNOWN_MARKET
    if a.expires_ns <= world.now:
        return R.AGENT_EXPIRED
    if a.expires_ns > world.now + 366 * 86_400 * SECOND:
        return R.AGENT_INVALID
    ever = [other for other in world.approvals.values() if other.owner == a.owner]
    live = [other for other in ever if other.key not in world.revoked and world.now < other.expires_ns]
    if len(ever) == 1_000 or len(live) == 50:
        return R.TOO_MANY_AGENTS
    world.approvals[a.key] = content
    world.nonces[a.key] = []
    return [content]


def is_wrong(a: c.ApproveAgent) -> bool:
    digits = a.key.removeprefix("0x")
    if a.key != "0x" + digits or len(digits) not in (40, 64) or not LOWER_HEX.issuperset(digits):
        return True
    if a.name == "" or len(a.name) > 64 or list(a.scopes) not in (["read"], ["trade"], ["read", "trade"]):
        return True
    for some in (a.market_ids, a.sub_accounts, a.ip_ranges):
        if any(some.count(one) > 1 for one in some):
            return True
    if any(number not in range(128) for number in a.sub_accounts) or a.nonce not in range(2**63):
        return True
    return len(a.ip_ranges) > 16 or any(text == "" or len(text) > 43 for text in a.ip_ranges)


def revoke_agent(world: World, r: c.RevokeAgent) -> Answer:
    if r.key not in world.approvals or world.approvals[r.key].owner != r.owner:
        return R.AGENT_UNKNOWN
    if r.key in world.revoked:
        return [e.AgentKnown(r.key)]
    world.revoked.append(r.key)
    return [e.AgentRevoked(r.owner, r.key)]


def use_nonce(world: World, u: c.UseNonce) -> Answer:
    if u.key not in world.approvals:
        return R.AGENT_UNKNOWN
    if u.key in world.revoked:
        return R.AGENT_REVOKED
    if world.approvals[u.key].expires_ns <= world.now:
        return R.AGENT_EXPIRED
    if abs(u.nonce - world.now // 1_000) > MINUTE_US:
        return R.NONCE_OFF_TIME
    used = world.nonces[u.key]
    highest = sorted(used)[-128:]
    if u.nonce in highest:
        return R.NONCE_USED
    if len(highest) == 128 and u.nonce < highest[0]:
        return R.NONCE_TOO_OLD
    assert u.nonce not in used, "what is forgotten is too old"
    used.append(u.nonce)
    return [e.NonceUsed(u.key, u.nonce)]


def set_rate_class(world: World, s: c.SetRateClass) -> Answer:
    if (s.owner, 0) not in world.owners.values():
        return R.UNKNOWN_ACCOUNT
    assert s.rate_class in RateClass
    return [e.RateClassSet(s.owner, s.rate_class)]
