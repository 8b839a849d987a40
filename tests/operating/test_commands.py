"""`exchange halts` and `exchange accounts` as an operator meets them: processes, exit codes, output."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.sequencer.engine import Running, running

from exchange.chain.halts import HaltKind, Halts
from exchange.core.commands import OpenAccount
from exchange.core.words import AccountState, RateClass
from exchange.journal.log import JournalLog
from exchange.journal.tail import Tail
from exchange.operator.inbox import OperatorInbox
from exchange.projections.postgres import PostgresProjection

EXCHANGE = str(Path(sys.executable).with_name("exchange"))
TIMEOUT_S = 60
VAULT = "0x" + "fa" * 20
ALICE = "0x" + "01" * 20


async def run(*arguments: str, url: str | None, cwd: Path | None = None) -> tuple[int, list[str], str]:
    """(exit code, lines of stdout, all of stderr in one line) of an `exchange` command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    if url is not None:
        environment["EXCHANGE_DATABASE_URL"] = url
    process = await asyncio.create_subprocess_exec(
        EXCHANGE, *arguments, env=environment, cwd=cwd,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(TIMEOUT_S):
        output, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors
    return process.returncode, output.decode().splitlines(), " ".join(errors.decode().split())


# ------------------------------------------------------------------------------------- halts


async def test_halts_are_listed_and_lifted(database_url: str, pool: asyncpg.Pool) -> None:
    assert await run("halts", url=database_url) == (0, ["halts: open=0"], "")
    halts = Halts(pool)
    await halts.raise_(HaltKind.REORGED_AFTER_CREDIT, "deposit [7] is gone", 31337, VAULT)
    code, lines, _ = await run("halts", url=database_url)
    assert code == 0
    assert lines[0].startswith("halt: id=1 kind=reorged_after_credit raised=2")
    assert lines[0].endswith(f"+00:00 chain=31337 vault={VAULT} detail=deposit [7] is gone")
    assert lines[1] == "halts: open=1"

    code, lines, _ = await run(
        "halts", "--lift", "1", "--note", "made good", "--by", "alice", url=database_url
    )
    assert (code, lines) == (0, ["halts: open=0"])
    stored = await pool.fetchrow("SELECT lifted_by, note FROM halts")
    assert stored is not None
    assert tuple(stored) == ("alice", "made good")


async def test_an_operator_may_halt_everything(database_url: str, pool: asyncpg.Pool) -> None:
    code, lines, _ = await run("halts", "--halt", "--note", "a drill", "--by", "alice", url=database_url)
    assert (code, lines[-1]) == (0, "halts: open=1")
    assert lines[0].endswith("detail=alice: a drill")
    halts = Halts(pool)
    await halts.refresh()
    assert halts.problem == "withdrawals halted: operator"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lift", "1", "--note", "why not"], "there is no open halt 1"),
        (["--lift", "1"], "say why"),
        (["--halt"], "say why"),
        (["--halt", "--lift", "1", "--note", "both"], "do not go together"),
    ],
)
async def test_what_can_not_be_done_to_halts_is_said_in_one_line(
    database_url: str, pool: asyncpg.Pool, arguments: list[str], message: str
) -> None:
    code, _, errors = await run("halts", *arguments, url=database_url)
    assert code == 1
    assert message in errors
    assert await pool.fetchval("SELECT count(*) FROM halts") == 0


async def test_without_a_database_there_is_nothing_to_operate(tmp_path: Path) -> None:
    for command in ("halts", "accounts"):
        code, _, errors = await run(command, url=None, cwd=tmp_path)
        assert code == 1
        assert "there is no devnet in" in errors


# ----------------------------------------------------------------------------------- accounts


@pytest.fixture
async def engine(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Running]:
    """An engine with an inbox for operators, and read tables."""
    tail = Tail(pool, poll_s=0.05)
    async with (
        await JournalLog.claim(database_url) as log,
        running(log, on_commit=lambda _: tail.notify()) as engine,
    ):
        await engine.sequencer.submit(OpenAccount(ALICE))
        tasks = [
            asyncio.create_task(OperatorInbox(pool, engine.sequencer.submit, poll_s=0.02).run()),
            asyncio.create_task(PostgresProjection(pool, tail).run()),
        ]
        yield engine
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_account_is_frozen_listed_and_set_free(database_url: str, engine: Running) -> None:
    committed = engine.sequencer.committed
    account_id = committed.account_id(ALICE)
    assert account_id is not None
    for option, state in (
        ("--freeze", AccountState.FROZEN),
        ("--restrict", AccountState.CANCEL_ONLY),
        ("--activate", AccountState.ACTIVE),
    ):
        code, lines, _ = await run("accounts", option, str(account_id), "--note", "a drill", url=database_url)
        assert (code, lines) == (0, [f"account: id={account_id} state={state} seq={committed.seq}"])
        assert committed.account_state(account_id) is state
        # Active ones are not shown; read tables follow a moment later.
        shown = [(ALICE, state)] if state is not AccountState.ACTIVE else []
        async with asyncio.timeout(20):
            while await listed(database_url) != shown:
                pass


async def listed(database_url: str) -> list[tuple[str, str]]:
    """(owner, state) of each account that `exchange accounts` shows."""
    code, lines, _ = await run("accounts", url=database_url)
    rows = [dict(word.split("=") for word in line.split()[1:]) for line in lines[:-1]]
    assert (code, lines[-1]) == (0, f"accounts: not_active={len(rows)}")
    return [(row["owner"], row["state"]) for row in rows]


async def test_an_owner_gets_a_rate_class_is_listed_and_loses_it(database_url: str, engine: Running) -> None:
    committed = engine.sequencer.committed
    mixed_case = "0x" + ALICE[2:].replace("0", "A").upper()
    await engine.sequencer.submit(OpenAccount(mixed_case.lower()))
    for rate_class in (RateClass.MARKET_MAKER, RateClass.STANDARD):
        asked = ("accounts", "--rate-class", rate_class.value, "--owner", mixed_case, "--note", "a drill")
        code, lines, _ = await run(*asked, url=database_url)
        told = f"owner: address={mixed_case.lower()} rate_class={rate_class}"
        assert (code, lines) == (0, [f"{told} seq={committed.seq}"])
        assert committed.rate_class(mixed_case.lower()) is rate_class
        shown = [told] if rate_class is not RateClass.STANDARD else []
        async with asyncio.timeout(20):
            while (await run("accounts", url=database_url))[1] != [*shown, "accounts: not_active=0"]:
                pass


async def test_an_owner_without_an_account_gets_no_rate_class(database_url: str, engine: Running) -> None:
    nobody = "0x" + "77" * 20
    asked = ("accounts", "--rate-class", "market_maker", "--owner", nobody, "--note", "a drill")
    code, _, errors = await run(*asked, url=database_url)
    assert code == 1
    assert "was refused: unknown_account" in errors


async def test_an_unknown_account_is_refused(database_url: str, engine: Running) -> None:
    code, _, errors = await run("accounts", "--freeze", "999", "--note", "a drill", url=database_url)
    assert code == 1
    assert "was refused: unknown_account" in errors


async def test_an_exchange_that_does_not_run_is_waited_for_but_not_for_long(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exchange import operating

    monkeypatch.setattr(operating, "ANSWER_WAIT_S", 0.2)
    with pytest.raises(operating.CannotOperate, match="expires after 60 s"):
        await operating.set_account_state(database_url, None, 7, AccountState.FROZEN, "alice", "a drill")
    assert await pool.fetchval("SELECT count(*) FROM operator_requests WHERE taken_ms IS NULL") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--freeze", "1"], "say why"),
        (["--freeze", "1", "--activate", "2", "--note", "both"], "do not go together"),
        (["--rate-class", "market_maker", "--note", "whose?"], "--rate-class and --owner go together"),
        (["--owner", ALICE, "--note", "what?"], "--rate-class and --owner go together"),
        (["--rate-class", "standard", "--owner", ALICE, "--freeze", "1"], "do not go together"),
        (["--rate-class", "standard", "--owner", ALICE], "say why"),
        (["--rate-class", "standard", "--owner", ALICE[:-1], "--note", "typed"], "0x and 40 hex digits"),
    ],
)
async def test_what_can_not_be_done_to_accounts_is_said_in_one_line(
    database_url: str, pool: asyncpg.Pool, arguments: list[str], message: str
) -> None:
    code, _, errors = await run("accounts", *arguments, url=database_url)
    assert code == 1
    assert message in errors
    assert await pool.fetchval("SELECT count(*) FROM operator_requests") == 0
