"""What makes a run of the feeds benchmark fail."""

import pytest
from scripts.bench.feeds.faults import faults_of
from scripts.bench.feeds.subscribers import Figures


def test_a_run_in_which_everybody_has_everything_is_right() -> None:
    assert faults_of(Figures(messages=10, lowest_seq=9, highest_seq=9)) == []


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (Figures(gaps=1), "1 gaps"),
        (Figures(unfit=2), "2 updates did not go on"),
        (Figures(wrong_books=["the checksum does not fit"] * 3), "the checksum does not fit"),
        (Figures(lowest_seq=8, highest_seq=9), "readers ended between seq 8 and 9"),
    ],
)
def test_whatever_a_reader_missed_makes_a_run_fail(figures: Figures, words: str) -> None:
    faults = faults_of(figures)
    assert len(faults) == 1
    assert words in faults[0]
