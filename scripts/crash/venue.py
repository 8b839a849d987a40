"""The exchange under test: a real Postgres, a real chain, and `exchange serve` as its operator starts it.

Postgres and the chain are children of the drill; the engine is a process of its own, configured by its
environment alone, with embedded ClickHouse in its folder. Any of the first and the last can be killed at any
moment and started again on what it left behind.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from eth_abi.abi import encode
from scripts.crash.ports import free_port
from scripts.crash.processes import children, command_line, kill, kill_tree, reap, wait_ended
from scripts.crash.public_api import open_session
from scripts.crash.settings import write_settings

from exchange.chain.deployment import Deployment, deploy
from exchange.chain.devchain import Anvil, find_anvil
from exchange.chain.errors import PortTaken
from exchange.chain.rpc import Rpc
from exchange.chain.vault import selector
from exchange.config import REPOSITORY
from exchange.devnet import ARTIFACTS
from exchange.stores import launch
from exchange.stores.postgres import EmbeddedPostgres, open_connection

HOST = "127.0.0.1"
EXCHANGE = Path(sys.executable).with_name("exchange")
READY_TIMEOUT_S = 120.0
END_TIMEOUT_S = 60.0
EXAMINE_TIMEOUT_S = 600.0
STRAY_TIMEOUT_S = 10.0
POLL_S = 0.02
DEPOSITS_EACH = 2
DEPOSIT_ETH_ATOMS = 1_000 * 10**18
DEPOSIT_USDC_ATOMS = 900_000 * 10**6
GAS = "0x7a120"


_TOO_EARLY = """
CREATE FUNCTION too_early() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN NULL;
END $$;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format(
            'CREATE TRIGGER too_early BEFORE INSERT OR UPDATE ON %I EXECUTE FUNCTION too_early()', name
        );
    END LOOP;
END $$;
"""


class Target(Enum):
    """What is killed."""

    ENGINE = "engine"
    POSTGRES = "Postgres"
    BOTH = "both"


class VenueFailed(Exception):
    """The exchange did not do what a drill needs of it: come up, or go down with its database."""


@dataclass(frozen=True, slots=True)
class End:
    """How an engine ended by itself."""

    code: int
    words: str
    seconds: float

    @property
    def last_line(self) -> str:
        return self.words.rpartition("\n")[2]


class Venue:
    """Everything of one drill, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.deployment: Deployment | None = None
        self._log_path = folder / "engine.log"
        self._log_offset = 0
        self._postgres = EmbeddedPostgres(folder / "postgres")
        self._anvil: Anvil | None = None
        self._engine: asyncio.subprocess.Process | None = None
        self._environment: dict[str, str] = {}

    @property
    def database_url(self) -> str:
        return self._postgres.url

    # ---- start and stop

    async def start(self) -> None:
        """Postgres, the chain, the contracts, the settings, the engine."""
        await self._postgres.start()
        self._anvil = await self._start_chain()
        async with Rpc(self._anvil.url) as rpc:
            self.deployment = await deploy(rpc, ARTIFACTS)
        self._environment = write_settings(
            self.folder,
            self.deployment,
            database_url=self.database_url,
            rpc_url=self._anvil.url,
            url=self.url,
        )
        await self._start_engine()
        await self._ready()

    async def stop(self) -> int | None:
        """Ends everything; the exit code of the engine after SIGTERM, None when it was not running."""
        code: int | None = None
        try:
            if self._engine is not None and self._engine.returncode is None:
                self._engine.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_TIMEOUT_S):
                        code = await self._engine.wait()
        finally:
            if self._engine is not None and self._engine.returncode is None:
                kill_tree(self._engine.pid)
                await self._engine.wait()
            if self._anvil is not None:
                await self._anvil.stop()
            await self._postgres.stop()
        return code

    async def fund(self, owners: list[str]) -> None:
        """Deposits of ETH and USDC by the development wallets `owners`; the chain holds their keys."""
        assert self._anvil is not None
        assert self.deployment is not None
        vault = self.deployment.vault
        usdc = next(token.address for token in self.deployment.tokens if token.symbol == "USDC")
        async with Rpc(self._anvil.url) as rpc:
            for owner in owners:
                approve = _calldata("approve(address,uint256)", vault, DEPOSIT_USDC_ATOMS)
                deposit = _calldata("deposit(address,address,uint256)", owner, usdc, DEPOSIT_USDC_ATOMS)
                native = _calldata("depositNative(address)", owner)
                for to, data, value in (
                    (usdc, approve, 0),
                    (vault, deposit, 0),
                    (vault, native, DEPOSIT_ETH_ATOMS),
                ):
                    await rpc.call(
                        "eth_sendTransaction",
                        {"from": owner, "to": to, "data": data, "value": hex(value), "gas": GAS},
                    )

    async def promise_too_much(self) -> None:
        """Makes Postgres acknowledge from now on what is not on disk yet; the drill must notice."""
        connection = await open_connection(self.database_url)
        try:
            await connection.execute(_TOO_EARLY)
            await connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            # Else each megabyte of log wakes the writer, and a kill right after that loses nothing.
            await connection.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close(timeout=10)

    # ---- kill and revive

    async def kill(self, target: Target, random: Random) -> None:
        """SIGKILL; returns when nothing of the target runs any more.

        Of the engine only the process itself: whatever it has started must notice. Of Postgres everything.
        """
        victims: list[int] = []
        kinds = [Target.ENGINE, Target.POSTGRES] if target is Target.BOTH else [target]
        random.shuffle(kinds)
        for kind in kinds:
            if kind is Target.POSTGRES and self._postgres.pid is not None:
                victims += kill_tree(self._postgres.pid)
            elif kind is Target.ENGINE and self._engine_pid is not None:
                kill([self._engine_pid])
                victims.append(self._engine_pid)
        left = await wait_ended(victims, END_TIMEOUT_S)
        if left:
            raise VenueFailed(f"SIGKILL did not end {[command_line(pid) for pid in left]}")
        if target is not Target.POSTGRES and self._engine is not None:
            await self._engine.wait()
        if target is not Target.ENGINE:
            await self._postgres.stop()  # takes note of the death; there is nothing to stop

    async def engine_end(self) -> End:
        """How the engine ends when its database is gone. Raises VenueFailed when it does not."""
        assert self._engine is not None
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                code = await self._engine.wait()
        except TimeoutError:
            raise VenueFailed(
                f"the engine still runs {END_TIMEOUT_S:.0f} s after its database died:\n{self.words()}"
            ) from None
        return End(code, self.words(), time.monotonic() - started_s)

    async def revive_postgres(self) -> float:
        """Starts Postgres when it is dead; the seconds until it answered."""
        started_s = time.monotonic()
        if self._postgres.pid is None:
            await self._postgres.start()
        return time.monotonic() - started_s

    async def revive_engine(self, *, wait: bool = True) -> None:
        """Starts the engine; `wait` until it serves. Raises VenueFailed when it does not."""
        await self._start_engine()
        if wait:
            await self._ready()

    async def examine(self, *command: str) -> str:
        """Runs `exchange replay --verify` or the like beside the engine; what it says when it finds fault."""
        process = await asyncio.create_subprocess_exec(
            *(str(EXCHANGE), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self._environment},
        )
        try:
            async with asyncio.timeout(EXAMINE_TIMEOUT_S):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"it did not end within {EXAMINE_TIMEOUT_S:.0f} s"
        return "" if process.returncode == 0 else output.decode(errors="replace").strip()

    async def strays(self) -> list[str]:
        """Processes that outlived their killed parent: command lines of those that do not end soon."""
        known = {self._postgres.pid, self._engine_pid}
        known |= {None if self._anvil is None else self._anvil.pid}
        adopted = [pid for pid in children(os.getpid()) if pid not in known]
        left = await wait_ended(adopted, STRAY_TIMEOUT_S)
        reap(adopted)
        named = [command_line(pid) for pid in left]
        kill(left)
        return named

    def words(self) -> str:
        """The end of what the engine has written since its last start."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_offset)
            return log.read().decode(errors="replace")[-6_000:].strip()

    def unexpected_end(self) -> str:
        """The last words of an engine that does not run; empty while it does."""
        engine = self._engine
        if engine is None or engine.returncode is None:
            return ""
        return f"the engine has ended with {engine.returncode}:\n{self.words()}"

    # ---- details

    @property
    def _engine_pid(self) -> int | None:
        engine = self._engine
        return engine.pid if engine is not None and engine.returncode is None else None

    async def _start_chain(self) -> Anvil:
        while True:
            anvil = Anvil(find_anvil(REPOSITORY), free_port(), block_time_s=1)
            try:
                await anvil.start()
            except PortTaken:  # somebody was faster
                continue
            return anvil

    async def _start_engine(self) -> None:
        assert self._engine_pid is None
        with self._log_path.open("ab") as log:
            self._log_offset = log.seek(0, os.SEEK_END)
            # Through the launcher of our servers, for its tie to the parent: a killed drill leaves nothing.
            identity = (os.getpid(), os.geteuid(), os.getegid(), int(signal.SIGKILL), self.folder)
            self._engine = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", launch.__file__, *map(str, identity)),
                *(str(EXCHANGE), "serve"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )

    async def _ready(self) -> None:
        """Waits until the API says so. Raises VenueFailed."""
        assert self._engine is not None
        deadline = time.monotonic() + READY_TIMEOUT_S
        async with open_session(self.url) as http:
            while time.monotonic() < deadline:
                if self._engine.returncode is not None:
                    raise VenueFailed(f"the engine ended with {self._engine.returncode}:\n{self.words()}")
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with http.get("/v1/health/ready") as response:
                        if response.ok:
                            return
                await asyncio.sleep(POLL_S)
        raise VenueFailed(f"the engine was not ready within {READY_TIMEOUT_S:.0f} s:\n{self.words()}")


def _calldata(function: str, *values: Any) -> str:
    types = function[function.index("(") + 1 : -1].split(",")
    return "0x" + (selector(function) + encode(types, values)).hex()
