import pytest

from exchange.core.words import AgentScope
from exchange.gateway.callers import Caller
from exchange.gateway.refusals import AgentRefused
from exchange.gateway.sessions import Session
from exchange.sequencer.agents import Agent

OWNER = "0x" + "a1" * 20
KEY = "0x" + "e5" * 32


def agent(**changes) -> Caller:
    fields = {
        "key": KEY,
        "owner": OWNER,
        "name": "bot",
        "scopes": (AgentScope.READ, AgentScope.TRADE),
        "market_ids": (),
        "sub_accounts": (),
        "expires_ns": 100,
        "ip_ranges": (),
        "nonce": 1,
        "approved_ns": 1,
    }
    return Caller.of_agent(Agent(**fields | changes), 7)


def code(refused) -> str:
    with pytest.raises(AgentRefused) as caught:
        refused()
    return caught.value.code


def test_a_session_may_do_everything():
    caller = Caller.of_session(Session(OWNER, 7, 1, 50), b"hash")
    assert (caller.owner, caller.account_id, caller.expires_ns, caller.credential) == (OWNER, 7, 50, b"hash")
    assert caller.scopes == (AgentScope.READ, AgentScope.TRADE)
    for scope in AgentScope:
        caller.require_scope(scope)
    caller.require_market(3)
    caller.require_every_market()
    caller.require_sub_account(127)


def test_an_agent_stands_for_its_owner_until_its_end_by_its_key():
    caller = agent()
    assert (caller.owner, caller.account_id, caller.expires_ns, caller.credential) == (OWNER, 7, 100, KEY)


@pytest.mark.parametrize("scope", list(AgentScope))
def test_one_scope_does_not_imply_the_other(scope):
    caller = agent(scopes=(scope,))
    caller.require_scope(scope)
    (other,) = set(AgentScope) - {scope}
    assert code(lambda: caller.require_scope(other)) == "scope_missing"


def test_an_agent_of_some_markets_may_trade_in_no_other_and_do_nothing_to_all():
    caller = agent(market_ids=(2, 5))
    caller.require_market(2)
    caller.require_market(5)
    assert code(lambda: caller.require_market(1)) == "market_not_allowed"
    assert code(caller.require_every_market) == "market_not_allowed"
    agent().require_every_market()
    agent().require_market(1)


def test_an_agent_of_some_sub_accounts_may_use_no_other():
    caller = agent(sub_accounts=(0, 3))
    caller.require_sub_account(0)
    caller.require_sub_account(3)
    assert code(lambda: caller.require_sub_account(1)) == "sub_account_not_allowed"
    assert [caller.may_use(number) for number in (0, 1, 3)] == [True, False, True]
    assert code(lambda: agent(sub_accounts=(3,)).require_sub_account(0)) == "sub_account_not_allowed"
