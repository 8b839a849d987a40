"""Keys that act for an owner: approved, revoked, and their nonces used.

A key is remembered for ever, with whom it was for: it can be approved once, and never again once it is
revoked, whoever signs what. So an old approval that comes again changes nothing, whenever it does.
"""

import re
from typing import Final

from exchange.core.accounts import MAX_SUB_ACCOUNT
from exchange.core.agents import (
    MAX_AGENT_LIFE_NS,
    MAX_AGENTS,
    MAX_APPROVAL_NONCE,
    MAX_IP_RANGE_CHARS,
    MAX_IP_RANGES,
    MAX_LIVE_AGENTS,
    MAX_NAME_CHARS,
    Agent,
)
from exchange.core.commands import ApproveAgent, RevokeAgent, UseNonce
from exchange.core.events import AgentApproved, AgentKnown, AgentRevoked, Event, NonceUsed, rejected
from exchange.core.rejects import RejectReason
from exchange.core.state import State
from exchange.core.words import AgentScope

_KEY: Final = re.compile(r"0x(?:[0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)
_SCOPES: Final = (
    (AgentScope.READ,),
    (AgentScope.TRADE,),
    (AgentScope.READ, AgentScope.TRADE),
)


def approve_agent(state: State, command: ApproveAgent) -> list[Event]:
    """Lets a new key act for an owner; the same approval sent again changes nothing."""
    if (command.owner, 0) not in state.account_by_owner:
        return rejected(RejectReason.UNKNOWN_ACCOUNT)
    known = state.agents.get(command.key)
    if known is not None:
        if known.revoked_ns or not known.is_of(command):
            return rejected(RejectReason.AGENT_KEY_USED)
        return [AgentKnown(command.key)]
    if not _is_valid(command):
        return rejected(RejectReason.AGENT_INVALID)
    for market_id in command.market_ids:
        if market_id not in state.markets:
            return rejected(RejectReason.UNKNOWN_MARKET)
    if command.expires_ns <= state.time_ns:
        return rejected(RejectReason.AGENT_EXPIRED)
    if command.expires_ns - state.time_ns > MAX_AGENT_LIFE_NS:
        return rejected(RejectReason.AGENT_INVALID)
    others = state.agents_by_owner.get(command.owner, [])
    if len(others) >= MAX_AGENTS or sum(other.is_live(state.time_ns) for other in others) >= MAX_LIVE_AGENTS:
        return rejected(RejectReason.TOO_MANY_AGENTS)

    agent = Agent(
        command.key,
        command.owner,
        command.name,
        command.scopes,
        command.market_ids,
        command.sub_accounts,
        command.expires_ns,
        command.ip_ranges,
        command.nonce,
        approved_ns=state.time_ns,
    )
    state.agents[agent.key] = agent
    state.agents_by_owner.setdefault(agent.owner, []).append(agent)
    return [
        AgentApproved(
            agent.owner,
            agent.key,
            agent.name,
            agent.scopes,
            agent.market_ids,
            agent.sub_accounts,
            agent.expires_ns,
            agent.ip_ranges,
            agent.nonce,
        )
    ]


def revoke_agent(state: State, command: RevokeAgent) -> list[Event]:
    """Ends a key, expired or not; one that is revoked stays so."""
    agent = state.agents.get(command.key)
    if agent is None or agent.owner != command.owner:
        return rejected(RejectReason.AGENT_UNKNOWN)
    if agent.revoked_ns:
        return [AgentKnown(agent.key)]
    agent.revoked_ns = state.time_ns
    agent.nonces.clear()
    return [AgentRevoked(agent.owner, agent.key)]


def use_nonce(state: State, command: UseNonce) -> list[Event]:
    """Takes a signed request, once. What was asked for comes as commands of their own."""
    agent = state.agents.get(command.key)
    if agent is None:
        return rejected(RejectReason.AGENT_UNKNOWN)
    if agent.revoked_ns:
        return rejected(RejectReason.AGENT_REVOKED)
    if state.time_ns >= agent.expires_ns:
        return rejected(RejectReason.AGENT_EXPIRED)
    refused = agent.refuse_nonce(command.nonce, state.time_ns)
    if refused is not None:
        return rejected(refused)
    agent.use_nonce(command.nonce)
    return [NonceUsed(agent.key, command.nonce)]


def _is_valid(command: ApproveAgent) -> bool:
    """Whether the approval says something, in the one way to say it."""
    return (
        _KEY.fullmatch(command.key) is not None
        and 1 <= len(command.name) <= MAX_NAME_CHARS
        and command.scopes in _SCOPES
        and len(set(command.market_ids)) == len(command.market_ids)
        and len(set(command.sub_accounts)) == len(command.sub_accounts)
        and all(0 <= number <= MAX_SUB_ACCOUNT for number in command.sub_accounts)
        and len(set(command.ip_ranges)) == len(command.ip_ranges) <= MAX_IP_RANGES
        and all(1 <= len(text) <= MAX_IP_RANGE_CHARS for text in command.ip_ranges)
        and 0 <= command.nonce <= MAX_APPROVAL_NONCE
    )
