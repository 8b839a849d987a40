"""The drill's comparison finds what it is there to find: each way of breaking a promise, told once."""

import dataclasses

import asyncpg
import msgspec
import pytest
from scripts.crash.compare import Finding, Kind, compare, compare_journal, compare_money
from scripts.crash.history import History, read_on
from scripts.crash.promises import Cancellation, Outcome, Placement
from tests.crash.story import (
    BUYER,
    OFFER,
    OFFERED,
    RESTED,
    RESTING,
    ROWS,
    SELLER,
    TAKE,
    TAKEN,
    TICKS,
    TRADE,
    USDC,
    Told,
    accepted,
    answer,
    ended,
    fill,
    history_of,
    journal,
    market_of,
    rested,
    row,
)

from exchange.core.events import Event, Trade
from exchange.core.words import EndReason, Side
from exchange.journal.rows import encode_payload

ROWS_TO_12 = ((1, 7), (8, 8), (9, 10), (11, 11), (12, 12))


def findings_of(events: dict[int, list[Event]], told: Told) -> list[Finding]:
    history = history_of(events)
    return [
        *compare(told.promises, history, market_of(history)),
        *compare_journal(history, told.sent),
        *compare_money(history),
    ]


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


def changed(event: Event, **changes: object) -> Event:
    return msgspec.structs.replace(event, **changes)


def test_a_true_story_has_no_findings() -> None:
    assert findings_of(journal(), Told()) == []


def test_an_acknowledged_order_that_is_not_in_the_journal_is_lost() -> None:
    events = journal()
    events[RESTING], events[14] = [], []
    findings = findings_of(events, Told())
    assert (
        Finding(Kind.LOST, f"order rest of account {BUYER}, acknowledged as {RESTING}, is not in the journal")
        in findings
    )
    assert kinds(findings) == {Kind.LOST}


def test_a_second_order_under_one_client_order_id_is_a_duplicate() -> None:
    again = accepted(15, SELLER, "offer", Side.SELL, TICKS, 5, 0)
    findings = findings_of({**journal(), 15: [again, rested(again)]}, Told())
    assert findings == [Finding(Kind.DUPLICATED, f"offer of account {SELLER}: orders [{OFFER}, 15]")]


@pytest.mark.parametrize(
    "changes",
    [
        {"price_ticks": TICKS - 1},
        {"size_lots": 6},
        {"account_id": BUYER},
        {"side": Side.BUY},
        {"time_in_force": "ioc"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_order_that_is_not_what_was_acknowledged_is_lost(changes: dict[str, object]) -> None:
    events = journal()
    events[OFFER][0] = changed(OFFERED, **changes)
    assert Kind.LOST in kinds(findings_of(events, Told()))


def test_an_order_at_another_seq_or_under_another_id_than_acknowledged_is_lost() -> None:
    told = Told()
    told.offer.answers = [answer(201, OFFER + 1, OFFER)]
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}
    told.offer.answers = [answer(201, TAKE, TAKE)]
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}


def test_an_order_sent_again_that_was_answered_with_another_order_is_lost() -> None:
    told = Told()
    told.take.answers[1] = answer(200, 10, OFFER)
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}


def test_a_refused_order_that_exists_is_wrong() -> None:
    told = Told()
    told.rest.outcome, told.rest.answers, told.rest.refusals = Outcome.REFUSED, [], ["insufficient_funds"]
    assert kinds(findings_of(journal(), told)) == {Kind.WRONG}


def test_a_refusal_that_the_orders_do_not_deserve_is_wrong() -> None:
    told = Told()
    told.refused.refusals = ["session_invalid"]
    assert kinds(findings_of(journal(), told)) == {Kind.WRONG}
    told = Told()
    told.take.refuse("insufficient_funds")
    assert told.take.outcome is Outcome.ACKNOWLEDGED
    assert kinds(findings_of(journal(), told)) == {Kind.WRONG}


def test_an_order_without_an_answer_may_exist_or_not() -> None:
    told = Told()
    told.rest.outcome, told.rest.answers = Outcome.UNKNOWN, []
    assert findings_of(journal(), told) == []
    events = journal()
    events[RESTING], events[14] = [], []
    told.cancel_all.order_ids = []
    assert findings_of(events, told) == []


def test_an_order_that_nobody_sent_is_wrong() -> None:
    stranger = accepted(15, SELLER, "stranger", Side.SELL, TICKS, 5, 0)
    assert kinds(findings_of({**journal(), 15: [stranger, rested(stranger)]}, Told())) == {Kind.WRONG}


def test_a_cancel_that_did_not_last_is_lost() -> None:
    events = journal()
    events[11] = []
    findings = findings_of(events, Told())
    assert findings == [Finding(Kind.LOST, f"the cancel 11 of order {OFFER} is undone: open by 0")]


def test_a_cancel_at_another_seq_or_that_ended_otherwise_is_lost() -> None:
    told = Told()
    told.cancel.seq = 10
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}
    events = journal()
    events[11] = [ended(OFFERED, EndReason.UNFILLED, 2, 2 * 10**14)]
    assert kinds(findings_of(events, Told())) == {Kind.LOST}


def test_a_cancel_without_an_answer_may_have_happened_or_not() -> None:
    told = Told()
    told.cancel.outcome = Outcome.UNKNOWN
    assert findings_of(journal(), told) == []
    events = journal()
    events[11] = []
    assert findings_of(events, told) == []


def test_a_cancel_of_an_order_that_is_not_there_is_lost() -> None:
    told = Told()
    told.cancel = Cancellation(SELLER, 77, Outcome.ACKNOWLEDGED, 11)
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}


def test_an_order_that_was_said_to_be_over_must_not_be_open() -> None:
    told = Told()
    told.cancel.outcome = Outcome.REFUSED
    assert findings_of(journal(), told) == []
    events = journal()
    events[11] = []
    assert kinds(findings_of(events, told)) == {Kind.WRONG}


@pytest.mark.parametrize("order_ids", [[RESTING, 77], [RESTING, OFFER]], ids=["missing", "of somebody else"])
def test_each_order_of_a_cancel_of_all_must_have_ended_by_it(order_ids: list[int]) -> None:
    told = Told()
    told.cancel_all.order_ids = order_ids
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}


def test_a_cancel_of_all_that_did_not_last_is_lost() -> None:
    events = journal()
    events[14] = []
    assert kinds(findings_of(events, Told())) == {Kind.LOST}


def test_a_cancel_in_a_batch_is_told_without_its_seq_and_must_last_all_the_same() -> None:
    told = Told()
    told.cancel.seq = 0
    assert findings_of(journal(), told) == []
    events = journal()
    events[11] = []
    assert kinds(findings_of(events, told)) == {Kind.LOST}


def test_a_batch_that_is_in_two_rows_or_only_partly_there_is_wrong() -> None:
    told = Told()
    torn = history_of(journal(), ((1, 7), (8, 8), (9, 10), (11, 11), (12, 12), (13, 14)))
    assert kinds(compare(told.promises, torn, market_of(torn))) == {Kind.WRONG}
    told.rest.outcome = told.refused.outcome = told.cancel.outcome = Outcome.UNKNOWN
    told.cancel_all.order_ids = []
    half = history_of({seq: events for seq, events in journal().items() if seq <= 12}, ROWS_TO_12)
    assert kinds(compare(told.promises, half, market_of(half))) == {Kind.WRONG}
    nothing = history_of({seq: events for seq, events in journal().items() if seq <= 11}, ROWS_TO_12[:-1])
    assert compare(told.promises, nothing, market_of(nothing)) == []


def test_an_order_that_is_good_for_another_time_than_acknowledged_is_lost() -> None:
    told = Told()
    told.rest.good_till_ms = 7
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}
    events = journal()
    events[RESTING][0] = changed(RESTED, good_till_ns=7_000_000)
    assert findings_of(events, told) == []


def test_an_acknowledged_fill_that_is_not_in_the_journal_is_lost() -> None:
    told = Told()
    told.take.answers[0]["fills"].append({**fill(), "trade_id": "2"})
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}


@pytest.mark.parametrize("name", ["price", "size", "amount", "fee"])
def test_a_fill_that_is_not_what_was_acknowledged_is_lost(name: str) -> None:
    told = Told()
    told.take.answers[0]["fills"] = [{**fill(), name: "0.7"}]
    assert kinds(findings_of(journal(), told)) == {Kind.LOST}


def test_a_fill_that_the_taker_was_not_told_of_is_wrong() -> None:
    told = Told()
    told.take.answers[0]["fills"] = []
    assert kinds(findings_of(journal(), told)) == {Kind.WRONG}


def test_a_trade_made_twice_and_an_order_ended_twice_are_duplicates() -> None:
    events = journal()
    events[15] = [TRADE]
    assert Kind.DUPLICATED in kinds(findings_of(events, Told()))
    events = journal()
    events[15] = [ended(TAKEN, EndReason.FILLED, 0, 0)]
    assert kinds(findings_of(events, Told())) == {Kind.DUPLICATED}


def test_an_order_that_neither_rests_nor_has_ended_is_wrong() -> None:
    events = journal()
    events[RESTING], events[14] = [RESTED], []
    told = Told()
    told.cancel_all.order_ids = []
    assert kinds(findings_of(events, told)) == {Kind.WRONG}


def test_a_trade_that_leaves_something_else_than_the_rest_is_wrong() -> None:
    events = journal()
    events[TAKE][1] = changed(TRADE, maker_remaining_lots=3)
    assert Kind.WRONG in kinds(findings_of(events, Told()))


def test_money_from_nowhere_is_wrong() -> None:
    history = history_of(journal())
    history.balances[BUYER, USDC][0] += 1
    assert len(compare_money(history)) == 3, "the sum, what is owned, and what the trades say"


def test_money_that_changed_hands_without_a_trade_is_wrong() -> None:
    history = history_of(journal())
    history.balances[BUYER, USDC][0] += 1
    history.balances[SELLER, USDC][0] -= 1
    assert len(compare_money(history)) == 2, "one for each of the two"


def test_a_fee_that_went_to_nobody_is_wrong() -> None:
    events = journal()
    trade = events[TAKE][1]
    assert isinstance(trade, Trade)
    history = history_of(events)
    history.balances[2, USDC][0] -= trade.taker_fee_atoms
    assert kinds(compare_money(history)) == {Kind.WRONG}


def test_less_than_nothing_and_a_hold_for_no_order_are_wrong() -> None:
    history = history_of(journal())
    history.balances[BUYER, USDC][1] += history.balances[BUYER, USDC][0] + 1
    history.balances[BUYER, USDC][0] = -1
    texts = [finding.what for finding in compare_money(history)]
    assert any("-1 available" in text for text in texts)
    assert any("for no order" in text for text in texts)


def test_a_gap_and_a_broken_chain_in_the_journal_are_wrong() -> None:
    history = History()
    first = row(1, [[]])
    history.take(first)
    history.take(row(3, [[]], hash_prev=first.hash))
    assert kinds(compare_journal(history, [])) == {Kind.WRONG}
    history = History()
    history.take(row(1, [[]]))
    history.take(row(2, [[]], hash_prev=b"another"))
    assert kinds(compare_journal(history, [])) == {Kind.WRONG}


def test_a_row_with_fewer_commands_than_events_is_wrong() -> None:
    whole = row(1, [[], []])
    history = History()
    history.take(dataclasses.replace(whole, commands=whole.commands[:1]))
    assert kinds(compare_journal(history, [])) == {Kind.WRONG}


def test_an_order_id_given_twice_or_by_another_command_is_wrong() -> None:
    events = journal()
    events[RESTING].insert(0, changed(RESTED, client_order_id=None))
    assert kinds(findings_of(events, Told())) == {Kind.WRONG}
    history = history_of(journal())
    history.happened(16, changed(RESTED, order_id=17, client_order_id=None))
    assert any("accepted by command 16" in fault for fault in history.faults)


async def test_the_journal_is_read_to_its_end_and_then_on(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.crash.history.ROWS_PER_READ", 2)
    events = journal()
    history = History()
    async with pool.acquire() as connection:
        for rows in (ROWS[:3], ROWS[3:4], ROWS[4:]):
            for first, last in rows:
                written = row(first, [events[seq] for seq in range(first, last + 1)])
                await connection.execute(
                    "INSERT INTO journal VALUES ($1, $2, 1, $2, 1, $3, $4, $5, $6)",
                    first,
                    last,
                    encode_payload(written.commands),
                    encode_payload(written.events),
                    written.hash_prev,
                    written.hash,
                )
            await read_on(connection, history)
            assert history.seq == rows[-1][1]
    assert compare(Told().promises, history, market_of(history)) == []
    assert history.faults == []


def test_what_is_found_again_at_the_end_counts_once() -> None:
    during = Finding(Kind.LOST, "the cancel 11 of order 8 is undone: open by 0")
    at_the_end = Finding(Kind.LOST, "the cancel 11 of order 8 is undone: filled by 99")
    assert during.subject == at_the_end.subject


def test_an_answer_that_no_client_should_get_is_wrong() -> None:
    told = Told()
    promises = told.promises
    promises.oddities.append("an order was answered 500")
    history = history_of(journal())
    assert kinds(compare(promises, history, market_of(history))) == {Kind.WRONG}


def test_counts_of_acknowledgements_leave_out_what_was_refused_or_unanswered() -> None:
    promises = Told().promises
    promises.placements.append(Placement(SELLER, "lost", "sell", "gtc", TICKS, 1))
    promises.cancellations.append(Cancellation(SELLER, 1))
    assert (promises.acknowledged_orders, promises.acknowledged_cancels) == (3, 2)
    assert [placement.client_order_id for placement in promises.unknown] == ["lost"]
