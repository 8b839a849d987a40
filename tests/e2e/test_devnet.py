"""`exchange devnet` as a newcomer meets it: real processes, real signals, wrong starts."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from exchange import compiled

EXCHANGE = str(Path(sys.executable).with_name("exchange"))
START_S = 90
STOP_S = 40

pytestmark = pytest.mark.timeout(300)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Devnet:
    """One folder and its ports; each start is a process of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    rpc_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def command(self, *extra: str) -> list[str]:
        ports = ["--port", str(self.port), "--rpc-port", str(self.rpc_port)]
        return [EXCHANGE, "devnet", "--no-bots", *ports, "--data-dir", str(self.folder), *extra]

    @contextlib.contextmanager
    def running(self, *extra: str) -> Iterator[subprocess.Popen[str]]:
        output = (self.folder.parent / "output.txt").open("w+")
        with (
            output,
            subprocess.Popen(self.command(*extra), stdout=output, stderr=output, text=True) as process,
        ):
            try:
                self.wait_ready(process)
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def wait_ready(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert process.poll() is None, self.output()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/v1/health/ready").status_code == httpx.codes.OK:
                    return
            time.sleep(0.05)
        pytest.fail(f"not ready after {START_S} s: {self.output()}")

    def output(self) -> str:
        return (self.folder.parent / "output.txt").read_text()

    def failed_start(self, *extra: str) -> str:
        """Runs a start that must fail by itself, and returns what it printed."""
        done = subprocess.run(
            self.command(*extra), capture_output=True, text=True, timeout=START_S, check=False
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    def rpc(self, method: str, *params: object) -> object:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return httpx.post(f"http://localhost:{self.rpc_port}", json=body).json()["result"]


@pytest.fixture
def devnet(tmp_path: Path) -> Devnet:
    return Devnet(tmp_path / "data")


def interrupt(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(STOP_S)


def children(pid: int) -> set[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in listed}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + STOP_S
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.05)


def test_a_newcomer_sees_everything_in_one_table_and_ctrl_c_stops_every_child(devnet: Devnet) -> None:
    with devnet.running() as process:
        answer = httpx.get(f"{devnet.url}/v1/markets")
        assert int(answer.headers["ratelimit-limit"]) >= 100_000, "all load comes from one address here"
        markets = answer.json()["items"]
        deployment = httpx.get(f"{devnet.url}/v1/deployment").json()
        assert httpx.get(f"{devnet.url}/docs").status_code == httpx.codes.OK
        shown_metrics = re.search(r"http://127\.0\.0\.1:\d+/metrics", devnet.output())
        assert shown_metrics is not None
        assert "exchange_engine_up 1.0" in httpx.get(shown_metrics[0]).text
        started = children(process.pid)
        assert len(started) >= 2
        assert interrupt(process) == 0
        wait_gone(started)
        output = devnet.output()
    assert [market["symbol"] for market in markets] == ["ETH-USDC", "WBTC-USDC", "WBTC-ETH"]
    for shown in (devnet.url, f"{devnet.url}/docs", "31337", deployment["vault"], "tick 0.01, lot 0.0001"):
        assert shown in output
    assert "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80" in output
    assert f"core={'compiled' if compiled.is_in_use() else 'interpreted'}" in output
    assert "Traceback" not in output


def test_an_exchange_on_which_nobody_can_sign_in_serves_and_trades_on(
    devnet: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another package's new version keeps siwe from being imported."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "siwe.py").write_text("raise AttributeError('a grammar of another version')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with devnet.running() as process:
        body = {"address": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}
        for _ in range(2):
            refused = httpx.post(f"{devnet.url}/v1/auth/nonce", json=body)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        deadline = time.monotonic() + START_S
        while True:  # what was told a moment ago is told again
            ready = httpx.get(f"{devnet.url}/v1/health/ready")
            assert ready.status_code == httpx.codes.OK
            if "login" in [part["name"] for part in ready.json()["parts"] if not part["ready"]]:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert httpx.get(f"{devnet.url}/v1/markets").status_code == httpx.codes.OK
        assert interrupt(process) == 0
    output = devnet.output()
    assert output.count("login_unavailable") == 1
    assert "Traceback" not in output


def test_state_survives_a_restart_chain_included_and_fresh_starts_over(devnet: Devnet) -> None:
    with devnet.running() as process:
        before = httpx.get(f"{devnet.url}/v1/deployment").json()
        seq = httpx.get(f"{devnet.url}/v1/time").json()["seq"]
        recipient = "0x" + "ab" * 20
        funded = devnet.rpc("eth_accounts")
        assert isinstance(funded, list)
        transfer = {"from": funded[0], "to": recipient, "value": "0x7"}
        tx_hash = devnet.rpc("eth_sendTransaction", transfer)
        deadline = time.monotonic() + START_S
        while devnet.rpc("eth_getTransactionReceipt", tx_hash) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert interrupt(process) == 0
    with devnet.running() as process:
        assert httpx.get(f"{devnet.url}/v1/deployment").json() == before
        assert httpx.get(f"{devnet.url}/v1/time").json()["seq"] == seq
        assert devnet.rpc("eth_getBalance", recipient, "latest") == "0x7"
        assert interrupt(process) == 0
    with devnet.running("--fresh") as process:
        assert httpx.get(f"{devnet.url}/v1/deployment").json()["genesis_id"] != before["genesis_id"]
        assert devnet.rpc("eth_getBalance", recipient, "latest") == "0x0"
        assert interrupt(process) == 0


def test_children_of_a_killed_devnet_end_and_it_starts_again(devnet: Devnet) -> None:
    with devnet.running() as process:
        genesis_id = httpx.get(f"{devnet.url}/v1/deployment").json()["genesis_id"]
        started = children(process.pid)
        process.kill()
        process.wait(STOP_S)
    with devnet.running() as process:
        wait_gone(started)
        assert httpx.get(f"{devnet.url}/v1/deployment").json()["genesis_id"] == genesis_id
        assert interrupt(process) == 0


def test_a_second_start_says_that_the_port_or_the_folder_is_taken(devnet: Devnet) -> None:
    with devnet.running() as process:
        same_port = Devnet(devnet.folder.parent / "other", port=devnet.port)
        assert f"port {devnet.port} is taken" in same_port.failed_start()
        same_folder = Devnet(devnet.folder)
        assert "another devnet is running on" in same_folder.failed_start()
        same_chain_port = Devnet(devnet.folder.parent / "third", rpc_port=devnet.rpc_port)
        assert f"port {devnet.rpc_port} is taken" in same_chain_port.failed_start()
        assert interrupt(process) == 0


def test_broken_folders_are_refused_with_what_to_do(devnet: Devnet) -> None:
    with devnet.running() as process:
        assert interrupt(process) == 0
    deployment = devnet.folder / "deployment.json"
    intact = deployment.read_text()
    deployment.write_text(intact[: len(intact) // 2])
    assert "--fresh" in devnet.failed_start()
    deployment.write_text(intact)

    deployment.unlink()  # so that another vault is deployed, which is not the journal's
    assert "in the journal" in devnet.failed_start()
    deployment.write_text(intact)

    chain = devnet.folder / "chain.json"
    chain_state = chain.read_bytes()
    chain.unlink()
    assert "--fresh" in devnet.failed_start()
    chain.write_bytes(chain_state)

    (devnet.folder / "postgres" / "global" / "pg_control").unlink()
    assert "can not be used" in devnet.failed_start()


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    assert "can not be used" in Devnet(tmp_path / "data").failed_start()


def test_python_without_asserts_is_refused() -> None:
    command = [sys.executable, "-O", EXCHANGE, "devnet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 1
    assert "asserts" in done.stderr


def test_serve_names_the_setting_that_is_missing() -> None:
    done = subprocess.run(
        [EXCHANGE, "serve"],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
        env={"PATH": "/usr/bin"},
    )
    assert done.returncode == 1
    assert "EXCHANGE_" in done.stderr
