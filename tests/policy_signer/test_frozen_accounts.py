"""What the journal says of a frozen account holds for the signer too, whatever the exchange asks for."""

import sqlite3

import pytest
from tests.fixtures.policy_signer import PolicySignerServer
from tests.policy_signer.conftest import Ask
from tests.policy_signer.ledger import ALICE, Ledger, append_forged, body_of

from exchange.chain.dev_keys import dev_address
from exchange.core.commands import OpenAccount, SetAccountState
from exchange.core.events import AccountStateSet
from exchange.core.words import AccountState
from exchange.policy_signer.refusals import StateUnusable
from exchange.policy_signer.state_file import StateFile


async def set_state(ledger: Ledger, state: AccountState, sub_account: int = 0) -> None:
    outcome = await ledger.submit(SetAccountState(ledger.account_id(ALICE, sub_account), state))
    assert isinstance(outcome.events[-1], AccountStateSet), outcome


async def test_a_withdrawal_requested_before_its_account_was_frozen_is_not_signed(
    ledger: Ledger, ask: Ask
) -> None:
    order = await ledger.requested()
    await set_state(ledger, AccountState.FROZEN)

    status, answer = await ask(body_of(order))

    assert (status, answer["code"]) == (422, "account_frozen")


async def test_what_was_signed_before_is_not_signed_again_while_the_account_is_frozen(
    ledger: Ledger, ask: Ask
) -> None:
    order = await ledger.requested()
    first = await ask(body_of(order))
    await set_state(ledger, AccountState.FROZEN)
    assert (await ask(body_of(order)))[1]["code"] == "account_frozen"

    await set_state(ledger, AccountState.ACTIVE)

    assert await ask(body_of(order)) == first


async def test_an_account_that_was_set_free_is_paid(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()
    await set_state(ledger, AccountState.FROZEN)
    assert (await ask(body_of(order)))[1]["code"] == "account_frozen"

    await set_state(ledger, AccountState.CANCEL_ONLY)

    assert (await ask(body_of(order)))[0] == 200


async def test_an_account_that_may_only_cancel_is_paid(ledger: Ledger, ask: Ask) -> None:
    await set_state(ledger, AccountState.CANCEL_ONLY)

    assert (await ask(body_of(await ledger.requested())))[0] == 200


async def test_another_account_of_the_owner_is_paid(ledger: Ledger, ask: Ask) -> None:
    await ledger.submit(OpenAccount(dev_address(ALICE), 3))
    order = await ledger.requested()
    await set_state(ledger, AccountState.FROZEN, sub_account=3)

    assert (await ask(body_of(order)))[0] == 200


async def test_a_freeze_while_the_signer_was_down_counts(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    order = await ledger.requested()
    await signer.stop()
    await set_state(ledger, AccountState.FROZEN)
    await signer.start()

    assert (await ask(body_of(order)))[1]["code"] == "account_frozen"


async def test_a_freeze_is_remembered_over_a_restart(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    order = await ledger.requested()
    await set_state(ledger, AccountState.FROZEN)
    assert (await ask(body_of(order)))[1]["code"] == "account_frozen"
    await signer.stop()
    await signer.start()

    assert (await ask(body_of(order)))[1]["code"] == "account_frozen"


async def test_a_state_of_an_account_that_no_engine_has_opened_stops_nothing(
    ledger: Ledger, ask: Ask
) -> None:
    order = await ledger.requested()
    command = SetAccountState(2**70, AccountState.FROZEN)
    event = AccountStateSet(2**70, AccountState.FROZEN)
    await append_forged(ledger.pool, [command], [[event]], ledger.committed.time_ns)

    assert (await ask(body_of(order)))[0] == 200


async def test_a_state_file_that_has_not_followed_freezes_is_not_used(
    ledger: Ledger, signer: PolicySignerServer
) -> None:
    """One of an earlier release: what was frozen in the rows that it has read is not in it."""
    await signer.stop()
    connection = sqlite3.connect(signer.state_file)
    connection.execute("PRAGMA user_version = 0")
    connection.close()

    with pytest.raises(StateUnusable):
        StateFile.open(signer.state_file, signer.identity)
