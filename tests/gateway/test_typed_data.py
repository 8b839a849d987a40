from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.signatures import parse_signature, recover_address
from exchange.gateway.typed_data import (
    AgentApprovalMessage,
    TypedDataDomain,
    WithdrawalAddressMessage,
    WithdrawalMessage,
)

GENESIS_ID = "0x" + "ab" * 32
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
DOMAIN = TypedDataDomain(GENESIS_ID, 31337, VAULT)

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
words = st.integers(min_value=0, max_value=2**256 - 1)


def as_wallets_see_it(message: WithdrawalMessage) -> dict:
    described = DOMAIN.as_typed_data()
    return {
        "domain": described["domain"],
        "primaryType": described["primary_type"],
        "types": described["types"],
        "message": {
            "account": message.account,
            "subAccount": message.sub_account,
            "token": message.token,
            "amount": message.amount_atoms,
            "maxFee": message.max_fee_atoms,
            "destination": message.destination,
            "nonce": message.nonce,
            "deadline": message.deadline_s,
        },
    }


withdrawals = st.builds(
    WithdrawalMessage,
    account=addresses,
    sub_account=st.integers(0, 255),
    token=addresses,
    amount_atoms=words,
    max_fee_atoms=words,
    destination=addresses,
    nonce=words,
    deadline_s=words,
)


@given(withdrawals)
def test_the_digest_is_the_one_that_wallets_sign(message):
    signable = encode_typed_data(full_message=as_wallets_see_it(message))
    expected = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert DOMAIN.digest(message) == expected


@given(message=withdrawals)
def test_a_whole_message_for_wallets_has_the_digest_of_what_it_says(message):
    signable = encode_typed_data(full_message=DOMAIN.typed_withdrawal(message))
    expected = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert DOMAIN.digest(message) == expected


@given(
    st.builds(
        WithdrawalAddressMessage, account=addresses, destination=addresses, nonce=words, deadline_s=words
    )
)
def test_the_digest_of_an_address_is_the_one_that_wallets_sign(message):
    described = DOMAIN.address_typed_data()
    signable = encode_typed_data(
        full_message={
            "domain": described["domain"],
            "primaryType": described["primary_type"],
            "types": described["types"],
            "message": {
                "account": message.account,
                "destination": message.destination,
                "nonce": message.nonce,
                "deadline": message.deadline_s,
            },
        }
    )
    expected = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert DOMAIN.address_digest(message) == expected
    assert described["types"]["WithdrawalAddress"] == [
        {"name": "account", "type": "address"},
        {"name": "destination", "type": "address"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
several_texts = st.lists(texts, max_size=4).map(tuple)


@given(
    st.builds(
        AgentApprovalMessage,
        account=addresses,
        key=texts,
        name=texts,
        scopes=several_texts,
        markets=several_texts,
        sub_accounts=st.lists(st.integers(0, 255), max_size=4).map(tuple),
        expires_s=st.integers(0, 2**64 - 1),
        ip_ranges=several_texts,
        nonce=words,
        deadline_s=words,
    )
)
def test_the_digest_of_an_agent_is_the_one_that_wallets_sign(message):
    described = DOMAIN.agent_typed_data()
    signable = encode_typed_data(
        full_message={
            "domain": described["domain"],
            "primaryType": described["primary_type"],
            "types": described["types"],
            "message": {
                "account": message.account,
                "key": message.key,
                "name": message.name,
                "scopes": list(message.scopes),
                "markets": list(message.markets),
                "subAccounts": list(message.sub_accounts),
                "expires": message.expires_s,
                "ipRanges": list(message.ip_ranges),
                "nonce": message.nonce,
                "deadline": message.deadline_s,
            },
        }
    )
    expected = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert DOMAIN.agent_digest(message) == expected


def test_a_wallets_typed_data_signature_recovers_to_the_wallet():
    key = Account.create()
    owner = key.address.lower()
    message = WithdrawalMessage(owner, 0, "0x" + "00" * 20, 10**18, 0, owner, 7, 1_763_845_200)
    signed = key.sign_typed_data(full_message=as_wallets_see_it(message))
    signature = parse_signature("0x" + signed.signature.hex())
    assert recover_address(DOMAIN.digest(message), signature) == owner


def test_another_deployment_has_another_digest():
    message = WithdrawalMessage(VAULT, 0, VAULT, 1, 0, VAULT, 1, 1)
    others = [
        TypedDataDomain("0x" + "cd" * 32, 31337, VAULT),
        TypedDataDomain(GENESIS_ID, 1, VAULT),
        TypedDataDomain(GENESIS_ID, 31337, "0x" + "11" * 20),
    ]
    assert len({DOMAIN.digest(message), *(other.digest(message) for other in others)}) == 4
