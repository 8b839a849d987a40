"""pytest fixtures for tests of programs that trade here, against a real exchange with a chain of its own.

    pytest_plugins = ["exchange.testing"]      # in the conftest.py at the root of your tests

| fixture | scope | what it is |
| --- | --- | --- |
| `exchange_devnet` | session | a running `Devnet`; all tests of a run (of a worker) share it |
| `exchange_wallet` | function | makes `FundedWallet`s there; their orders are cancelled after the test |
| `exchange_devnet_fresh` | function | a `Devnet` of the test's own, on which nothing has happened |
| `exchange_devnet_options` | session | override it to start devnets differently |
| `exchange_devnet_of` | session | starts another devnet, for as many tests as you like |

All of it is synchronous, so that it goes with every style of test. Explained in docs/testing-your-bot.md.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exchange.testing_devnet.chain import Amount
from exchange.testing_devnet.devnet import Devnet, copy_folder
from exchange.testing_devnet.errors import DevnetFailed
from exchange.testing_devnet.process import DevnetProcess
from exchange.testing_devnet.wallets import FundedWallet, WalletMaker


@dataclass(frozen=True)
class DevnetOptions:
    """How devnets are started. `environment` is added to that of the test run."""

    block_time_s: int = 1
    arguments: tuple[str, ...] = ()
    """More arguments for `exchange devnet`."""
    environment: Mapping[str, str] = field(default_factory=dict)


DevnetStarter = Callable[[DevnetOptions], contextlib.AbstractContextManager[Devnet]]


class _Running:
    """The devnets that run now, and how much each had logged when the present test began."""

    def __init__(self) -> None:
        self.log_begins: dict[DevnetProcess, int] = {}


_RUNNING = pytest.StashKey[_Running]()


def pytest_configure(config: pytest.Config) -> None:
    """Makes room for the devnets of this run."""
    config.stash[_RUNNING] = _Running()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remembers where the log of this test begins."""
    running = item.config.stash[_RUNNING]
    for process in running.log_begins:
        running.log_begins[process] = process.log_size()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what the devnets have logged during a test that failed."""
    report = yield
    if report.failed:
        for process, begins_at in item.config.stash[_RUNNING].log_begins.items():
            title = f"log of the exchange at {process.url} ({process.log_path})"
            report.sections.append((title, process.log_tail(begins_at) or "nothing during this test"))
    return report


@pytest.fixture(scope="session")
def exchange_devnet_options() -> DevnetOptions:
    """Override it in your conftest.py for other devnets."""
    return DevnetOptions()


@pytest.fixture(scope="session")
def exchange_devnet_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DevnetStarter:
    """`with exchange_devnet_of(DevnetOptions(...)) as devnet:` is one more, which ends with the block."""

    @contextlib.contextmanager
    def start(options: DevnetOptions) -> Iterator[Devnet]:
        process = _process(options, tmp_path_factory)
        with _running(process, request.config):
            yield Devnet(process)

    return start


@pytest.fixture(scope="session")
def exchange_devnet(
    exchange_devnet_of: DevnetStarter, exchange_devnet_options: DevnetOptions
) -> Iterator[Devnet]:
    """The devnet that all tests share; it ends with them, also when they are killed."""
    with exchange_devnet_of(exchange_devnet_options) as devnet:
        yield devnet


@pytest.fixture
def exchange_wallet(exchange_devnet: Devnet) -> Iterator[WalletMaker]:
    """Makes wallets at the shared devnet. After the test all their orders are cancelled."""
    made: list[FundedWallet] = []

    def make(
        at_exchange: Mapping[str, Amount] | None = None, on_chain: Mapping[str, Amount] | None = None
    ) -> FundedWallet:
        made.append(exchange_devnet.wallet(at_exchange, on_chain))
        return made[-1]

    yield make
    if not exchange_devnet.process.running:  # the test has killed it
        exchange_devnet.restart()
    for wallet in made:
        wallet.cancel_everything()


@pytest.fixture
def exchange_devnet_fresh(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    exchange_devnet_options: DevnetOptions,
    _exchange_new_folder: Path,
) -> Iterator[Devnet]:
    """A devnet for this test alone, begun from a copy of one on which nothing has happened."""
    process = _process(exchange_devnet_options, tmp_path_factory)
    copy_folder(_exchange_new_folder, process.data_dir)
    with _running(process, request.config):
        yield Devnet(process)


@pytest.fixture(scope="session")
def _exchange_new_folder(
    tmp_path_factory: pytest.TempPathFactory, exchange_devnet_options: DevnetOptions
) -> Iterator[Path]:
    """The folder of a devnet that was started, deployed and stopped: half a start is done already."""
    process = _process(exchange_devnet_options, tmp_path_factory)
    try:
        process.start()
        process.stop()
        yield process.data_dir
    finally:
        process.stop()
        process.remove()


def _process(options: DevnetOptions, tmp_path_factory: pytest.TempPathFactory) -> DevnetProcess:
    """Its data in a short path, as sockets need; its log where pytest keeps things for a while."""
    return DevnetProcess(
        Path(tempfile.mkdtemp(prefix="exchange-")),
        tmp_path_factory.mktemp("exchange-devnet") / "devnet.log",
        block_time_s=options.block_time_s,
        arguments=options.arguments,
        environment=options.environment,
    )


@contextlib.contextmanager
def _running(process: DevnetProcess, config: pytest.Config) -> Iterator[None]:
    log_begins = config.stash[_RUNNING].log_begins
    try:
        process.start()
        log_begins[process] = 0
        yield
    finally:
        log_begins.pop(process, None)
        with contextlib.suppress(DevnetFailed):  # then it was killed; its folder goes all the same
            process.stop()
        shutil.rmtree(process.folder, ignore_errors=True)
