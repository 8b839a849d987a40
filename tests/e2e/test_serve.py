"""`exchange serve` as an operator starts it: by its environment alone, with servers that are not there."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from eth_account import Account

from exchange.chain import dev_keys

EXCHANGE = str(Path(sys.executable).with_name("exchange"))
START_S = 60
VAULT = "0x" + "ab" * 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Everything that `serve` needs, but for the servers: nobody listens where it says."""
    files = {"password": "secret", "listing.toml": "asset = []\nmarket = []\n"}
    for name, index in (("signer.json", dev_keys.SIGNER_KEY), ("sender.json", dev_keys.SENDER_KEY)):
        keystore = Account.encrypt(dev_keys.dev_key(index), "secret", kdf="pbkdf2", iterations=1)
        files[name] = json.dumps(keystore)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    return {
        **os.environ,
        "EXCHANGE_DATABASE_URL": f"postgresql://postgres:hidden-password@/postgres?host={tmp_path}",
        "EXCHANGE_CLICKHOUSE": str(tmp_path / "clickhouse"),
        "EXCHANGE_RPC_URL": "http://127.0.0.1:9",
        "EXCHANGE_CHAIN_ID": "31337",
        "EXCHANGE_VAULT": VAULT,
        "EXCHANGE_VAULT_BLOCK": "1",
        "EXCHANGE_CONFIRMATIONS": "1",
        "EXCHANGE_ORIGIN": "http://127.0.0.1:1",
        "EXCHANGE_LISTING": str(tmp_path / "listing.toml"),
        "EXCHANGE_SIGNER_KEYSTORE": str(tmp_path / "signer.json"),
        "EXCHANGE_SENDER_KEYSTORE": str(tmp_path / "sender.json"),
        "EXCHANGE_KEY_PASSWORD_FILE": str(tmp_path / "password"),
        "EXCHANGE_PORT": str(free_port()),
    }


def failed_start(environment: dict[str, str]) -> str:
    """Runs a start that must fail by itself; its last line."""
    done = subprocess.run(
        [EXCHANGE, "serve"], capture_output=True, text=True, timeout=START_S, check=False, env=environment
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden-password" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_database_that_is_not_there_is_told_in_one_line(environment: dict[str, str]) -> None:
    assert failed_start(environment).startswith("error: the database does not answer (")
    environment["EXCHANGE_DATABASE_URL"] = "postgresql://postgres:hidden-password@127.0.0.1:9/postgres"
    assert failed_start(environment).startswith("error: the database does not answer (")
