"""The command line: `exchange devnet`, `serve`, `policy-signer`, and what an operator asks and decides.

What only one command needs of the exchange is imported by it: all of it takes a second and a half, and an
operator who looks at the halts waits for a third of that.
"""

import asyncio
import gc
import getpass
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from exchange.chain.errors import ChainError
from exchange.core.words import AccountState, RateClass
from exchange.examine import BooksDiffer, CannotExamine, run_audit, run_replay
from exchange.journal.errors import JournalError
from exchange.logs import configure_logging
from exchange.operating import (
    approve_withdrawal,
    lift_halt,
    list_accounts,
    list_halts,
    list_reviews,
    raise_halt,
    reject_withdrawal,
    set_account_state,
    set_rate_class,
)
from exchange.parts import CannotRun
from exchange.policy_signer.refusals import PolicySignerError
from exchange.sequencer.clock import ClockStepped
from exchange.sequencer.sequencer import EngineStopped
from exchange.stores.errors import StoreError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="A self-hosted, wallet-native exchange.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they print local variables, keys among them
)

MAX_ID = 2**63 - 1
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

EXPECTED_ERRORS = (
    StoreError,
    ChainError,
    JournalError,
    ClockStepped,
    CannotRun,
    CannotExamine,
    BooksDiffer,
    PolicySignerError,
    EngineStopped,  # what start-up meets when the engine has just ended, beside the cause
)
"""Errors whose message tells an operator what is wrong; everything else is a bug and shows its traceback."""


@app.callback()
def common() -> None:
    """A self-hosted, wallet-native exchange."""
    if not __debug__:
        _fail("python -O removes the asserts that stop a broken engine; start without -O")
    configure_logging(
        log_format=os.environ.get("EXCHANGE_LOG_FORMAT", "text"),
        level=os.environ.get("EXCHANGE_LOG_LEVEL", "info"),
    )


@app.command()
def devnet(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the API.")] = 8000,
    rpc_port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the local chain.")] = 8545,
    data_dir: Annotated[Path, typer.Option(help="Folder of everything that is kept.")] = Path(".data"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything and start over.")] = False,
    block_time: Annotated[int, typer.Option(min=1, help="Seconds between blocks of the local chain.")] = 1,
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the figures for Prometheus; 0: any that is free.")
    ] = 0,
    bots: Annotated[
        bool, typer.Option("--bots/--no-bots", help="Whether a maker and a taker trade on the markets.")
    ] = True,
    web_app: Annotated[
        Path | None,
        typer.Option(envvar="EXCHANGE_WEB_APP", show_default=False, help="Folder of the built web app."),
    ] = None,
    review_above: Annotated[
        list[str] | None,
        typer.Option(metavar="ASSET=AMOUNT", help="Withdrawals of more wait for a person; none do without."),
    ] = None,
) -> None:
    """Everything on this machine, a local chain included, with markets open and two bots that trade."""
    from exchange.config import WEB_APP  # noqa: PLC0415 - see the module
    from exchange.devnet import DevnetOptions, run_devnet  # noqa: PLC0415 - see the module

    options = DevnetOptions(
        port,
        rpc_port,
        data_dir,
        fresh,
        block_time,
        metrics_port,
        has_bots=bots,
        web_app=web_app or WEB_APP,
        review_above=tuple(review_above or ()),
    )
    _run(run_devnet(options))


@app.command(name="serve")
def serve_command() -> None:
    """On servers of your own, by EXCHANGE_* variables (docs/runbook.md)."""
    from exchange.config import settings_from_environment  # noqa: PLC0415 - see the module
    from exchange.main import serve  # noqa: PLC0415 - see the module

    try:
        settings = settings_from_environment(os.environ)
    except CannotRun as error:
        _fail(str(error))
    _run(serve(settings))


@app.command(name="policy-signer")
def policy_signer_command() -> None:
    """Keep the vault's signer key, by EXCHANGE_POLICY_* variables (docs/runbook.md).

    Best on a machine of its own: signs what an owner signed and the journal owes, within its own limits.
    """
    from exchange.policy_config import policy_settings_from_environment  # noqa: PLC0415 - see the module
    from exchange.policy_signer.process import run_policy_signer  # noqa: PLC0415 - see the module

    try:
        settings = policy_settings_from_environment(os.environ)
    except CannotRun as error:
        _fail(str(error))
    _run(run_policy_signer(settings))


DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a devnet; without it the database is EXCHANGE_DATABASE_URL, or else that of .data."
    ),
]


@app.command()
def replay(
    verify: Annotated[
        bool,
        typer.Option("--verify", help="From the first command on, comparing every event, hash and snapshot."),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Execute the journal again; --verify compares everything.

    Goes the way of a restart, from the newest snapshot on, or with --verify from the first command on. Only
    reads, and may run beside the exchange.
    """
    _run(run_replay(os.environ.get("EXCHANGE_DATABASE_URL"), data_dir, verifying=verify), is_endless=False)


@app.command()
def audit(data_dir: DataDir = None) -> None:
    """Work out every balance anew and compare all the books.

    Ledger entries, engine state and read tables must agree to the atom. Only reads, and may run beside the
    exchange.
    """
    _run(run_audit(os.environ.get("EXCHANGE_DATABASE_URL"), data_dir), is_endless=False)


rebuild = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Fill again, from the journal, what follows it."
)
app.add_typer(rebuild, name="rebuild")


@rebuild.callback()
def rebuild_what() -> None:
    """Fill again, from the journal, what follows it."""


@rebuild.command(name="candles")
def rebuild_candles_command(data_dir: DataDir = None) -> None:
    """Trades, candles and volumes in ClickHouse.

    A running exchange does it, and trading goes on; without one it is done here, with EXCHANGE_CLICKHOUSE as
    for `serve`. Interrupted at any point, the same command goes on.
    """
    from exchange.config import clickhouse_cluster  # noqa: PLC0415 - see the module
    from exchange.rebuilding import rebuild_candles  # noqa: PLC0415 - see the module

    url, clickhouse = os.environ.get("EXCHANGE_DATABASE_URL"), os.environ.get("EXCHANGE_CLICKHOUSE")
    try:
        cluster = clickhouse_cluster(os.environ)
    except CannotRun as error:
        _fail(str(error))
    _run(rebuild_candles(url, clickhouse, data_dir, cluster), is_endless=False)


By = Annotated[str, typer.Option(help="Who you are; kept with what you do.")]
Note = Annotated[str, typer.Option(help="Why; kept with what you do.")]


@app.command()
def halts(
    lift: Annotated[int | None, typer.Option(metavar="ID", min=1, max=MAX_ID, help="End this halt.")] = None,
    halt: Annotated[bool, typer.Option("--halt", help="Halt the withdrawals of all chains now.")] = False,
    note: Note = "",
    by: By = "",
    data_dir: DataDir = None,
) -> None:
    """Show what halts withdrawals; --lift ends a halt, --halt makes one.

    Takes effect on the running exchange within seconds.
    """
    url, name = os.environ.get("EXCHANGE_DATABASE_URL"), by or getpass.getuser()
    if lift is not None and halt:
        _fail("--lift and --halt do not go together")
    if lift is not None:
        _run(lift_halt(url, data_dir, lift, name, note), is_endless=False)
    elif halt:
        _run(raise_halt(url, data_dir, name, note), is_endless=False)
    else:
        _run(list_halts(url, data_dir), is_endless=False)


@app.command()
def withdrawals(
    approve: Annotated[str | None, typer.Option(metavar="ID", help="Let this withdrawal out.")] = None,
    reject: Annotated[
        str | None, typer.Option(metavar="ID", help="Keep it in; its owner is shown the note.")
    ] = None,
    note: Note = "",
    by: By = "",
    data_dir: DataDir = None,
) -> None:
    """Show the withdrawals that wait for a person; --approve and --reject decide about one.

    What nobody decides about in time comes back to its owner after the deadline that the owner signed.
    """
    url, name = os.environ.get("EXCHANGE_DATABASE_URL"), by or getpass.getuser()
    if approve is not None and reject is not None:
        _fail("--approve and --reject do not go together")
    if approve is not None:
        _run(approve_withdrawal(url, data_dir, approve.lower(), name), is_endless=False)
    elif reject is not None:
        _run(reject_withdrawal(url, data_dir, reject.lower(), name, note), is_endless=False)
    else:
        _run(list_reviews(url, data_dir), is_endless=False)


@app.command()
def accounts(
    freeze: Annotated[
        int | None, typer.Option(metavar="ID", min=1, max=MAX_ID, help="Freeze this account.")
    ] = None,
    restrict: Annotated[
        int | None, typer.Option(metavar="ID", min=1, max=MAX_ID, help="Let it only cancel and leave.")
    ] = None,
    activate: Annotated[
        int | None, typer.Option(metavar="ID", min=1, max=MAX_ID, help="Set this account free.")
    ] = None,
    rate_class: Annotated[
        RateClass | None, typer.Option(help="Let --owner ask for as much in a time as this class may.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Whom --rate-class is for: all their accounts.")
    ] = None,
    note: Note = "",
    by: By = "",
    data_dir: DataDir = None,
) -> None:
    """Show the accounts that are not active; --freeze, --restrict and --activate change one.

    --rate-class changes how much an owner may ask for, and those who may ask for more than others are shown
    too. The running exchange takes it up and journals it; one change at a time.
    """
    url, name = os.environ.get("EXCHANGE_DATABASE_URL"), by or getpass.getuser()
    asked = [
        (account_id, state)
        for account_id, state in (
            (freeze, AccountState.FROZEN),
            (restrict, AccountState.CANCEL_ONLY),
            (activate, AccountState.ACTIVE),
        )
        if account_id is not None
    ]
    if len(asked) + (rate_class is not None) > 1:
        _fail("--freeze, --restrict, --activate and --rate-class do not go together")
    if (rate_class is None) != (owner is None):
        _fail("--rate-class and --owner go together")
    if rate_class is not None and owner is not None:
        _run(set_rate_class(url, data_dir, owner, rate_class, name, note), is_endless=False)
    elif asked:
        _run(set_account_state(url, data_dir, *asked[0], name, note), is_endless=False)
    else:
        _run(list_accounts(url, data_dir), is_endless=False)


def _run(work: Coroutine[Any, Any, None], *, is_endless: bool = True) -> None:
    """Runs until done, Ctrl-C or SIGTERM; an expected error becomes one clear line and exit code 1.

    A signal is the usual end of what is endless; anything else has then not been done.
    """

    gc.enable()

    async def until_signalled() -> None:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            if not is_endless:
                raise SystemExit(INTERRUPTED) from None

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(until_signalled())
    except EXPECTED_ERRORS as error:
        _fail(str(error))
    except BaseExceptionGroup as group:
        expected, rest = group.split(EXPECTED_ERRORS)
        if rest is not None:
            # Parts live inside one another, and their groups too: deeper than a traceback shows.
            raise BaseExceptionGroup("not foreseen", [*_leaves(group)]) from None
        assert expected is not None
        _fail(str(next(_leaves(expected))))


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415  -- not there on Windows

    return uvloop.new_event_loop


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group of groups, without the groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _fail(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {message}", markup=True)
    raise SystemExit(1)


def main() -> None:
    """Entry point of the `exchange` script."""
    gc.disable()  # what is imported stays: looking for garbage in it takes a fifth of the time
    app()


if __name__ == "__main__":
    main()
