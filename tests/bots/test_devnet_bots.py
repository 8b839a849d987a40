"""The bots of `exchange devnet`: there without being asked for, and never in the way."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.fixtures.anvil import free_port

from exchange import devnet_bots
from exchange.chain import dev_keys
from exchange.chain.deployment import Deployment
from exchange.devnet_bots import BotProcesses, BotProgram

SYMBOLS = ("ETH-USDC", "WBTC-USDC", "WBTC-ETH")
PATIENCE_S = 120.0

pytestmark = pytest.mark.timeout(400)


class Devnet:
    """One folder and its ports, started as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.rpc_port = free_port(), free_port()
        self.output = folder.parent / "output.txt"

    def command(self, name: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "exchange.cli", name, "--data-dir", str(self.folder), *more]

    @contextlib.contextmanager
    def running(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        ports = ("--port", str(self.port), "--rpc-port", str(self.rpc_port))
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                self.command("devnet", *ports, *more),
                stdout=output,
                stderr=output,
                env=os.environ | {"COLUMNS": "250"},
            )
        try:
            self.wait_for("the API", self.is_ready)
            yield process
        finally:
            process.kill()
            process.wait()

    def get(self, path: str) -> Any:
        return httpx.get(f"http://localhost:{self.port}{path}", timeout=30).raise_for_status().json()

    def is_ready(self) -> bool:
        return bool(self.get("/v1/health/ready")["ready"])

    def is_quoted(self) -> bool:
        books = [self.get(f"/v1/markets/{symbol}/book") for symbol in SYMBOLS]
        return all(len(book[side]) >= 5 for book in books for side in ("bids", "asks"))

    def has_traded(self) -> bool:
        return any(self.get(f"/v1/markets/{symbol}/trades")["items"] for symbol in SYMBOLS)

    def bots(self) -> dict[str, int]:
        """Process ids by name, of those that trade here."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if b"bots" in words and f"--key-file={self.folder}".encode() in b" ".join(words):
                found[words[words.index(b"bots") + 1].decode()] = int(path.parent.name)
        return found

    def wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(holds):
            assert time.monotonic() < deadline, f"{what} has not come:\n{self.told()}"
            time.sleep(0.1)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except httpx.HTTPError:  # it is starting, or stopping
            return False

    def told(self) -> str:
        logs = [path.read_text() for path in sorted(self.folder.glob("bots/*.log"))]
        return "\n".join([self.output.read_text(), *logs])


@pytest.fixture
def devnet(tmp_path: Path) -> Devnet:
    return Devnet(tmp_path / "data")


def test_a_newcomer_sees_a_living_market_and_ctrl_c_ends_it(devnet: Devnet) -> None:
    with devnet.running() as process:
        devnet.wait_for("quotes in all markets", devnet.is_quoted)
        devnet.wait_for("a trade", devnet.has_traded)
        assert "a maker and a taker trade on all markets" in devnet.output.read_text()
        assert devnet.bots().keys() == {"maker", "taker"}

        killed = devnet.bots()["maker"]
        os.kill(killed, signal.SIGKILL)
        devnet.wait_for("another maker", lambda: devnet.bots().get("maker", killed) != killed)
        devnet.wait_for("its quotes", devnet.is_quoted)
        told = [line for line in devnet.output.read_text().splitlines() if "bot_ended" in line]
        assert len(told) == 1
        assert "bot=maker" in told[0]

        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert devnet.bots() == {}
        assert "Traceback" not in devnet.told()
    audit = subprocess.run(devnet.command("audit"), capture_output=True, timeout=PATIENCE_S, check=False)
    assert audit.returncode == 0, audit.stdout
    with devnet.running("--no-bots"):
        assert devnet.bots() == {}
        assert "none: nobody trades but you" in devnet.output.read_text()
        for symbol in SYMBOLS:  # they have taken their orders with them
            book = devnet.get(f"/v1/markets/{symbol}/book")
            assert (book["bids"], book["asks"]) == ([], [])


def test_bots_of_a_killed_devnet_end_and_go_on_with_the_next_on_the_same_folder(devnet: Devnet) -> None:
    with devnet.running() as process:
        devnet.wait_for("quotes in all markets", devnet.is_quoted)
        devnet.wait_for("a trade, which is the taker's", devnet.has_traded)
        keys = {path.name: path.read_text() for path in devnet.folder.glob("bots/*.key")}
        assert keys.keys() == {"maker.key", "taker.key"}
        process.kill()
        process.wait()
        devnet.wait_for("the end of the bots", lambda: devnet.bots() == {})
    with devnet.running():
        devnet.wait_for("quotes in all markets", devnet.is_quoted)
        assert {path.name: path.read_text() for path in devnet.folder.glob("bots/*.key")} == keys
    with devnet.running("--fresh"):
        devnet.wait_for("quotes in all markets", devnet.is_quoted)
        assert (devnet.folder / "bots" / "maker.key").read_text() != keys["maker.key"]


DEPLOYMENT = Deployment(dev_keys.DEV_CHAIN_ID, "0x" + "11" * 20, "0x" + "22" * 20, (), 1)


async def test_a_bot_that_can_not_run_is_tried_again_ever_later_and_told_of_in_one_line_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "__main__.py").write_text("import sys\nprint('no luck')\nsys.exit(3)\n")
    pauses: list[float] = []

    async def no_coins(*_: object) -> None: ...

    async def no_pause(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 8:
            raise asyncio.CancelledError

    monkeypatch.setattr(devnet_bots, "give_coins", no_coins)
    monkeypatch.setattr(devnet_bots, "pause", no_pause)
    program = BotProgram("maker", dev_keys.MAKER_KEY, ())
    folder = tmp_path / "folder"
    bots = BotProcesses([program], tmp_path, folder, "http://localhost:1", "http://localhost:2")
    assert bots.are_there
    with capture_logs() as lines:
        await asyncio.gather(bots.run(DEPLOYMENT), return_exceptions=True)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    told = [(line["event"], line["bot"], line["exit_code"], line["last_words"]) for line in lines]
    assert told == [("bot_ended", "maker", 3, "no luck")] * 8


def test_the_keys_of_bots_are_nobody_elses() -> None:
    assert len({dev_keys.dev_address(index) for index in range(dev_keys.KEY_COUNT)}) == dev_keys.KEY_COUNT
    assert {dev_keys.MAKER_KEY, dev_keys.TAKER_KEY}.isdisjoint(dev_keys.USER_KEYS)
