"""The signer's own limits: per payment and per window, counted once per id, over restarts and all at once."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.policy_signer import PolicySigners, PolicySignerServer
from tests.policy_signer.conftest import Ask
from tests.policy_signer.ledger import USDC, VAULT, Ledger, body_of, claimed

from exchange.chain.dev_keys import DEV_CHAIN_ID, dev_address
from exchange.chain.vault import Payment
from exchange.core.commands import ListAsset
from exchange.core.markets import NATIVE_TOKEN
from exchange.policy_signer.limits import TokenLimits, parse_limits
from exchange.policy_signer.refusals import (
    LimitsInvalid,
    Refused,
    StateOfAnotherDeployment,
    StateUnusable,
)
from exchange.policy_signer.settings import Identity
from exchange.policy_signer.signed_payments import SignedPayments
from exchange.policy_signer.state_file import StateFile

DAY_S = 86_400
NOW_S = 1_800_000_000
LIMITS = TokenLimits(max_payment_atoms=600, max_in_window_atoms=1_000, window_s=DAY_S)
IDENTITY = Identity("0x" + "ab" * 32, DEV_CHAIN_ID, VAULT)


# ---- over HTTP -------------------------------------------------------------------------------------------


async def test_a_payment_of_the_maximum_is_signed_and_one_atom_more_is_not(ledger: Ledger, ask: Ask) -> None:
    """2,000 atoms; the fee of 5 does not leave the vault and does not count."""
    largest = await ledger.requested(ledger.message(amount_atoms=2_005))
    too_large = await ledger.requested(ledger.message(amount_atoms=2_006))

    assert (await ask(body_of(largest)))[0] == 200
    status, answer = await ask(body_of(too_large))
    assert (status, answer["code"]) == (422, "payment_limit_exceeded")


async def test_what_does_not_fit_into_the_window_is_refused_and_less_is_signed(
    ledger: Ledger, ask: Ask
) -> None:
    for _ in range(2):
        assert (await ask(body_of(await ledger.requested(ledger.message(amount_atoms=2_005)))))[0] == 200
    order = await ledger.requested(ledger.message(amount_atoms=1_006))
    status, answer = await ask(body_of(order))
    assert (status, answer["code"]) == (422, "window_limit_exceeded")

    fits = await ledger.requested(ledger.message(amount_atoms=1_005))
    assert (await ask(body_of(fits)))[0] == 200


async def test_what_did_not_fit_is_signed_when_the_window_has_moved_on(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    orders = [
        await ledger.requested(ledger.message(amount_atoms=2_005, deadline_s=ledger.now_s + DAY_S - 60))
        for _ in range(3)
    ]
    deadline_s = orders[2].payment.deadline_s
    signer.now_s = lambda: deadline_s - DAY_S
    assert [(await ask(body_of(order)))[0] for order in orders] == [200, 200, 422]

    signer.now_s = lambda: deadline_s - 1
    assert (await ask(body_of(orders[2])))[1]["code"] == "window_limit_exceeded"
    signer.limits = {NATIVE_TOKEN: replace(signer.limits[NATIVE_TOKEN], window_s=DAY_S - 1)}
    await signer.stop()
    await signer.start()
    assert (await ask(body_of(orders[2])))[0] == 200


async def test_asking_again_counts_nothing(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested(ledger.message(amount_atoms=2_005))
    for _ in range(4):
        assert (await ask(body_of(order)))[0] == 200

    assert (await ask(body_of(await ledger.requested(ledger.message(amount_atoms=2_005)))))[0] == 200


async def test_each_token_has_a_window_of_its_own(ledger: Ledger, ask: Ask) -> None:
    usdc = await ledger.requested(ledger.message(token=USDC, amount_atoms=2_005))
    assert (await ask(body_of(usdc)))[0] == 200
    again = await ledger.requested(ledger.message(token=USDC, amount_atoms=100))
    assert (await ask(body_of(again)))[1]["code"] == "window_limit_exceeded"

    assert (await ask(body_of(await ledger.requested())))[0] == 200


async def test_a_token_without_limits_is_not_signed_for(ledger: Ledger, ask: Ask) -> None:
    token = "0x" + "aa" * 20
    await ledger.submit(ListAsset("NEW", 18, DEV_CHAIN_ID, VAULT, token))
    message = ledger.message(token=token)
    command = ledger.command(message)
    outcome = await ledger.submit(command)

    status, answer = await ask(body_of(claimed(message, command, outcome.seq)))

    assert (status, answer["code"]) == (422, "token_not_allowed")


async def test_limits_survive_a_restart(ledger: Ledger, signer: PolicySignerServer, ask: Ask) -> None:
    orders = [await ledger.requested(ledger.message(amount_atoms=2_005)) for _ in range(3)]
    assert [(await ask(body_of(order)))[0] for order in orders[:2]] == [200, 200]
    await signer.stop()
    await signer.start()

    assert (await ask(body_of(orders[2])))[1]["code"] == "window_limit_exceeded"
    assert (await ask(body_of(orders[0])))[0] == 200


async def test_many_at_once_do_not_exceed_the_window_together(ledger: Ledger, ask: Ask) -> None:
    """12 of 1,000 atoms, of which 5 fit."""
    orders = [await ledger.requested(ledger.message(amount_atoms=1_005)) for _ in range(12)]

    answers = await asyncio.gather(*(ask(body_of(order)) for order in orders))

    assert sorted(status for status, _ in answers) == [200] * 5 + [422] * 7
    assert {answer["code"] for status, answer in answers if status != 200} == {"window_limit_exceeded"}


async def test_the_same_one_asked_for_many_times_at_once_is_counted_once(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested(ledger.message(amount_atoms=2_005))

    answers = await asyncio.gather(*(ask(body_of(order)) for _ in range(8)))

    assert {answer["signature"] for _, answer in answers} == {answers[0][1]["signature"]}
    assert (await ask(body_of(await ledger.requested(ledger.message(amount_atoms=2_005)))))[0] == 200


async def test_a_second_signer_on_the_same_state_does_not_start(
    signer: PolicySignerServer, policy_signer: PolicySigners, ledger: Ledger
) -> None:
    with pytest.raises(StateUnusable, match="locked"):
        await policy_signer(ledger.database_url, DEV_CHAIN_ID, VAULT, signer.limits)


# ---- the table -------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    opened = StateFile.open(tmp_path / "state", IDENTITY)
    yield opened
    opened.close()


def payment(number: int, amount_atoms: int = 400) -> Payment:
    return Payment(f"0x{number:064x}", dev_address(0), NATIVE_TOKEN, amount_atoms, dev_address(1), NOW_S + 60)


def record(signed: SignedPayments, number: int, now_s: int, amount_atoms: int = 400) -> bool:
    return signed.record(payment(number, amount_atoms), number.to_bytes(32), LIMITS, now_s)


def test_a_payment_leaves_the_window_when_it_is_as_old_as_the_window(state: StateFile) -> None:
    signed = SignedPayments(state)
    assert record(signed, 1, NOW_S)
    assert record(signed, 2, NOW_S + 100)
    with pytest.raises(Refused):
        record(signed, 3, NOW_S + DAY_S - 1)
    assert record(signed, 3, NOW_S + DAY_S)
    with pytest.raises(Refused):
        record(signed, 4, NOW_S + DAY_S + 99)
    assert record(signed, 4, NOW_S + DAY_S + 100)


def test_a_clock_that_is_set_back_makes_no_room(state: StateFile) -> None:
    """What is signed then still counts until the window has passed since the latest time ever seen."""
    signed = SignedPayments(state)
    assert record(signed, 1, NOW_S)
    assert record(signed, 2, NOW_S - 10 * DAY_S)
    with pytest.raises(Refused):
        record(signed, 3, NOW_S - 10 * DAY_S)
    with pytest.raises(Refused):
        record(signed, 3, NOW_S + DAY_S - 1)
    assert record(signed, 3, NOW_S + DAY_S)


def test_another_payment_under_an_id_that_was_signed_is_refused(state: StateFile) -> None:
    signed = SignedPayments(state)
    assert record(signed, 1, NOW_S)
    assert not record(signed, 1, NOW_S + 5)
    with pytest.raises(Refused) as refusal:
        signed.record(payment(1, 399), bytes(32), LIMITS, NOW_S)
    assert refusal.value.code == "signed_differently"


def test_amounts_beyond_64_bits_are_counted_exactly(state: StateFile) -> None:
    limits = TokenLimits(2**128 - 1, 2**128 - 1, DAY_S)
    signed = SignedPayments(state)
    assert signed.record(payment(1, 2**128 - 2), bytes(32), limits, NOW_S)
    assert signed.record(payment(2, 1), bytes(32), limits, NOW_S)
    with pytest.raises(Refused):
        signed.record(payment(3, 1), bytes(32), limits, NOW_S)


def test_what_was_refused_is_not_counted(state: StateFile) -> None:
    signed = SignedPayments(state)
    for number in range(1, 5):
        with pytest.raises(Refused):
            record(signed, number, NOW_S, 1_001)
    assert record(signed, 1, NOW_S, 1_000)


def test_a_disk_that_is_full_signs_nothing_and_changes_nothing(state: StateFile) -> None:
    signed = SignedPayments(state)
    [(pages,)] = state.connection.execute("PRAGMA page_count").fetchall()
    state.connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in itertools.count(1):
            record(signed, number, NOW_S, 1)

    with pytest.raises(Refused) as refusal:
        fill()
    assert refusal.value.code == "state_unavailable"

    [(recorded,)] = state.connection.execute("SELECT count(*) FROM signed").fetchall()
    state.connection.execute("PRAGMA max_page_count = 1000000")
    assert record(signed, recorded + 1, NOW_S, 1)
    assert not record(signed, 1, NOW_S, 1)


# ---- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, genesis_id="0x" + "cd" * 32),
        replace(IDENTITY, chain_id=1),
        replace(IDENTITY, vault="0x" + "77" * 20),
    ],
)
def test_a_state_of_another_deployment_is_refused(tmp_path: Path, other: Identity) -> None:
    StateFile.open(tmp_path / "state", IDENTITY).close()
    with pytest.raises(StateOfAnotherDeployment):
        StateFile.open(tmp_path / "state", other)
    StateFile.open(tmp_path / "state", IDENTITY).close()


def test_a_file_that_is_no_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"something else entirely, of some length" * 100)
    with pytest.raises(StateUnusable):
        StateFile.open(tmp_path / "state", IDENTITY)
    assert (tmp_path / "state").read_bytes().startswith(b"something else")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable):
        StateFile.open(tmp_path / "nowhere" / "state", IDENTITY)


def test_a_state_file_is_for_its_owner_only(tmp_path: Path) -> None:
    StateFile.open(tmp_path / "state", IDENTITY).close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


# ---- the file of limits ----------------------------------------------------------------------------------

TABLE = f"""
[[token]]
token = "{NATIVE_TOKEN}"
decimals = 18
max_payment = "1.5"
max_in_window = "10"
window_minutes = 1440
"""


def test_limits_are_decimals_of_the_token() -> None:
    second = TABLE.replace(NATIVE_TOKEN, "0x" + "Cc" * 20).replace("18", "6")
    assert parse_limits(TABLE + second) == {
        NATIVE_TOKEN: TokenLimits(15 * 10**17, 10 * 10**18, DAY_S),
        "0x" + "cc" * 20: TokenLimits(1_500_000, 10_000_000, DAY_S),
    }


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (NATIVE_TOKEN, "0x1234"),
        ("decimals = 18", "decimals = 37"),
        ("decimals = 18", "decimals = 0"),
        ('max_payment = "1.5"', 'max_payment = "0"'),
        ('max_payment = "1.5"', "max_payment = 1.5"),
        ('max_payment = "1.5"', 'max_payment = "1,5"'),
        ('max_payment = "1.5"', 'max_payment = "11"'),
        ('max_payment = "1.5"', ""),
        ("window_minutes = 1440", "window_minutes = 0"),
        ("window_minutes = 1440", "window_minutes = 44641"),
        ("window_minutes = 1440", "window_minutes = 1440\nwindow_hours = 3"),
        (TABLE, TABLE + TABLE),
        (TABLE, ""),
        (TABLE, "token = []"),
        ("[[token]]", "[[token"),
    ],
)
def test_limits_that_make_no_sense_are_refused(right: str, wrong: str) -> None:
    assert right in TABLE
    with pytest.raises(LimitsInvalid):
        parse_limits(TABLE.replace(right, wrong))
