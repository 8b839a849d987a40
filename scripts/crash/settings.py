"""The settings of `exchange serve`, as an operator has them: files and an environment."""

import json
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from eth_account import Account

from exchange.chain import dev_keys
from exchange.chain.deployment import Deployment
from exchange.config import ListingFile
from exchange.devnet import devnet_listing

CONFIRMATIONS = 1
SNAPSHOT_COMMANDS = 100
"""So few that the engine is often killed while one is made, and restarts from one."""

RATES = """
[ip]
requests = { burst = 100000, per_s = 50000 }
connections = 10000

[key]
requests = { burst = 100000, per_s = 50000 }

[account.standard]
orders = { burst = 100000, per_s = 50000 }
"""
"""All of the drill's load is from one address, and is to kill the engine under load."""


def write_settings(
    folder: Path, deployment: Deployment, *, database_url: str, rpc_url: str, url: str
) -> dict[str, str]:
    """Writes the files into the folder; the environment that names them and everything else.

    `url` is where the API shall be. The vault's keys are the development chain's.
    """
    password = secrets.token_hex(16)
    files = {
        "rates.toml": RATES,
        "listing.toml": _toml(devnet_listing(deployment)),
        "password": password,
        "signer.json": _keystore(dev_keys.SIGNER_KEY, password),
        "sender.json": _keystore(dev_keys.SENDER_KEY, password),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    place = urlsplit(url)
    return {
        "EXCHANGE_DATABASE_URL": database_url,
        "EXCHANGE_CLICKHOUSE": str(folder / "clickhouse"),
        "EXCHANGE_RPC_URL": rpc_url,
        "EXCHANGE_CHAIN_ID": str(deployment.chain_id),
        "EXCHANGE_VAULT": deployment.vault,
        "EXCHANGE_VAULT_BLOCK": str(deployment.deploy_block),
        "EXCHANGE_CONFIRMATIONS": str(CONFIRMATIONS),
        "EXCHANGE_ORIGIN": url,
        "EXCHANGE_LISTING": str(folder / "listing.toml"),
        "EXCHANGE_RATE_LIMITS": str(folder / "rates.toml"),
        "EXCHANGE_SIGNER_KEYSTORE": str(folder / "signer.json"),
        "EXCHANGE_SENDER_KEYSTORE": str(folder / "sender.json"),
        "EXCHANGE_KEY_PASSWORD_FILE": str(folder / "password"),
        "EXCHANGE_HOST": str(place.hostname),
        "EXCHANGE_PORT": str(place.port),
        "EXCHANGE_SNAPSHOT_COMMANDS": str(SNAPSHOT_COMMANDS),
        "EXCHANGE_LOG_FORMAT": "text",
        "EXCHANGE_LOG_LEVEL": "info",
    }


def _keystore(index: int, password: str) -> str:
    return json.dumps(Account.encrypt(dev_keys.dev_key(index), password))


def _toml(listing: ListingFile) -> str:
    """The listing as an operator writes it. A JSON string or number is one of TOML too."""
    lines: list[str] = []
    for name, tables in (("asset", listing.asset), ("market", listing.market)):
        for table in tables:
            lines.append(f"[[{name}]]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in msgspec.structs.asdict(table).items()]
    return "\n".join(lines) + "\n"
