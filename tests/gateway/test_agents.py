"""An agent: approved only as its owner signed it."""

import dataclasses
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from nacl.signing import SigningKey

from exchange.core.commands import ApproveAgent
from exchange.core.markets import Market
from exchange.core.words import AgentScope
from exchange.gateway.agents import ApprovalForm, signed_approval
from exchange.gateway.refusals import GatewayRefusal
from exchange.gateway.typed_data import (
    AgentApprovalMessage,
    TypedDataDomain,
    WithdrawalAddressMessage,
)

NOW_S = 1_763_841_600
DAY_S = 24 * 3_600
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
DOMAIN = TypedDataDomain("0x" + "ab" * 32, 31337, VAULT)
WALLET = Account.from_key("0x" + "2a" * 32)
OWNER = WALLET.address.lower()
KEY = "0x" + SigningKey(b"\x07" * 32).verify_key.encode().hex()
ETHEREUM_KEY = Account.from_key("0x" + "2b" * 32).address.lower()
MESSAGE = AgentApprovalMessage(
    account=OWNER,
    key=KEY,
    name="Händler 7",
    scopes=("read", "trade"),
    markets=("ETH-USDC", "WBTC-USDC"),
    sub_accounts=(0, 3),
    expires_s=NOW_S + 30 * DAY_S,
    ip_ranges=("203.0.113.0/24", "2001:db8::/32"),
    nonce=7,
    deadline_s=NOW_S + 600,
)


@pytest.fixture
def markets() -> dict[str, Market]:
    return {symbol: market(number, symbol) for number, symbol in enumerate(MESSAGE.markets, start=1)}


def market(market_id: int, symbol: str) -> Market:
    return Market(
        market_id=market_id,
        symbol=symbol,
        base_asset_id=1,
        quote_asset_id=2,
        tick_mantissa=1,
        tick_decimals=2,
        lot_atoms=10**14,
        unit_atoms=1,
        base_decimals=18,
        quote_decimals=6,
        maker_fee_bps=0,
        taker_fee_bps=10,
    )


def signed_form(
    message: AgentApprovalMessage = MESSAGE,
    wallet: LocalAccount = WALLET,
    domain: TypedDataDomain = DOMAIN,
    **changes: Any,
) -> ApprovalForm:
    """A form whose fields change after it was signed."""
    signature = "0x" + wallet.unsafe_sign_hash(domain.agent_digest(message)).signature.hex()
    form = ApprovalForm(
        key=message.key,
        name=message.name,
        scopes=list(message.scopes),
        markets=list(message.markets),
        sub_accounts=list(message.sub_accounts),
        expires_at_s=message.expires_s,
        ip_ranges=list(message.ip_ranges),
        nonce=str(message.nonce),
        deadline_s=message.deadline_s,
        signature=signature,
    )
    return dataclasses.replace(form, **changes)


def taken(form: ApprovalForm, markets: dict[str, Market]) -> ApproveAgent:
    return signed_approval(form, OWNER, markets, DOMAIN, NOW_S * 10**9)


def refusal_of(form: ApprovalForm, markets: dict[str, Market]) -> GatewayRefusal:
    with pytest.raises(GatewayRefusal) as caught:
        taken(form, markets)
    return caught.value


def test_a_signed_approval_becomes_the_cores_command(markets):
    form = signed_form()
    assert taken(form, markets) == ApproveAgent(
        owner=OWNER,
        key=KEY,
        name="Händler 7",
        scopes=(AgentScope.READ, AgentScope.TRADE),
        market_ids=(1, 2),
        sub_accounts=(0, 3),
        expires_ns=(NOW_S + 30 * DAY_S) * 10**9,
        ip_ranges=("203.0.113.0/24", "2001:db8::/32"),
        nonce=7,
        deadline_s=NOW_S + 600,
        signature=form.signature,
    )


def test_no_markets_sub_accounts_and_ranges_are_no_bounds(markets):
    message = dataclasses.replace(MESSAGE, key=ETHEREUM_KEY, markets=(), sub_accounts=(), ip_ranges=())
    command = taken(signed_form(message), markets)
    assert (command.key, command.market_ids, command.sub_accounts) == (ETHEREUM_KEY, (), ())
    assert command.ip_ranges == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ETHEREUM_KEY},
        {"name": "Händler 8"},
        {"scopes": ["read"]},
        {"scopes": ["trade"]},
        {"markets": ["ETH-USDC"]},
        {"markets": ["WBTC-USDC", "ETH-USDC"]},
        {"markets": []},
        {"sub_accounts": [0]},
        {"sub_accounts": [3, 0]},
        {"sub_accounts": []},
        {"expires_at_s": NOW_S + 30 * DAY_S + 1},
        {"ip_ranges": ["203.0.113.0/24"]},
        {"ip_ranges": []},
        {"nonce": "8"},
        {"deadline_s": NOW_S + 601},
    ],
    ids=str,
)
def test_a_change_of_any_field_is_the_wrong_signer(markets, changes):
    refusal = refusal_of(signed_form(**changes), markets)
    assert (refusal.code, refusal.field) == ("signature_wrong_signer", "signature")
    assert refusal.members["recovered_key"] not in {OWNER, ""}
    assert refusal.members["signed_digest"] != "0x" + DOMAIN.agent_digest(MESSAGE).hex()


def test_somebody_elses_signature_and_one_for_another_deployment_are_the_wrong_signer(markets):
    stranger = Account.create()
    refusal = refusal_of(signed_form(wallet=stranger), markets)
    assert refusal.members == {
        "recovered_key": stranger.address.lower(),
        "signed_digest": "0x" + DOMAIN.agent_digest(MESSAGE).hex(),
    }
    for form in (
        signed_form(dataclasses.replace(MESSAGE, account=stranger.address.lower()), stranger),
        signed_form(domain=TypedDataDomain("0x" + "cd" * 32, 31337, VAULT)),
        signed_form(domain=TypedDataDomain("0x" + "ab" * 32, 1, VAULT)),
        signed_form(domain=TypedDataDomain("0x" + "ab" * 32, 31337, "0x" + "11" * 20)),
    ):
        assert refusal_of(form, markets).code == "signature_wrong_signer"


def test_a_signed_withdrawal_address_approves_no_agent(markets):
    digest = DOMAIN.address_digest(WithdrawalAddressMessage(OWNER, OWNER, 7, NOW_S + 600))
    signature = "0x" + WALLET.unsafe_sign_hash(digest).signature.hex()
    assert refusal_of(signed_form(signature=signature), markets).code == "signature_wrong_signer"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"key": KEY.upper()}, "field_invalid", "key"),
        ({"key": "0x" + "00" * 32}, "agent_invalid", "key"),
        ({"key": "0x01" + "00" * 31}, "agent_invalid", "key"),
        ({"key": OWNER}, "agent_invalid", "key"),
        ({"key": "0x" + "00" * 20}, "agent_invalid", "key"),
        ({"name": ""}, "field_invalid", "name"),
        ({"name": "x" * 65}, "field_invalid", "name"),
        ({"name": " bot"}, "field_invalid", "name"),
        ({"name": "bo\u202et"}, "field_invalid", "name"),
        ({"name": "\ud800"}, "field_invalid", "name"),
        ({"scopes": []}, "field_invalid", "scopes"),
        ({"scopes": ["trade", "read"]}, "field_invalid", "scopes"),
        ({"scopes": ["read", "read"]}, "field_invalid", "scopes"),
        ({"scopes": ["read", "trade", "read"]}, "field_invalid", "scopes"),
        ({"scopes": ["withdraw"]}, "field_invalid", "scopes"),
        ({"markets": ["DOGE-USDC"]}, "unknown_market", "markets"),
        ({"markets": ["ETH-USDC", "ETH-USDC"]}, "field_invalid", "markets"),
        ({"sub_accounts": [128]}, "field_invalid", "sub_accounts"),
        ({"sub_accounts": [-1]}, "field_invalid", "sub_accounts"),
        ({"sub_accounts": [True]}, "field_invalid", "sub_accounts"),
        ({"sub_accounts": [1, 1]}, "field_invalid", "sub_accounts"),
        ({"expires_at_s": NOW_S}, "field_invalid", "expires_at_s"),
        ({"expires_at_s": -(2**70)}, "field_invalid", "expires_at_s"),
        ({"expires_at_s": NOW_S + 366 * DAY_S + 1}, "field_invalid", "expires_at_s"),
        ({"expires_at_s": 2**70}, "field_invalid", "expires_at_s"),
        ({"ip_ranges": ["203.0.113.7"]}, "field_invalid", "ip_ranges"),
        ({"nonce": "-1"}, "field_invalid", "nonce"),
        ({"nonce": str(2**63)}, "field_invalid", "nonce"),
        ({"deadline_s": NOW_S}, "signature_expired", "deadline_s"),
        ({"deadline_s": NOW_S + 3_601}, "signature_deadline_too_far", "deadline_s"),
        ({"signature": "0x00"}, "signature_invalid", "signature"),
    ],
)
def test_a_field_that_can_not_be_taken_is_named(markets, changes, code, field):
    refusal = refusal_of(signed_form(**changes), markets)
    assert (refusal.code, refusal.field) == (code, field)


def test_scopes_in_the_wrong_order_are_refused_with_the_right_one(markets):
    assert refusal_of(signed_form(scopes=["trade", "read"]), markets).nearest == ("read", "trade")


def test_an_approval_may_last_for_a_leap_year_and_wait_for_an_hour(markets):
    message = dataclasses.replace(
        MESSAGE, expires_s=NOW_S + 366 * DAY_S, deadline_s=NOW_S + 3_600, nonce=2**63 - 1
    )
    assert taken(signed_form(message), markets).expires_ns == message.expires_s * 10**9
