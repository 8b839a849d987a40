"""The life cycle's table: in code, in the documentation, and in the database."""

import re
from pathlib import Path

from exchange.chain.life_cycle import FINAL, LIFE_CYCLE, PaymentState, sources

PROJECT = Path(__file__).parents[2]


def test_the_documentation_shows_the_same_table() -> None:
    text = (PROJECT / "docs" / "withdrawals.md").read_text()
    section = text[text.index("## Life cycle") :]
    rows = re.findall(r"^\| ([a-z, ]+) \| (.+?) \| ([a-z]+) \|$", section, re.MULTILINE)
    shown = [(tuple(before.split(", ")), when, after) for before, when, after in rows]
    assert shown[1:] == [(step.before, step.when, step.after) for step in LIFE_CYCLE]


def test_the_final_states_lead_nowhere_and_every_other_leads_to_both() -> None:
    for state in PaymentState:
        after = {step.after for step in LIFE_CYCLE if state in step.before}
        assert after.isdisjoint(FINAL) if state in FINAL else after.issuperset(FINAL)


def test_every_state_but_the_first_is_reached_from_the_first() -> None:
    reached = {PaymentState.REQUESTED}
    for _ in PaymentState:
        reached |= {step.after for step in LIFE_CYCLE if reached.intersection(step.before)}
    assert reached == set(PaymentState)


def test_nothing_is_signed_that_was_not_approved() -> None:
    assert sources(PaymentState.SIGNED) == [PaymentState.APPROVED]
    assert sources(PaymentState.APPROVED) == sorted(
        [
            PaymentState.REQUESTED,
            PaymentState.REVIEW,
            PaymentState.SIGNED,
            PaymentState.BROADCAST,
            PaymentState.MINED,
        ]
    )
    assert sources(PaymentState.REJECTED) == [PaymentState.MINED, PaymentState.REVIEW]  # as it was


async def test_the_database_knows_the_same_states(pool) -> None:
    check = await pool.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'payments_state_check'"
    )
    assert set(re.findall(r"'(\w+)'", check)) == set(PaymentState)
