"""The bots that make a devnet's markets live: a maker and a taker, each a child process of its own.

They are ordinary clients (`bots/`, which imports nothing of ours): each has a development key, deposits
through the vault, approves a key of its own and trades with that. A bot that ends is started again, after a
while that grows; they never keep the exchange from running or stopping.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from exchange.chain import dev_keys
from exchange.chain.deployment import Deployment
from exchange.chain.errors import ChainError
from exchange.chain.rpc import Rpc
from exchange.chain.token_calls import balance_of, mint

WALLET_VARIABLE = "EXCHANGE_BOT_WALLET"
"""Where a bot finds the secret key of its wallet: not in its arguments, which everybody can list."""
FUNDS: Mapping[str, int] = {"ETH": 200, "USDC": 1_000_000, "WBTC": 15}
"""What each bot deposits, in whole units."""
PRICES: Mapping[str, int] = {"ETH-USDC": 3_000, "WBTC-USDC": 60_000}
"""Where the maker's walks begin. What it makes besides follows from these."""

FIRST_PAUSE_S = 1.0
LAST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A bot that has run for so long has not failed to start; pauses begin anew."""
STOP_S = 6.0
MAX_LOG_BYTES = 4 * 1024 * 1024
"""A bot's log that is longer is begun anew at its next start."""
_LAST_LINE_BYTES = 300

_LAUNCH = Path(__file__).parent / "stores" / "launch.py"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BotProgram:
    """One bot: its name, which is its program's, its development key, and its own arguments."""

    name: str
    key_index: int
    arguments: tuple[str, ...]


def devnet_bots(markets: Sequence[str]) -> tuple[BotProgram, ...]:
    """The maker and the taker of these markets."""
    priced = [f"{symbol}={PRICES[symbol]}" if symbol in PRICES else symbol for symbol in markets]
    walks = tuple(f"--market={market}" for market in priced)
    taken = tuple(f"--market={symbol}" for symbol in markets)
    return (
        BotProgram("maker", dev_keys.MAKER_KEY, ("--step-bps=2", *walks)),
        BotProgram("taker", dev_keys.TAKER_KEY, ("--per-s=2", *taken)),
    )


class BotProcesses:
    """Keeps bots running. `repository` is where their package is, `folder` where their files go."""

    def __init__(
        self, programs: Sequence[BotProgram], repository: Path, folder: Path, url: str, rpc_url: str
    ) -> None:
        self._programs = programs
        self._repository = repository
        self.folder = folder
        self._url = url
        self._rpc_url = rpc_url

    @property
    def are_there(self) -> bool:
        """Whether this installation has bots: they are in the checkout, not in the package."""
        return (self._repository / "bots" / "__main__.py").is_file()

    async def run(self, deployment: Deployment) -> None:
        """Runs until cancelled, and then stops them; they cancel their orders before they end."""
        self.folder.mkdir(exist_ok=True)
        async with asyncio.TaskGroup() as group:
            for program in self._programs:
                group.create_task(self._keep_running(program, deployment))

    async def _keep_running(self, program: BotProgram, deployment: Deployment) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started_at = time.monotonic()
            try:
                await give_coins(self._rpc_url, dev_keys.dev_address(program.key_index), deployment)
                exit_code: int | str = await self._run_once(program)
            except (ChainError, OSError) as error:
                exit_code = str(error)
            if time.monotonic() - started_at > STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.warning(
                "bot_ended",
                bot=program.name,
                exit_code=exit_code,
                again_in_s=pause_s,
                last_words=_last_line(self._log_path(program)),
                log=str(self._log_path(program)),
            )
            await pause(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    async def _run_once(self, program: BotProgram) -> int:
        """Its exit code, once it has ended by itself."""
        log_path = self._log_path(program)
        is_long = log_path.exists() and log_path.stat().st_size > MAX_LOG_BYTES
        with log_path.open("wb" if is_long else "ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", str(_LAUNCH), str(os.getpid()), str(os.getuid()), str(os.getgid())),
                *(str(int(signal.SIGTERM)), str(self.folder)),
                *(sys.executable, "-m", "bots", program.name, f"--url={self._url}"),
                *(f"--rpc-url={self._rpc_url}", f"--key-file={self.folder / program.name}.key"),
                *(f"--fund={symbol}={amount}" for symbol, amount in FUNDS.items()),
                *program.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._repository,
                env=os.environ | {WALLET_VARIABLE: "0x" + dev_keys.dev_key(program.key_index).hex()},
                start_new_session=True,
            )
        try:
            return await process.wait()
        finally:
            await _stop(process)

    def _log_path(self, program: BotProgram) -> Path:
        return self.folder / f"{program.name}.log"


async def pause(seconds: float) -> None:
    """Between the end of a bot and its next start."""
    await asyncio.sleep(seconds)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_LINE_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


async def give_coins(rpc_url: str, address: str, deployment: Deployment) -> None:
    """Lets an address have what a bot deposits, and gas. Development chain only. Raises ChainError."""
    async with Rpc(rpc_url) as rpc:
        await rpc.check_chain(dev_keys.DEV_CHAIN_ID)
        needed_wei = 2 * FUNDS["ETH"] * 10**18
        if await rpc.balance(address) < needed_wei:
            await rpc.call("anvil_setBalance", address, hex(needed_wei))
        for token in deployment.tokens:
            atoms = FUNDS[token.symbol] * 10**token.decimals
            held_atoms = int.from_bytes(await rpc.view(token.address, balance_of(address)))
            if held_atoms < atoms:
                data = "0x" + mint(address, atoms).hex()
                await rpc.call("eth_sendTransaction", {"from": address, "to": token.address, "data": data})
        await rpc.call("anvil_mine")  # rather than wait for the next block
