import pytest
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from exchange.gateway.addresses import checksummed, parse_address
from exchange.gateway.refusals import FieldRefused

CHECKSUMMED = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@given(st.binary(min_size=20, max_size=20))
def test_checksums_are_those_of_eip_55(raw):
    assert checksummed("0x" + raw.hex()) == to_checksum_address(raw)


@pytest.mark.parametrize("text", [CHECKSUMMED, CHECKSUMMED.lower(), "0x" + CHECKSUMMED[2:].upper()])
def test_an_address_is_taken_in_any_honest_case(text):
    assert parse_address(text, "address") == CHECKSUMMED.lower()


def test_a_wrong_checksum_is_refused_with_the_right_one():
    with pytest.raises(FieldRefused) as caught:
        parse_address("0x70997970C51812dc3a010C7d01b50e0d17dc79C8", "address")
    assert (caught.value.code, caught.value.nearest) == ("address_invalid", (CHECKSUMMED,))


@pytest.mark.parametrize(
    "text", [None, 1, "", "0x", CHECKSUMMED[:-1], CHECKSUMMED + "0", CHECKSUMMED[2:], "vitalik.eth"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(FieldRefused):
        parse_address(text, "address")
