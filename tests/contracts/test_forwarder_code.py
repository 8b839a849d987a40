"""The code at deposit addresses, and with it the addresses, change only when somebody means it."""

from eth_utils.crypto import keccak
from tests.fixtures.anvil import ARTIFACTS

from exchange.chain.forwarders import forwarder_code

FORWARDER_CODE_HASH = "63d6b4cd77c25b60c22cb95c010830f390a0d78fc49ec717c1395f79ca83448a"
"""keccak256 of what creates DepositForwarder.sol. docs/contracts.md says what a change means."""


def test_the_code_that_deposit_addresses_are_made_of_is_the_one_that_was_checked_in():
    assert keccak(forwarder_code(ARTIFACTS)).hex() == FORWARDER_CODE_HASH


def test_the_code_holds_no_hash_of_the_sources_which_a_comment_would_change():
    code = forwarder_code(ARTIFACTS)
    assert b"ipfs" not in code
    assert b"solc" not in code
