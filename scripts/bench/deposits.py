"""`make bench-deposits`: how fast a new exchange catches up with a vault's history, beside the node's own
speed.

On a real anvil so many deposits are made, evenly over so many blocks, to a hundred owners. Then, on an
embedded Postgres with the devnet's durable settings, the real watcher with the real engine and journal
starts from nothing and goes on until all are credited and committed. Beside it, before and after, the same
history through `eth_getLogs` alone: equal ranges, one request after another, the answers read to their last
byte and thrown away. The faster of both is what the node can give to anybody.

    python -m scripts.bench.deposits [--deposits N] [--blocks N]
"""

import argparse
import asyncio
import logging
import os
import platform
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import structlog
from scripts.bench.engine import Engine, running_engine
from scripts.bench.measure import resident_bytes
from scripts.bench.server import temporary_postgres
from scripts.crash.ports import free_port

from exchange.chain.deployment import Deployment, deploy
from exchange.chain.deposit_logs import MAX_RANGE_BLOCKS
from exchange.chain.deposits import DepositWatcher
from exchange.chain.dev_keys import DEV_CHAIN_ID, USER_KEYS, dev_address
from exchange.chain.devchain import Anvil, find_anvil
from exchange.chain.displacement import DisplacedDeposits
from exchange.chain.errors import PortTaken
from exchange.chain.finality import Finality
from exchange.chain.rpc import Rpc
from exchange.chain.vault import DEPOSITED, selector
from exchange.config import REPOSITORY
from exchange.core.commands import ListAsset
from exchange.core.invariants import audit
from exchange.core.markets import NATIVE_TOKEN
from exchange.devnet import ARTIFACTS
from exchange.stores.postgres import open_pool

OWNERS = 100
"""The node hashes all that the vault keeps for each of them anew for every block."""
BLOCKS_PER_ROUND = 500
BLOCK_GAS = 3_000_000
SLACK_GAS = {1: 40_000, 2: 100_000}
"""What a block may have used when its last deposit comes in, by deposits in a block.

A deposit asks for the rest of the block's gas and uses 55,000 to 95,000: so a block takes so many, no more.
"""
MAX_FEE_WEI = 10**10
KEPT_STATES = "64"
CONFIRMATIONS = 3
PROGRESS_S = 10.0
DEPOSIT_NATIVE = selector("depositNative(address)")


class BenchAnvil(Anvil):
    """Keeps the states of few blocks: fifty thousand of them would fill the disk."""

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), "--prune-history", KEPT_STATES]


@dataclass(frozen=True, slots=True)
class Raw:
    """The history through eth_getLogs alone."""

    logs: int
    answered_bytes: int
    seconds: float

    @property
    def logs_per_s(self) -> float:
        return self.logs / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.logs_per_s:>9,.0f} logs/s ({self.answered_bytes / 2**20:.1f} MiB in {self.seconds:.2f} s)"
        )


@asynccontextmanager
async def running_chain() -> AsyncIterator[Anvil]:
    """A development chain that mines when it is told to."""
    while True:
        chain = BenchAnvil(find_anvil(REPOSITORY), free_port())
        try:
            await chain.start()
        except PortTaken:  # somebody was faster
            continue
        break
    try:
        yield chain
    finally:
        await chain.stop()


def chain_resident_bytes(chain: Anvil) -> int:
    """Memory of the node that is in RAM. Source: proc(5), statm."""
    return int(Path(f"/proc/{chain.pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


def client_session() -> aiohttp.ClientSession:
    """For requests that take their time."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120))


class Depositors:
    """The development users, depositing for others many times a block."""

    def __init__(self, rpc: Rpc, session: aiohttp.ClientSession, vault: str) -> None:
        self._rpc = rpc
        self._session = session
        self._vault = vault
        self._senders = [dev_address(user) for user in USER_KEYS]
        self._nonces: dict[str, int] = {}
        self._gas = 0
        self.made = 0
        self.atoms = 0

    async def make(self, deposits: int, blocks: int) -> None:
        """Makes the deposits, `deposits / blocks` in each block."""
        per_block, left = divmod(deposits, blocks)
        assert left == 0, "so many deposits do not spread evenly over so many blocks"
        self._gas = BLOCK_GAS - SLACK_GAS[per_block]
        await self._rpc.call("evm_setAutomine", False)
        await self._rpc.call("evm_setBlockGasLimit", hex(BLOCK_GAS))
        await self._rpc.call("anvil_mine")  # the limit holds from the next block on
        for sender in self._senders:
            self._nonces[sender] = await self._rpc.transaction_count(sender)
        told_at = time.monotonic()
        for start in range(0, blocks, BLOCKS_PER_ROUND):
            count = min(BLOCKS_PER_ROUND, blocks - start)
            await self._send([self._deposit() for _ in range(count * per_block)])
            await self._rpc.call("anvil_mine", hex(count))
            if time.monotonic() - told_at > PROGRESS_S:
                told_at = time.monotonic()
                print(f"  preparing: {self.made:,} of {deposits:,} deposits", flush=True)
        await self._rpc.call("anvil_mine", hex(CONFIRMATIONS))

    def _deposit(self) -> dict[str, Any]:
        sender = self._senders[self.made % len(self._senders)]
        nonce = self._nonces[sender]
        self._nonces[sender] = nonce + 1
        self.made += 1
        self.atoms += self.made
        owner = 0x10_000 + self.made * 7_919 % OWNERS
        return {
            "from": sender,
            "to": self._vault,
            "nonce": hex(nonce),
            "value": hex(self.made),
            "gas": hex(self._gas),
            "maxFeePerGas": hex(MAX_FEE_WEI),
            "maxPriorityFeePerGas": "0x1",
            "data": "0x" + DEPOSIT_NATIVE.hex() + f"{owner:064x}",
        }

    async def _send(self, transactions: list[dict[str, Any]]) -> None:
        """All in one request; the node may take them in any order."""
        calls = [
            {"jsonrpc": "2.0", "id": index, "method": "eth_sendTransaction", "params": [transaction]}
            for index, transaction in enumerate(transactions)
        ]
        async with self._session.post(
            self._rpc.url, data=msgspec.json.encode(calls), headers=JSON
        ) as response:
            answers = msgspec.json.decode(await response.read())
        failed = [answer["error"] for answer in answers if "error" in answer]
        assert not failed, failed[0]


JSON = {"Content-Type": "application/json"}


async def raw_logs(session: aiohttp.ClientSession, url: str, deployment: Deployment, head: int) -> Raw:
    """All the vault's deposit logs, in ranges as large as the watcher's, undecoded."""
    logs = answered_bytes = 0
    started = time.perf_counter()
    for first in range(deployment.deploy_block, head + 1, MAX_RANGE_BLOCKS):
        query = {
            "address": deployment.vault,
            "topics": [DEPOSITED],
            "fromBlock": hex(first),
            "toBlock": hex(min(head, first + MAX_RANGE_BLOCKS - 1)),
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]}
        async with session.post(url, data=msgspec.json.encode(body), headers=JSON) as response:
            answer = await response.read()
        answered_bytes += len(answer)
        logs += answer.count(b'"transactionHash"')
    return Raw(logs, answered_bytes, time.perf_counter() - started)


async def nothing_displaced(displaced: DisplacedDeposits) -> None:
    """There are no reorganizations here."""
    raise AssertionError(displaced)


async def catch_up(engine: Engine, url: str, rpc: Rpc, deployment: Deployment) -> float:
    """Seconds from an empty exchange to the last deposit credited and committed."""
    await engine.submit(ListAsset("ETH", 18, DEV_CHAIN_ID, deployment.vault, NATIVE_TOKEN))
    pool = await open_pool(url)
    try:
        watcher = DepositWatcher(
            rpc,
            pool,
            engine.submit_batch,
            engine.committed,
            chain_id=DEV_CHAIN_ID,
            vault=deployment.vault,
            deploy_block=deployment.deploy_block,
            finality=Finality(CONFIRMATIONS),
            on_displaced=nothing_displaced,
        )
        started = time.perf_counter()
        await watcher.poll()
        return time.perf_counter() - started
    finally:
        await pool.close()


def check(engine: Engine, deployment: Deployment, deposits: int, atoms: int) -> None:
    """What was deposited is what the accounts hold; otherwise the figures would mean nothing."""
    assert engine.committed.last_deposit(DEV_CHAIN_ID, deployment.vault) == deposits
    asset_id = engine.committed.asset_by_symbol["ETH"].asset_id
    held = 0
    for number in range(OWNERS):
        account_id = engine.committed.account_id(f"0x{0x10_000 + number:040x}")
        if account_id is not None:
            held += engine.committed.balance(account_id, asset_id).available_atoms
    assert held == atoms, f"{held} atoms are credited of {atoms}"
    audit(engine.state)


async def run(options: argparse.Namespace) -> str:
    """Runs everything and prints it; gives the last line."""
    async with (
        running_chain() as chain,
        Rpc(chain.url, timeout_s=120) as rpc,
        client_session() as session,
    ):
        deployment = await deploy(rpc, ARTIFACTS)
        depositors = Depositors(rpc, session, deployment.vault)
        started = time.perf_counter()
        await depositors.make(options.deposits, options.blocks)
        head = (await rpc.head()).number
        print(
            f"  prepared            {time.perf_counter() - started:.0f} s, the node uses "
            f"{chain_resident_bytes(chain) / 2**20:,.0f} MiB",
            flush=True,
        )
        before = await raw_logs(session, chain.url, deployment, head)
        print(f"  raw logs, before    {before}", flush=True)
        async with temporary_postgres() as url, running_engine(url) as engine:
            seconds = await catch_up(engine, url, rpc, deployment)
            check(engine, deployment, options.deposits, depositors.atoms)
        credited_per_s = options.deposits / seconds
        print(f"  caught up           {credited_per_s:>9,.0f} deposits/s ({seconds:.2f} s)", flush=True)
        after = await raw_logs(session, chain.url, deployment, head)
        print(f"  raw logs, after     {after}")
        assert before.logs == after.logs == options.deposits
    raw_per_s = max(before.logs_per_s, after.logs_per_s)
    print(f"  this process uses   {resident_bytes() / 2**20:,.0f} MiB")
    return (
        f"deposits: count={options.deposits} blocks={options.blocks} credited_per_s={credited_per_s:.0f}"
        f" raw_logs_per_s={raw_per_s:.0f} ratio={credited_per_s / raw_per_s:.2f}"
    )


def main() -> None:
    """Prints the figures, the summary last."""
    parser = argparse.ArgumentParser(description="deposits credited a second, beside the node's own speed")
    parser.add_argument("--deposits", type=int, default=100_000)
    parser.add_argument("--blocks", type=int, default=50_000)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(
        f"bench-deposits: Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{options.deposits:,} deposits in {options.blocks:,} blocks",
        flush=True,
    )
    print(asyncio.run(run(options)))


if __name__ == "__main__":
    main()
