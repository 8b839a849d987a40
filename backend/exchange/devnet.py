"""`exchange devnet`: a whole exchange on this machine, for development and for a first look.

Starts, each as a child that ends with this process: Postgres and a local chain; in process: chDB, the engine,
the API. Deploys the contracts once, lists the assets, opens three markets. Everything is kept in one folder.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from eth_utils.address import to_checksum_address
from rich.console import Console
from rich.table import Table

from exchange.chain import dev_keys
from exchange.chain.deployment import Deployment, ensure_deployment
from exchange.chain.devchain import Anvil, find_anvil
from exchange.chain.finality import Finality
from exchange.chain.forwarders import forwarder_code
from exchange.chain.rpc import Rpc
from exchange.config import (
    ARTIFACTS,
    REPOSITORY,
    WEB_APP,
    AssetTable,
    ListingFile,
    LocalKey,
    MarketTable,
    Settings,
    listing_commands,
    risk_policy,
)
from exchange.core.markets import NATIVE_TOKEN
from exchange.devnet_bots import BotProcesses, devnet_bots
from exchange.edge.server import listen
from exchange.gateway.rate_policy import Rate, uniform_policy
from exchange.main import Started, serve
from exchange.parts import CannotRun, running
from exchange.stores.postgres import EmbeddedPostgres

HOST = "localhost"
CONFIRMATIONS = 3
TABLE_WIDTH = 136
DEVNET_RATES = uniform_policy(Rate(burst=200_000, per_s=100_000))
"""Bots, tests and load all come from one address here."""

MARKETS = (
    MarketTable("ETH", "USDC", tick="0.01", lot="0.0001", maker_fee_bps=10, taker_fee_bps=20),
    MarketTable("WBTC", "USDC", tick="0.1", lot="0.00001", maker_fee_bps=10, taker_fee_bps=20),
    MarketTable("WBTC", "ETH", tick="0.0001", lot="0.00001", maker_fee_bps=10, taker_fee_bps=20),
)


class DevnetError(CannotRun):
    """The devnet can not start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DevnetOptions:
    """What can be chosen on the command line."""

    port: int
    rpc_port: int
    data_dir: Path
    fresh: bool
    block_time_s: int
    metrics_port: int = 0
    """0: any that is free."""
    has_bots: bool = False
    """Whether a maker and a taker trade on the markets."""
    web_app: Path = WEB_APP
    review_above: tuple[str, ...] = ()
    """ASSET=AMOUNT: withdrawals of more wait for a person."""


async def run_devnet(options: DevnetOptions) -> None:
    """Runs until cancelled. Raises DevnetError and the typed errors of the parts."""
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)  # keys are to be copied: better wrapped than cut
    data_dir = options.data_dir.expanduser().absolute()
    async with contextlib.AsyncExitStack() as stack:
        sockets = listen("127.0.0.1", options.port)
        for open_socket in sockets:
            stack.callback(open_socket.close)
        stack.enter_context(_own_folder(data_dir))
        if options.fresh:
            _empty(data_dir)

        with _step(console, "Postgres"):
            postgres = EmbeddedPostgres(data_dir / "postgres")
            await postgres.start()
            stack.push_async_callback(postgres.stop)
        with _step(console, "local chain"):
            anvil = Anvil(
                find_anvil(REPOSITORY), options.rpc_port, data_dir / "chain.json", options.block_time_s
            )
            await anvil.start()
            stack.push_async_callback(anvil.stop)
        with _step(console, "contracts"):
            deployment = await _deployment(anvil, data_dir / "deployment.json")

        settings = _settings(options, postgres, anvil, deployment, data_dir)
        bots = _bots(options, settings, data_dir)
        started_at = time.monotonic()
        has_started = asyncio.Event()

        async def announce(started: Started) -> None:
            _done(console, "engine and API", started_at)
            console.print(_table(options, deployment, settings, started, bots))
            has_started.set()

        # Bots stop before the exchange does, so that they can cancel their orders.
        async with running("exchange", serve(settings, sockets=sockets, on_started=announce)):
            await has_started.wait()
            if bots is not None:
                await bots.run(deployment)
            await asyncio.Event().wait()


def _settings(
    options: DevnetOptions, postgres: EmbeddedPostgres, anvil: Anvil, deployment: Deployment, data_dir: Path
) -> Settings:
    listing = devnet_listing(deployment, review_limits(options.review_above))
    return Settings(
        database_url=postgres.url,
        clickhouse=str(data_dir / "clickhouse"),
        rpc_url=anvil.url,
        chain_id=deployment.chain_id,
        vault=deployment.vault,
        vault_block=deployment.deploy_block,
        finality=Finality(CONFIRMATIONS),
        signer=LocalKey(dev_keys.dev_key(dev_keys.SIGNER_KEY)),
        sender_key=dev_keys.dev_key(dev_keys.SENDER_KEY),
        deposit_addresses=deployment.deposit_addresses or None,
        forwarder_code=bytes.fromhex(deployment.forwarder_code) or forwarder_code(ARTIFACTS),
        sweeper_key=dev_keys.dev_key(dev_keys.SWEEPER_KEY),
        balance_roots=deployment.balance_roots or None,
        publisher_key=dev_keys.dev_key(dev_keys.PUBLISHER_KEY),
        origin=f"http://{HOST}:{options.port}",
        rate_limits=DEVNET_RATES,
        host="127.0.0.1",
        port=options.port,
        metrics=("127.0.0.1", options.metrics_port),
        listing=listing_commands(listing, deployment.chain_id, deployment.vault),
        risk=risk_policy(listing),
        web_app=options.web_app,
        wallet_rpc_url=f"http://{HOST}:{options.rpc_port}",
        has_faucet=True,
    )


def _bots(options: DevnetOptions, settings: Settings, data_dir: Path) -> BotProcesses | None:
    """None where none are wanted, or there are none."""
    symbols = [f"{market.base}-{market.quote}" for market in MARKETS]
    bots = BotProcesses(
        devnet_bots(symbols), REPOSITORY, data_dir / "bots", settings.origin, settings.rpc_url
    )
    return bots if options.has_bots and bots.are_there else None


def devnet_listing(deployment: Deployment, review_above: Mapping[str, str] | None = None) -> ListingFile:
    """The chain's coin, the deployed tokens, and the devnet's markets. Raises DevnetError."""
    assets = [
        AssetTable("ETH", 18, NATIVE_TOKEN),
        *(AssetTable(token.symbol, token.decimals, token.address) for token in deployment.tokens),
    ]
    limits = review_above or {}
    if unknown := limits.keys() - {asset.symbol for asset in assets}:
        raise DevnetError(f"--review-above: there is no asset {', '.join(sorted(unknown))}")
    return ListingFile(
        asset=[msgspec.structs.replace(asset, review_above=limits.get(asset.symbol, "")) for asset in assets],
        market=list(MARKETS),
    )


def review_limits(texts: Sequence[str]) -> dict[str, str]:
    """By asset, of texts like `USDC=1000`. Raises DevnetError."""
    limits = {}
    for text in texts:
        symbol, equals, amount = text.partition("=")
        if not (symbol and equals and amount):
            raise DevnetError(f"--review-above {text}: write it as USDC=1000")
        limits[symbol] = amount
    return limits


async def _deployment(anvil: Anvil, path: Path) -> Deployment:
    try:
        async with Rpc(anvil.url) as rpc:
            return await ensure_deployment(rpc, path, ARTIFACTS)
    except msgspec.DecodeError as error:
        raise DevnetError(f"{path} is damaged ({error}); start over with --fresh") from error


# ---- the folder ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _own_folder(data_dir: Path) -> Iterator[None]:
    """Holds the folder for this process alone; the lock goes with the process, however it ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DevnetError(f"the folder {data_dir} can not be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DevnetError(
            f"another devnet is running on {data_dir}; stop it, or give --data-dir another folder"
        ) from None
    finally:
        os.close(lock)


KEPT = ("bots", "postgres", "postgres.lock", "chain.json", "deployment.json", "clickhouse")


def _empty(data_dir: Path) -> None:
    """Removes what a devnet keeps and nothing else: --data-dir may be a folder with other things."""
    for name in KEPT:
        path = data_dir / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


# ---- what is printed -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started_at = time.monotonic()
    with console.status(f"starting {what} ..."):
        yield
    _done(console, what, started_at)


def _done(console: Console, what: str, started_at: float) -> None:
    console.print(f"[green]ok[/] {what} [dim]({time.monotonic() - started_at:.1f} s)[/]")


def _table(
    options: DevnetOptions,
    deployment: Deployment,
    settings: Settings,
    started: Started,
    bots: BotProcesses | None,
) -> Table:
    table = Table(title="exchange devnet", show_header=False, title_justify="left", expand=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row("open", _app_of(settings))
    table.add_row("API", f"{settings.origin}/v1")
    table.add_row("documentation", f"{settings.origin}/docs")
    table.add_row("streams", f"ws://{HOST}:{options.port}/v1/ws")
    table.add_row("chain", f"http://{HOST}:{options.rpc_port} (chain id {deployment.chain_id})")
    table.add_row("metrics", started.metrics_url)
    table.add_row("data folder", str(options.data_dir))
    table.add_row("journal", f"seq {started.seq}, epoch {started.epoch}")
    table.add_row("bots", _told_of(bots, options))
    table.add_section()
    table.add_row("vault", to_checksum_address(deployment.vault))
    for token in deployment.tokens:
        table.add_row(token.symbol, f"{to_checksum_address(token.address)} ({token.decimals} decimals)")
    table.add_section()
    for market in started.markets:
        table.add_row(
            market.symbol,
            f"tick {market.tick}, lot {market.lot}, "
            f"fees {market.maker_fee_bps}/{market.taker_fee_bps} bps (maker/taker)",
        )
    table.add_section()
    table.add_row("accounts", "public development keys, each with ETH, USDC and WBTC; worthless elsewhere")
    for index in dev_keys.USER_KEYS:
        account = dev_keys.dev_account(index)
        table.add_row(f"  {index}", f"{account.address}  0x{bytes(account.key).hex()}")
    table.caption = (
        "Ctrl-C stops everything; the data folder keeps it for the next start (--fresh starts over)"
    )
    table.caption_justify = "left"
    return table


def _app_of(settings: Settings) -> str:
    if (settings.web_app / "index.html").is_file():
        return f"[bold]{settings.origin}[/]  the web app: trade, deposit and withdraw from a browser"
    return "the web app is not built: make web/dist/.ready"


def _told_of(bots: BotProcesses | None, options: DevnetOptions) -> str:
    if bots is not None:
        return f"a maker and a taker trade on all markets, logs in {bots.folder} (--no-bots: nobody does)"
    return "none are installed" if options.has_bots else "none: nobody trades but you"
