"""Keys that act for an owner: approved once, revoked for ever."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.venue import SECOND, Venue, address, approval, key_of, refusal

from exchange.core.agents import MAX_AGENT_LIFE_NS, MAX_AGENTS, MAX_LIVE_AGENTS
from exchange.core.commands import OpenAccount, RevokeAgent, SetRateClass
from exchange.core.events import AgentApproved, AgentKnown, AgentRevoked, RateClassSet
from exchange.core.rejects import RejectReason
from exchange.core.words import AgentScope, RateClass

DAY_NS = 86_400 * SECOND
SECP256K1 = "0x" + "ab" * 20


def test_an_approved_agent_is_all_that_its_owner_signed(venue: Venue) -> None:
    bounds: dict[str, Any] = {
        "key": SECP256K1,
        "name": "maker of markets",
        "scopes": (AgentScope.TRADE,),
        "market_ids": (1,),
        "sub_accounts": (7, 0),
        "ip_ranges": ("10.0.0.0/8", "2001:db8::/32"),
        "nonce": 2**63 - 1,
    }
    expires_ns = venue.time_ns + 30 * DAY_NS
    approved_ns = venue.time_ns
    (approved,) = venue.approve("alice", "maker", **bounds)
    assert approved == AgentApproved(owner=address("alice"), expires_ns=expires_ns, **bounds)
    agent = venue.view.agent(SECP256K1)
    assert agent is not None
    assert {name: getattr(agent, name) for name in bounds} == bounds
    assert (agent.owner, agent.expires_ns) == (address("alice"), expires_ns)
    assert (agent.approved_ns, agent.revoked_ns) == (approved_ns, 0)


def test_nobody_has_an_agent_before_they_have_an_account(venue: Venue) -> None:
    signed = approval("zoe", "bot", venue.time_ns + DAY_NS)
    assert refusal(venue.do(signed)) is RejectReason.UNKNOWN_ACCOUNT
    venue.do(OpenAccount(address("zoe"), 5))
    assert refusal(venue.do(signed)) is RejectReason.UNKNOWN_ACCOUNT, "the main one"
    venue.do(OpenAccount(address("zoe")))
    assert isinstance(venue.do(signed)[0], AgentApproved)


def test_the_same_approval_again_changes_nothing(venue: Venue) -> None:
    venue.account_id("alice")
    signed = approval("alice", "bot", venue.time_ns + DAY_NS)
    venue.do(signed)
    before = venue.view.agent(signed.key)
    for days in (0, 0.5, 2):
        venue.pass_time(days * 86_400)
        for again in (signed, replace(signed, deadline_s=7, signature="0x33")):
            assert venue.do(again) == [AgentKnown(signed.key)]
    assert venue.view.agent(signed.key) == before


@pytest.mark.parametrize(
    "change",
    [
        {"owner": address("bob")},
        {"name": "bot2"},
        {"scopes": (AgentScope.READ,)},
        {"market_ids": (1,)},
        {"sub_accounts": (0,)},
        {"expires_ns": 1},
        {"ip_ranges": ("::/0",)},
        {"nonce": 2},
    ],
)
def test_a_key_can_not_be_approved_otherwise_or_by_another(venue: Venue, change: dict[str, Any]) -> None:
    venue.account_id("bob")
    venue.approve("alice", "bot")
    other = replace(approval("alice", "bot", venue.time_ns + 30 * DAY_NS), **change)
    assert refusal(venue.do(other)) is RejectReason.AGENT_KEY_USED


def test_a_revoked_key_never_comes_back(venue: Venue) -> None:
    venue.account_id("bob")
    signed = approval("alice", "bot", venue.time_ns + DAY_NS)
    venue.account_id("alice")
    venue.do(signed)
    venue.revoke("alice", "bot")
    for days in (0, 0.5, 400):
        venue.pass_time(days * 86_400)
        later = replace(signed, expires_ns=venue.time_ns + DAY_NS, nonce=9)
        for again in (signed, later, replace(later, owner=address("bob"))):
            assert refusal(venue.do(again)) is RejectReason.AGENT_KEY_USED


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "ab" * 20},
        {"key": "0x" + "ab" * 19},
        {"key": "0x" + "ab" * 33},
        {"key": "0x" + "AB" * 20},
        {"key": "0X" + "ab" * 20},
        {"key": "0x" + "ab" * 20 + "\n"},
        {"key": "0x" + "\N{ARABIC-INDIC DIGIT ONE}" * 40},
        {"name": ""},
        {"name": "x" * 65},
        {"scopes": ()},
        {"scopes": (AgentScope.TRADE, AgentScope.READ)},
        {"scopes": (AgentScope.READ, AgentScope.READ)},
        {"market_ids": (1, 1)},
        {"sub_accounts": (0, 0)},
        {"sub_accounts": (-1,)},
        {"sub_accounts": (128,)},
        {"ip_ranges": ("10.0.0.0/8", "10.0.0.0/8")},
        {"ip_ranges": ("",)},
        {"ip_ranges": ("x" * 44,)},
        {"ip_ranges": tuple(f"10.0.0.{number}/32" for number in range(17))},
        {"nonce": -1},
        {"nonce": 2**63},
    ],
)
def test_an_approval_that_is_not_valid_is_refused(venue: Venue, wrong: dict[str, Any]) -> None:
    assert refusal(venue.approve("alice", "bot", **wrong)) is RejectReason.AGENT_INVALID


@pytest.mark.parametrize(
    "right",
    [
        {"name": "x"},
        {"name": "x" * 64},
        {"scopes": (AgentScope.READ,)},
        {"sub_accounts": (127, 0)},
        {"ip_ranges": tuple("x" * 27 + str(number) for number in range(10, 26))},
        {"ip_ranges": ("x" * 43,)},
        {"nonce": 0},
    ],
)
def test_an_approval_at_its_bounds_is_taken(venue: Venue, right: dict[str, Any]) -> None:
    assert isinstance(venue.approve("alice", "bot", **right)[0], AgentApproved)


def test_the_markets_of_an_agent_are_there(venue: Venue) -> None:
    assert refusal(venue.approve("alice", "bot", market_ids=(1, 2))) is RejectReason.UNKNOWN_MARKET
    venue.open_market("PEAR")
    assert isinstance(venue.approve("alice", "bot", market_ids=(2, 1))[0], AgentApproved)


def test_an_agent_ends_later_than_now_and_within_366_days(venue: Venue) -> None:
    venue.account_id("alice")
    for ahead_ns, reason in (
        (-1, RejectReason.AGENT_EXPIRED),
        (0, RejectReason.AGENT_EXPIRED),
        (MAX_AGENT_LIFE_NS + 1, RejectReason.AGENT_INVALID),
    ):
        assert refusal(venue.do(approval("alice", "bot", venue.time_ns + ahead_ns))) is reason
    assert MAX_AGENT_LIFE_NS == 366 * DAY_NS
    for ahead_ns in (1, MAX_AGENT_LIFE_NS):
        (approved,) = venue.do(approval("alice", f"bot {ahead_ns}", venue.time_ns + ahead_ns))
        assert isinstance(approved, AgentApproved)


def test_an_owner_has_fifty_live_agents_and_those_that_are_over_do_not_count(venue: Venue) -> None:
    for number in range(MAX_LIVE_AGENTS - 1):
        venue.approve("alice", f"bot {number}")
    venue.approve("alice", "brief", days=1)
    assert refusal(venue.approve("alice", "one more")) is RejectReason.TOO_MANY_AGENTS
    assert isinstance(venue.approve("bob", "of another")[0], AgentApproved)
    venue.pass_time(86_400)
    assert isinstance(venue.approve("alice", "instead of the brief one")[0], AgentApproved)
    assert refusal(venue.approve("alice", "one more")) is RejectReason.TOO_MANY_AGENTS
    venue.revoke("alice", "bot 1")
    assert isinstance(venue.approve("alice", "instead of the revoked one")[0], AgentApproved)
    assert len(venue.view.agents_of(address("alice"))) == MAX_LIVE_AGENTS + 2


def test_an_owner_has_a_thousand_agents_ever() -> None:
    venue = Venue(checking=False)
    for number in range(MAX_AGENTS):
        assert isinstance(venue.approve("alice", f"bot {number}")[0], AgentApproved)
        venue.revoke("alice", f"bot {number}")
    assert refusal(venue.approve("alice", "one more")) is RejectReason.TOO_MANY_AGENTS
    assert isinstance(venue.approve("bob", "one more")[0], AgentApproved)
    venue.check()


def test_only_the_owner_revokes_an_agent_and_once(venue: Venue) -> None:
    venue.account_id("bob")
    venue.approve("alice", "bot")
    for nobodys in (venue.revoke("bob", "bot"), venue.revoke("alice", "other")):
        assert refusal(nobodys) is RejectReason.AGENT_UNKNOWN
    assert venue.do(RevokeAgent(address("alice"), key_of("bot"))) == [
        AgentRevoked(address("alice"), key_of("bot"))
    ]
    revoked_ns = venue.time_ns
    venue.pass_time(5)
    assert venue.revoke("alice", "bot") == [AgentKnown(key_of("bot"))]
    agent = venue.view.agent(key_of("bot"))
    assert agent is not None
    assert agent.revoked_ns == revoked_ns


def test_an_expired_agent_can_be_revoked(venue: Venue) -> None:
    venue.approve("alice", "bot", days=1)
    venue.pass_time(2 * 86_400)
    assert isinstance(venue.revoke("alice", "bot")[0], AgentRevoked)


def test_a_frozen_owner_can_revoke(venue: Venue) -> None:
    venue.approve("alice", "bot")
    venue.freeze("alice")
    assert isinstance(venue.revoke("alice", "bot")[0], AgentRevoked)


def test_the_view_gives_an_owners_agents_the_newest_first(venue: Venue) -> None:
    for bot in ("first", "b", "a", "last"):
        venue.approve("alice", bot)
        venue.pass_time(bot in ("first", "a"))
    venue.approve("bob", "of another")
    agents = venue.view.agents_of(address("alice"))
    assert [agent.name for agent in agents] == ["last", "a", "b", "first"], "those of one time by their key"
    assert venue.view.agents_of(address("nobody")) == []


def test_watchers_are_told_of_each_revoked_key_when_the_view_has_it(venue: Venue) -> None:
    told = []
    for _ in range(2):
        venue.view.watch_revoked(lambda key: told.append((key, venue.view.agent(key), venue.view.seq)))
    venue.approve("alice", "bot")
    venue.approve("alice", "other")
    venue.revoke("bob", "bot")
    assert told == []
    venue.revoke("alice", "bot")
    venue.revoke("alice", "bot")
    agent = venue.view.agent(key_of("bot"))
    assert agent is not None
    assert agent.revoked_ns
    assert told == [(key_of("bot"), agent, venue.state.seq - 1)] * 2


def test_a_rate_class_is_an_owners(venue: Venue) -> None:
    assert refusal(venue.do(SetRateClass(address("zoe"), RateClass.MARKET_MAKER))) is (
        RejectReason.UNKNOWN_ACCOUNT
    )
    assert venue.view.rate_class(address("alice")) is RateClass.STANDARD
    for rate_class in (RateClass.MARKET_MAKER, RateClass.MARKET_MAKER, RateClass.STANDARD):
        assert venue.set_rate_class("alice", rate_class) == [RateClassSet(address("alice"), rate_class)]
        assert venue.view.rate_class(address("alice")) is rate_class
        assert venue.view.rate_class(address("bob")) is RateClass.STANDARD
