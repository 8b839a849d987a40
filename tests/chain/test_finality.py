"""When a block counts as final."""

import pytest

from exchange.chain.errors import ConfirmationsOutOfRange, FinalizedAheadOfHead
from exchange.chain.finality import MAX_CONFIRMATIONS, Finality
from exchange.chain.rpc import Header


def header(number: int) -> Header:
    return Header(number, f"0x{number:064x}", f"0x{number - 1:064x}", 0, 0)


def test_more_confirmations_than_block_hashes_are_kept_for_are_refused():
    Finality(MAX_CONFIRMATIONS)
    for confirmations in (-1, 0, MAX_CONFIRMATIONS + 1):
        with pytest.raises(ConfirmationsOutOfRange):
            Finality(confirmations)


@pytest.mark.parametrize(("text", "confirmations"), [("1", 1), ("12", 12), ("finalized", None)])
def test_it_reads_what_it_writes(text, confirmations):
    finality = Finality.parse(text)
    assert finality.confirmations == confirmations
    assert finality.is_finalized == (confirmations is None)
    assert str(finality) == text


@pytest.mark.parametrize("text", ["", "safe", "latest", "Finalized", "-1", "1.5", " 3", "٣"])
def test_other_words_are_no_finality(text):
    with pytest.raises(ValueError, match="neither"):
        Finality.parse(text)


@pytest.mark.parametrize("text", ["0", "513", "9" * 5_000])
def test_a_number_out_of_range_is_said_to_be_so(text):
    with pytest.raises(ConfirmationsOutOfRange):
        Finality.parse(text)


def test_the_newest_block_has_one_confirmation():
    assert Finality(1).newest_confirmed(header(10), None) == 10
    assert Finality(3).newest_confirmed(header(10), header(2)) == 8


def test_on_a_young_chain_nothing_is_confirmed():
    assert Finality(12).newest_confirmed(header(10), None) < 1
    assert Finality(None).newest_confirmed(header(10), None) < 1


def test_the_chain_decides_what_is_finalized_however_far_behind_that_is():
    assert Finality(None).newest_confirmed(header(10_000), header(2_000)) == 2_000
    assert Finality(None).newest_confirmed(header(10), header(10)) == 10


def test_a_finalized_block_beyond_the_head_can_not_be():
    with pytest.raises(FinalizedAheadOfHead):
        Finality(None).newest_confirmed(header(10), header(11))
