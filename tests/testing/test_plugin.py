"""The plugin as others use it: a pytest of its own, in a folder that has nothing to do with this one."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "testing-your-bot.md"
PLUGIN = 'pytest_plugins = ["exchange.testing"]\n'
PATIENCE_S = 120.0

pytestmark = pytest.mark.timeout(400)


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    return subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=300, check=False
    )


def _environment() -> dict[str, str]:
    """Of a run that is nobody's worker."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert {name for name, _ in blocks} == {"my_bot.py", "conftest.py", "test_my_bot.py"}
    for name, content in blocks:
        (tmp_path / name).write_text(content)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


SHARED_SCENES = """
import asyncio
import time
from decimal import Decimal

import pytest
from exchange.testing import DevnetOptions
from exchange.testing_devnet.errors import ApiRefused, RpcFailed

BID = {"market": "ETH-USDC", "side": "buy", "price": "100", "size": "1"}


def bids(devnet):
    return devnet.call("GET", "/v1/markets/ETH-USDC/book")["bids"]


def test_a_wallet_has_what_it_was_given(exchange_devnet, exchange_wallet):
    wallet = exchange_wallet(at_exchange={"ETH": "0.25", "USDC": 1_000}, on_chain={"WBTC": "0.5"})
    assert wallet.balances() == {"ETH": Decimal("0.25"), "USDC": 1_000, "WBTC": 0}
    assert exchange_devnet.chain.balance(wallet.address, "WBTC") == Decimal("0.5")
    assert exchange_devnet.chain.balance(wallet.address, "ETH") == 0
    wallet.deposit("WBTC", "0.1")
    assert wallet.balances()["WBTC"] == Decimal("0.1")
    with pytest.raises(TypeError, match="float"):
        wallet.deposit("WBTC", 0.1)
    with pytest.raises(ValueError, match="10\\\\^-6"):
        wallet.deposit("USDC", "0.0000001")
    with pytest.raises(ApiRefused) as refused:
        wallet.call("POST", "/v1/orders", BID | {"size": "1000"})
    assert refused.value.status == 409
    with pytest.raises(RpcFailed):
        exchange_devnet.chain.rpc("no_such_method")


def test_one_leaves_orders_in_the_book(exchange_devnet, exchange_wallet):
    wallet = exchange_wallet(at_exchange={"USDC": 1_000})
    wallet.call("POST", "/v1/orders", BID)
    moved = {"from_sub_account": 0, "to_sub_account": 1, "asset": "USDC", "amount": "500"}
    wallet.call("POST", "/v1/transfers", moved | {"client_transfer_id": "1"})
    wallet.call("POST", "/v1/orders", BID | {"sub_account": 1, "price": "99"})
    assert len(bids(exchange_devnet)) == 2


@pytest.mark.asyncio
async def test_an_asynchronous_test_has_the_same_fixtures(exchange_devnet, exchange_wallet):
    wallet = await asyncio.to_thread(exchange_wallet, {"USDC": 5})
    assert wallet.balances()["USDC"] == 5


def test_the_next_does_not_see_them(exchange_devnet):
    assert bids(exchange_devnet) == []


def test_the_chain_stands_still_for_a_while(exchange_devnet):
    chain = exchange_devnet.chain
    with chain.standing_still():
        number = chain.rpc("eth_blockNumber")
        time.sleep(2.5)
        assert chain.rpc("eth_blockNumber") == number
        chain.mine()
        number = chain.rpc("eth_blockNumber")
    until = time.monotonic() + 60
    while chain.rpc("eth_blockNumber") == number:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_another_devnet_with_a_person_who_looks(exchange_devnet, exchange_devnet_of):
    with exchange_devnet_of(DevnetOptions(arguments=("--review-above", "ETH=1"))) as other:
        assert other.url != exchange_devnet.url
        wallet = other.wallet({"ETH": 3})
        for amount, is_reviewed in (("1", False), ("1.1", True)):
            query = f"asset=ETH&amount={amount}&destination={wallet.address}"
            assert wallet.call("GET", f"/v1/withdrawals/quote?{query}")["reviewed"] is is_reviewed
    assert not other.process.running
    assert exchange_devnet.process.running


def test_the_shared_one_is_put_back_to_before_its_wallet_was_made(exchange_devnet, exchange_wallet):
    snapshot = exchange_devnet.snapshot()
    exchange_wallet(at_exchange={"USDC": 1_000}).call("POST", "/v1/orders", BID)
    exchange_devnet.restore(snapshot)
    assert bids(exchange_devnet) == []


def test_a_shared_devnet_that_was_killed_is_there_again_for_the_next(exchange_devnet, exchange_wallet):
    exchange_wallet(at_exchange={"USDC": 1_000}).call("POST", "/v1/orders", BID)
    exchange_devnet.crash()


def test_the_next(exchange_devnet):
    assert bids(exchange_devnet) == []
"""

FRESH_SCENES = """
import time

from eth_account import Account

BID = {"market": "ETH-USDC", "side": "buy", "price": "100", "size": "1"}


def bids(devnet):
    return devnet.call("GET", "/v1/markets/ETH-USDC/book")["bids"]


def test_a_snapshot_brings_everything_back(exchange_devnet_fresh):
    devnet = exchange_devnet_fresh
    assert bids(devnet) == []
    wallet = devnet.wallet({"USDC": 1_000})
    wallet.call("POST", "/v1/orders", BID)
    snapshot = devnet.snapshot()
    wallet.call("DELETE", "/v1/orders")
    wallet.deposit("USDC", 5)
    devnet.chain.advance_time(86_400)
    for _ in range(2):
        devnet.restore(snapshot)
        assert len(bids(devnet)) == 1
        assert wallet.balances()["USDC"] == 1_000
        wallet.deposit("USDC", 7)
        assert wallet.balances()["USDC"] == 1_007


def test_the_chains_time_goes_on_alone(exchange_devnet_fresh):
    devnet = exchange_devnet_fresh
    assert bids(devnet) == []
    devnet.chain.advance_time(86_400)
    assert devnet.chain.time_s > time.time() + 86_000
    assert devnet.call("GET", "/v1/time")["time_ms"] < (time.time() + 60) * 1_000
    wallet = devnet.wallet({"ETH": 1})
    assert wallet.balances()["ETH"] == 1
    wallet.call("POST", "/v1/orders", {"market": "ETH-USDC", "side": "sell", "price": "100", "size": "1"})


def test_a_withdrawal_whose_deadline_the_chain_has_passed_comes_back(exchange_devnet_fresh):
    devnet = exchange_devnet_fresh
    wallet = devnet.wallet({"ETH": 1})
    devnet.chain.advance_time(86_400)
    deadline_s = int(time.time()) + 3_000
    message = {
        "account": wallet.address,
        "subAccount": 0,
        "token": devnet.chain.assets["ETH"].token,
        "amount": 10**18,
        "maxFee": 0,
        "destination": wallet.address,
        "nonce": 7,
        "deadline": deadline_s,
    }
    typed = devnet.call("GET", "/v1/deployment")["withdrawal_typed_data"]
    types = {"Withdrawal": typed["types"]["Withdrawal"]}
    signed = Account.from_key(wallet.key).sign_typed_data(typed["domain"], types, message)
    body = {"asset": "ETH", "amount": "1", "max_fee": "0", "destination": wallet.address, "nonce": "7"}
    body |= {"deadline_s": deadline_s, "signature": "0x" + bytes(signed.signature).hex()}
    wallet.call("POST", "/v1/withdrawals", body)
    assert wallet.balances()["ETH"] == 0
    until = time.monotonic() + 120
    while wallet.call("GET", "/v1/withdrawals")["items"][0]["status"] != "refunded":
        assert time.monotonic() < until
        devnet.chain.mine()
        time.sleep(0.2)
    assert wallet.balances()["ETH"] == 1
"""


@pytest.mark.parametrize("scenes", [SHARED_SCENES, FRESH_SCENES], ids=["shared", "fresh"])
def test_each_fixture_does_what_it_says(tmp_path: Path, scenes: str) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_scenes.py").write_text(scenes)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{scenes.count('def test_')} passed" in done.stdout


FAILING = """
import pytest
from exchange.testing import DevnetOptions


@pytest.fixture(scope="session")
def exchange_devnet_options():
    return DevnetOptions(environment={"EXCHANGE_LOG_FORMAT": "json"}, arguments=ARGUMENTS)


def test_that_passes(exchange_devnet):
    pass


def test_that_fails(exchange_devnet):
    exchange_devnet.crash()
    exchange_devnet.restart()
    assert not "this"
"""


def test_a_test_that_fails_shows_what_the_exchange_has_logged_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_one.py").write_text(FAILING.replace("ARGUMENTS", "()"))
    done = run_pytest(tmp_path, f"--basetemp={tmp_path / 'base'}")
    assert done.returncode == 1
    title = re.search(r"log of the exchange at http://localhost:\d+ \((\S+)\)", done.stdout)
    assert title is not None, done.stdout
    shown = done.stdout[title.end() :]
    assert '"event": "started"' in shown  # by the option: as JSON
    assert '"epoch": 2' in shown  # of the restart, during the test
    assert '"epoch": 1,' not in shown  # of the first start, before it
    assert '"epoch": 1' in Path(title[1]).read_text()


def test_a_devnet_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_one.py").write_text(FAILING.replace("ARGUMENTS", "('--no-such-option',)"))
    done = run_pytest(tmp_path)
    assert done.returncode == 1
    assert "No such option: --no-such-option" in done.stdout
    assert "DevnetFailed" in done.stdout


ENDLESS = """
import time
from pathlib import Path


def test_endless(exchange_devnet):
    Path("started").write_text(str(exchange_devnet.process.folder))
    time.sleep(1_000)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_is_ended_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_one.py").write_text(ENDLESS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell that runs us in the background has us ignore Ctrl-C, and our children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as run:
        note = tmp_path / "started"
        _wait_until(lambda: note.exists() and note.read_text() != "")
        folder = Path(note.read_text())
        assert folder.is_dir()
        assert _processes_of(folder)
        run.send_signal(number)
        run.wait(PATIENCE_S)
    _wait_until(lambda: not _processes_of(folder) and not folder.exists())


def _processes_of(folder: Path) -> list[int]:
    """All that have the folder in their command line: guard, exchange, database, chain."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # it has just ended
            continue
        if os.fsencode(folder) in command:
            found.append(int(path.parent.name))
    return found


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
