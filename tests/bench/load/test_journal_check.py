"""What the comparison with the journal finds: everything that was told otherwise than it was done."""

from array import array

import pytest
from scripts.bench.load.clients import REFUSED, UNANSWERED, Totals
from scripts.bench.load.journal_check import Check, Journaled, _compare_counts
from scripts.bench.load.wires import CLIENT_ID_PREFIX

from exchange.core.events import Event, OrderAccepted, OrderEnded
from exchange.core.words import EndReason, OrderType, SelfTradePrevention, Side, TimeInForce

HEAD_SEQ = 100


def accepted(order_id: int, client_order_id: str | None) -> OrderAccepted:
    return OrderAccepted(
        order_id,
        1_000,
        1,
        Side.BUY,
        OrderType.LIMIT,
        TimeInForce.GTC,
        SelfTradePrevention.CANCEL_NEWEST,
        299_900,
        5,
        2,
        10**6,
        10,
        20,
        client_order_id,
    )


def ended(order_id: int, reason: EndReason = EndReason.CANCELLED) -> OrderEnded:
    return OrderEnded(order_id, 1_000, 1, Side.BUY, 299_900, reason, 5, 2, 10**6, True)


def compared(told: list[int], cancelled: list[int], events: list[Event]) -> list[str]:
    check = Check(array("q", told), array("q", cancelled), HEAD_SEQ)
    for event in events:
        check.take(event)
    return check.finish().faults


SOUND: list[Event] = [
    accepted(3, None),
    accepted(10, f"{CLIENT_ID_PREFIX}0"),
    accepted(11, f"{CLIENT_ID_PREFIX}2"),
    ended(10),
    ended(3, EndReason.FILLED),
]


def test_what_was_told_as_it_was_done_is_right() -> None:
    check = Check(array("q", [10, REFUSED, 11]), array("q", [10]), HEAD_SEQ)
    for event in SOUND:
        check.take(event)
    found = check.finish()
    assert (found.faults, found.accepted, found.cancelled) == ([], 2, 1)


@pytest.mark.parametrize(
    ("told", "cancelled", "events", "words"),
    [
        ([10, REFUSED, 11, 12], [10], SOUND, "request 3 was acknowledged and is not in the journal"),
        ([10, REFUSED, 12], [10], SOUND, "request 2 is order 11 in the journal; its client was told order"),
        ([10, REFUSED, REFUSED], [10], SOUND, "its client was told a refusal"),
        ([10, REFUSED, UNANSWERED], [10], SOUND, "its client was told nothing"),
        ([10], [10], SOUND, "request 2, which nobody sent"),
        ([10, REFUSED, 11], [10], [*SOUND, accepted(12, f"{CLIENT_ID_PREFIX}2")], "more than once"),
        ([10, REFUSED, 11], [10, 11], SOUND, "the cancel of order 11 was acknowledged and is not"),
        ([10, REFUSED, 11], [10, 3], SOUND, "the cancel of order 3 was acknowledged and is not"),
        ([10, REFUSED, 11], [10, 10], SOUND, "order 10 was acknowledged twice"),
        ([10, REFUSED, 11], [10], [*SOUND, ended(10)], "order 10 ended twice"),
    ],
)
def test_whatever_differs_is_found(
    told: list[int], cancelled: list[int], events: list[Event], words: str
) -> None:
    faults = compared(told, cancelled, events)
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        (Totals(3, 1, 2, 1, 0, 1), "4 operations were asked for, 3 answered"),
        (Totals(3, 1, 2, 1, 2, 0), "4 operations were asked for, 5 answered"),
        (Totals(4, 1, 3, 1, 1, 0), "2 orders are in the journal, 3 were acknowledged"),
        (Totals(3, 2, 2, 2, 1, 0), "1 orders were cancelled, 2 cancels acknowledged"),
    ],
)
def test_numbers_that_do_not_add_up_are_told(totals: Totals, words: str) -> None:
    found = Journaled(accepted=2, cancelled=1)
    _compare_counts(found, totals)
    assert any(words in fault for fault in found.faults), found.faults


def test_numbers_that_add_up_are_right() -> None:
    found = Journaled(accepted=2, cancelled=1)
    _compare_counts(found, Totals(3, 1, 2, 1, 1, 0))
    assert found.faults == []
