"""The journal under the signer: rows altered, missing, replaced or late, and databases that are gone."""

import aiohttp
import asyncpg
import pytest
from tests.fixtures.policy_signer import PolicySigners, PolicySignerServer
from tests.policy_signer.conftest import LIMITS, Ask
from tests.policy_signer.ledger import (
    VAULT,
    Ledger,
    append_forged,
    body_of,
    claimed,
    rewrite_history,
    taken,
)

from exchange.chain.dev_keys import DEV_CHAIN_ID
from exchange.core.commands import OpenAccount


async def codes(ask: Ask, body: object) -> str:
    """The refusal's code, or "signed"."""
    status, answer = await ask(body)
    return "signed" if status == 200 else str(answer["code"])


async def test_a_row_that_was_altered_after_it_was_seen_is_found(ledger: Ledger, ask: Ask) -> None:
    order, later = await ledger.requested(), await ledger.requested()
    assert await codes(ask, body_of(later)) == "signed"
    await ledger.pool.execute(
        "UPDATE journal SET time_ns = time_ns + 1 WHERE seq_first <= $1 AND seq_last >= $1",
        order.request.journal_seq,
    )

    assert await codes(ask, body_of(order)) == "journal_corrupt"


async def test_a_row_that_was_altered_before_it_is_seen_is_found(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    await signer.stop()
    order = await ledger.requested()
    await ledger.pool.execute(
        "UPDATE journal SET events = events || 'x'::bytea WHERE seq_last >= $1", order.request.journal_seq
    )
    await signer.start()

    assert await codes(ask, body_of(order)) == "journal_corrupt"


async def test_a_history_that_was_rewritten_with_all_its_hashes_is_found(ledger: Ledger, ask: Ask) -> None:
    order = await ledger.requested()
    assert await codes(ask, body_of(order)) == "signed"
    await rewrite_history(ledger.pool, order.request.journal_seq)

    assert await codes(ask, body_of(order)) == "journal_rewritten"


async def test_a_history_rewritten_while_the_signer_was_down_is_found(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    first, order = await ledger.requested(), await ledger.requested()
    assert await codes(ask, body_of(first)) == "signed"
    await signer.stop()
    await rewrite_history(ledger.pool, 1)
    await signer.start()

    assert await codes(ask, body_of(order)) == "journal_rewritten"


async def test_a_forged_row_that_is_taken_back_after_the_signature_is_found(ledger: Ledger, ask: Ask) -> None:
    """What the hash chain can not tell at once, it tells from then on: nothing more is signed."""
    message = ledger.message()
    command = ledger.command(message)
    forged = await append_forged(
        ledger.pool, [command], [[taken(command, message)]], ledger.committed.time_ns
    )
    assert await codes(ask, body_of(claimed(message, command, forged))) == "signed"
    await ledger.pool.execute("DELETE FROM journal WHERE seq_first = $1", forged)
    honest = await ledger.requested()

    assert await codes(ask, body_of(honest)) == "journal_rewritten"


async def test_a_journal_that_is_shorter_than_what_was_seen_is_waited_for(ledger: Ledger, ask: Ask) -> None:
    """A replica that is behind another one looks like this; so do lost rows."""
    order, last = await ledger.requested(), await ledger.requested()
    assert await codes(ask, body_of(last)) == "signed"
    await ledger.pool.execute("DELETE FROM journal WHERE seq_last > $1", order.request.journal_seq + 1)

    assert await codes(ask, body_of(order)) == "journal_behind"


async def test_a_missing_row_is_found(ledger: Ledger, signer: PolicySignerServer, ask: Ask) -> None:
    await signer.stop()
    await ledger.submit(OpenAccount("0x" + "33" * 20))
    gap = ledger.committed.seq
    order = await ledger.requested()
    await ledger.pool.execute("DELETE FROM journal WHERE seq_last = $1", gap)
    await signer.start()

    assert await codes(ask, body_of(order)) == "journal_corrupt"


async def test_a_row_that_leaves_seqs_out_is_found(ledger: Ledger, ask: Ask) -> None:
    """Chained to the row before by its hash, and still not the next one."""
    message = ledger.message()
    command = ledger.command(message)
    forged = await append_forged(
        ledger.pool, [command], [[taken(command, message)]], ledger.committed.time_ns, left_out=3
    )

    assert await codes(ask, body_of(claimed(message, command, forged))) == "journal_corrupt"


async def test_the_row_of_a_request_that_is_gone_is_found(ledger: Ledger, ask: Ask) -> None:
    order, later = await ledger.requested(), await ledger.requested()
    assert await codes(ask, body_of(later)) == "signed"
    await ledger.pool.execute(
        "DELETE FROM journal WHERE seq_first <= $1 AND seq_last >= $1", order.request.journal_seq
    )

    assert await codes(ask, body_of(order)) == "journal_rewritten"


async def test_the_journal_of_another_exchange_is_not_believed_from_its_first_row(
    ledger: Ledger, policy_signer: PolicySigners, http: aiohttp.ClientSession
) -> None:
    order = await ledger.requested()
    signer = await policy_signer(ledger.database_url, DEV_CHAIN_ID, VAULT, LIMITS)
    await signer.stop()
    signer.state_file.unlink()
    signer.identity = type(signer.identity)("0x" + "cd" * 32, DEV_CHAIN_ID, VAULT)
    await signer.start()

    # The owner's signature is for the real exchange, so it fails already; the journal is checked by itself.
    async with http.post(
        f"{signer.url}/v1/payments/sign",
        json=body_of(order),
        headers={"Authorization": f"Bearer {signer.where.token}"},
    ) as answer:
        assert (await answer.json())["code"] == "signature_wrong_signer"
    async with http.get(f"{signer.url}/v1/health") as answer:
        assert (await answer.json())["journal_seq"] == 0


async def test_without_its_database_nothing_is_signed_and_afterwards_it_is(
    ledger: Ledger, ask: Ask, pool: asyncpg.Pool
) -> None:
    order = await ledger.requested()
    await pool.execute("REVOKE SELECT ON journal FROM policy_reader")
    assert await codes(ask, body_of(order)) == "journal_unavailable"

    await pool.execute("GRANT SELECT ON journal TO policy_reader")
    assert await codes(ask, body_of(order)) == "signed"


async def test_a_signer_needs_the_right_to_read_the_journal_and_no_other(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask
) -> None:
    """The fixture's role has this one right: it is what the runbook says to give."""
    assert await codes(ask, body_of(await ledger.requested())) == "signed"
    connection = await asyncpg.connect(signer.database_url, timeout=10)
    try:
        for table in ("genesis", "writer", "sessions"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM journal")
    finally:
        await connection.close(timeout=10)


async def test_a_restart_goes_on_where_the_signer_was(
    ledger: Ledger, signer: PolicySignerServer, ask: Ask, http: aiohttp.ClientSession
) -> None:
    order = await ledger.requested()
    first = await ask(body_of(order))
    await signer.stop()
    await signer.start()
    async with http.get(f"{signer.url}/v1/health") as answer:
        assert (await answer.json())["journal_seq"] >= order.request.journal_seq

    assert await ask(body_of(order)) == first


async def test_a_long_journal_is_read_in_one_go(ledger: Ledger, signer: PolicySignerServer, ask: Ask) -> None:
    await signer.stop()
    order = await ledger.requested()
    for number in range(100):
        await ledger.submit(OpenAccount(f"0x{number:040x}"))
    await signer.start()

    assert await codes(ask, body_of(order)) == "signed"
