"""Browser tests: Chromium, a real exchange with bots on it, and the built app that it serves.

Each test has a browser context of its own, and fails at its end when the page has complained of anything that
the test has not announced. Pictures of what failed are in build/browser; with `--tracing=retain-on-failure`,
which takes a fifth more of the processors, traces too.
"""

import contextlib
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.chromium import find_chromium
from tests.browser.injected_wallet import InjectedWallet
from tests.browser.passkeys import Passkeys
from tests.browser.watch import Watch

from exchange.testing import DevnetOptions
from exchange.testing_devnet.devnet import Devnet
from exchange.testing_devnet.errors import ApiRefused
from exchange.testing_devnet.json_http import request as http_request

REPOSITORY = Path(__file__).parents[2]
BUILD = REPOSITORY / "build"

DESKTOP = {"width": 1440, "height": 900}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
PATIENCE_MS = 15_000
"""How long something visible may take. Generous: two cores run the exchange, its chain and the browser."""

BOTS_S = 90.0

_WATCH = pytest.StashKey[Watch]()
_TOLD = pytest.StashKey[list[str]]()
_TELL = "told at the end"


def pytest_configure(config: pytest.Config) -> None:
    # Each worker cleans its folder when it begins.
    config.option.output = str(BUILD / "browser" / os.environ.get("PYTEST_XDIST_WORKER", "main"))
    config.stash[_TOLD] = []
    config.pluginmanager.register(_Told(config.stash[_TOLD]))
    expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """What the page complained of fails the test itself, so that its picture is kept."""
    result = yield
    if _WATCH in item.stash:
        item.stash[_WATCH].check()
    return result


class _Told:
    """Collects what tests of all workers have told."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._lines += [str(line) for name, line in report.user_properties if name == _TELL]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in config.stash[_TOLD]:
        terminalreporter.write_line(line)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A line that is printed at the end of the run: something measured."""
    properties = request.node.user_properties
    return lambda line: properties.append((_TELL, line))


@pytest.fixture(scope="session")
def exchange_devnet_options() -> DevnetOptions:
    return DevnetOptions(arguments=("--bots",))


@pytest.fixture(scope="session")
def devnet(exchange_devnet: Devnet) -> Devnet:
    status, page, _ = http_request("GET", f"{exchange_devnet.url}/")
    if status != 200 or "<script" not in page:
        pytest.exit("the app is not built, or not served: make test-browser builds it", returncode=2)
    deadline = time.monotonic() + BOTS_S
    while not _is_alive(exchange_devnet):
        assert time.monotonic() < deadline, "the bots make no market"
        time.sleep(0.2)
    return exchange_devnet


def _is_alive(devnet: Devnet) -> bool:
    """Whether the bots trade, and candles can be read."""
    with contextlib.suppress(ApiRefused):
        candles = devnet.call("GET", "/v1/markets/ETH-USDC/candles?interval=1m")["items"]
        book = devnet.call("GET", "/v1/markets/ETH-USDC/book?depth=1")
        return bool(candles and book["bids"] and book["asks"])
    return False


@pytest.fixture(scope="session")
def base_url(devnet: Devnet) -> str:
    """localhost, never 127.0.0.1: to a passkey the latter is no secure place."""
    return devnet.url


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return browser_type_launch_args | {"executable_path": find_chromium()}


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    """Where a test announces what the page may complain of."""
    request.node.stash[_WATCH] = watch = Watch()
    return watch


@pytest.fixture
def new_visitor(
    new_context: Callable[..., BrowserContext], request: pytest.FixtureRequest, watch: Watch
) -> Callable[..., BrowserContext]:
    """Makes contexts whose pages are watched. They have seen the tour, but in tests of a first visit."""

    def make(**how: Any) -> BrowserContext:
        context = new_context(**{"viewport": DESKTOP, "color_scheme": "dark", **how})
        context.set_default_timeout(PATIENCE_MS)
        context.set_default_navigation_timeout(2 * PATIENCE_MS)
        if request.node.get_closest_marker("first_visit") is None:
            context.add_init_script(
                "try { localStorage.setItem('tour', 'done'); } catch { /* no page yet */ }"
            )
        watch.follow(context)
        return context

    return make


@pytest.fixture
def context(new_visitor: Callable[..., BrowserContext]) -> BrowserContext:
    return new_visitor()


@pytest.fixture
def passkeys(page: Page) -> Passkeys:
    """The page has a passkey device that says yes; see `Passkeys`."""
    return Passkeys(page)


@pytest.fixture
def injected(context: BrowserContext, devnet: Devnet) -> InjectedWallet:
    """The browser has a wallet extension, with 100 ETH on chain."""
    wallet = InjectedWallet(devnet.rpc_url)
    devnet.chain.give(wallet.address, "ETH", 100)
    wallet.install(context)
    return wallet


@pytest.fixture
def phone(new_visitor: Callable[..., BrowserContext]) -> Page:
    """A page on a telephone."""
    return new_visitor(**PHONE).new_page()
