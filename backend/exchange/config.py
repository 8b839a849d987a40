"""Settings of one exchange process. With policy_config the only module that reads the environment.

`exchange devnet` builds its Settings itself; `exchange serve` takes them from EXCHANGE_* variables:

    EXCHANGE_DATABASE_URL       postgresql://...
    EXCHANGE_CLICKHOUSE         http(s)://... of a server, or a folder for the embedded engine
    EXCHANGE_CLICKHOUSE_CLUSTER  name of the cluster that the server is one of; without it it is alone
    EXCHANGE_RPC_URL            JSON-RPC of the chain
    EXCHANGE_WITNESS_RPC_URL    of a second node, run by somebody else, that must say the same; without it one
                                node is believed
    EXCHANGE_WALLET_RPC_URL     of a node that everybody's wallet may use; shown to all, so without a secret
    EXCHANGE_CHAIN_ID           its id
    EXCHANGE_VAULT              address of the vault
    EXCHANGE_VAULT_BLOCK        block in which the vault was deployed (where reading begins)
    EXCHANGE_CONFIRMATIONS      confirmations before a deposit or payment counts, or `finalized`
    EXCHANGE_ORIGIN             public origin of the site, e.g. https://exchange.example
    EXCHANGE_WEB_APP            folder of the built web app; web/dist of this checkout
    EXCHANGE_LISTING            TOML file with [[asset]] and [[market]] tables, and perhaps [fee_tiers]
    EXCHANGE_SIGNER_KEYSTORE    encrypted key (keystore v3) of the vault's signer role; or, instead of it,
    EXCHANGE_SIGNER_URL         a policy signer, over https or on this machine,
    EXCHANGE_SIGNER_TOKEN_FILE  file with the token that it wants,
    EXCHANGE_SIGNER_ADDRESS     and the address of its key
    EXCHANGE_SENDER_KEYSTORE    encrypted key of the vault's sender role
    EXCHANGE_DEPOSIT_ADDRESSES  registry of personal deposit addresses; without it there are none
    EXCHANGE_SWEEPER_KEYSTORE   key that pays for sweeping them; without it they are only watched
    EXCHANGE_BALANCE_ROOTS      contract that roots of balances are published in; without it they are not
    EXCHANGE_PUBLISHER_KEYSTORE  encrypted key of its publisher role
    EXCHANGE_PROOF_HOURS        hours between proofs of balances; 24
    EXCHANGE_KEY_PASSWORD_FILE  file with the password of the keystores
    EXCHANGE_ADDRESS_DELAY_HOURS  hours that a new withdrawal address waits, 0 to 168 (0: any destination); 24
    EXCHANGE_HOST, EXCHANGE_PORT  where to listen; 127.0.0.1 and 8000
    EXCHANGE_SNAPSHOT_COMMANDS  commands after which a snapshot is made; 100000
    EXCHANGE_SNAPSHOT_MINUTES   minutes after which one is made, if there were any commands; 10
    EXCHANGE_SNAPSHOTS_KEPT     how many snapshots are kept; 3
    EXCHANGE_MAX_STREAMS        WebSockets of all clients at once; 4000
    EXCHANGE_RATE_LIMITS        TOML file of rates (docs/api/rate-limits.md); without it the defaults count
    EXCHANGE_METRICS            host:port where figures are shown to Prometheus; without it they are not
    EXCHANGE_ALERT_URL          webhook that alerts are posted to; without it they are only logged
    EXCHANGE_LOG_FORMAT, EXCHANGE_LOG_LEVEL  text or json; debug, info, warning
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from exchange.chain.errors import ConfirmationsOutOfRange
from exchange.chain.finality import Finality
from exchange.chain.forwarders import forwarder_code
from exchange.chain.remote_signer import PolicySignerAt
from exchange.chain.risk import AssetLimits, RiskPolicy
from exchange.chain.signer import key_address
from exchange.core.commands import ListAsset, OpenMarket
from exchange.core.markets import MAX_FEE_TIERS, NATIVE_TOKEN
from exchange.core.units import DecimalSyntaxError, parse_atoms, parse_decimal
from exchange.environment import (
    SettingsInvalid,
    address,
    at_most,
    file_text,
    host_and_port,
    http_url,
    is_address,
    keystore,
    positive,
    public_url,
    rate_policy,
    required,
    shared_token,
    whole,
)
from exchange.gateway.rate_policy import RateLimitPolicy
from exchange.journal.snapshots import SnapshotPolicy
from exchange.operator.fee_tiers import FeeTierSchedule
from exchange.proofs.publisher import ProofPolicy
from exchange.stores.clickhouse import DATABASE, is_server
from exchange.stores.clickhouse_schema import Layout
from exchange.stores.errors import ClusterNameInvalid

REPOSITORY = Path(__file__).parents[2]
ARTIFACTS = REPOSITORY / "build" / "contracts"
"""What forge has compiled."""
SWAGGER_ASSETS = REPOSITORY / "node_modules" / "swagger-ui-dist"
"""Where the API's documentation page finds its script and style."""
WEB_APP = REPOSITORY / "web" / "dist"
"""The web app, if it is built."""

MAX_SNAPSHOTS_KEPT = 100
MAX_PROOF_HOURS = 168
MAX_DELAY_HOURS = 168
MAX_STREAMS = 4_000
MOST_STREAMS = 100_000
NETWORK_FEE = "network"

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, repr=False)
class LocalKey:
    """The signer's key in this process. Not printable."""

    key: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything that `serve` needs. Not printable: it carries keys."""

    database_url: str
    clickhouse: str
    rpc_url: str
    chain_id: int
    vault: str
    vault_block: int
    finality: Finality
    signer: LocalKey | PolicySignerAt
    sender_key: bytes
    origin: str
    host: str
    port: int
    listing: tuple[ListAsset | OpenMarket, ...]
    snapshots: SnapshotPolicy = field(default_factory=SnapshotPolicy)
    fee_tiers: FeeTierSchedule | None = None
    """None: nobody is moved to another fee tier for what they trade."""
    risk: RiskPolicy = field(default_factory=RiskPolicy)
    deposit_addresses: str | None = None
    """The registry of personal deposit addresses."""
    forwarder_code: bytes = b""
    """What creates a deposit address; there is some when there is a registry."""
    sweeper_key: bytes | None = None
    balance_roots: str | None = None
    publisher_key: bytes | None = None
    proofs: ProofPolicy = field(default_factory=ProofPolicy)
    address_delay_s: int = 0
    """How long a new withdrawal address waits; 0: every destination is allowed."""
    witness_rpc_url: str | None = None
    """A second node, which must confirm what is credited and what the vault holds. None: one is believed."""
    max_streams: int = MAX_STREAMS
    """WebSockets of all clients at once."""
    rate_limits: RateLimitPolicy = field(default_factory=RateLimitPolicy)
    """How much may be asked for in a time."""
    metrics: tuple[str, int] | None = None
    """Host and port (0: any that is free) where Prometheus finds the figures. None: nowhere."""
    alert_url: str | None = None
    """Where alerts are posted; it may hold a secret. None: they are only logged."""
    network_fee_max_atoms: Mapping[str, int] = field(default_factory=dict)
    """The highest withdrawal fee of each asset, by symbol, whose fee follows the network's."""
    clickhouse_cluster: str | None = None
    """What the ClickHouse server calls the cluster that it is one of. None: it is alone."""
    web_app: Path = WEB_APP
    wallet_rpc_url: str | None = None
    """A node that wallets may use. None: they need one of their own."""
    has_faucet: bool = False
    """Whether whoever asks gets test funds; for development chains, and refused on any other."""

    @property
    def domain(self) -> str:
        """The origin's host and port, which a login message names."""
        return urlsplit(self.origin).netloc


class AssetTable(msgspec.Struct, forbid_unknown_fields=True):
    """One [[asset]] of a listing file; the amounts are decimals.

    A `withdrawal_fee` of "network" follows what the chain asks for, up to `withdrawal_fee_max`.
    """

    symbol: str
    decimals: int
    token: str
    withdrawal_fee: str = "0"
    withdrawal_fee_max: str = ""
    min_withdrawal: str = ""
    review_above: str = ""
    asset_daily_limit: str = ""
    account_daily_limit: str = ""


class MarketTable(msgspec.Struct, forbid_unknown_fields=True):
    """One [[market]] of a listing file; tick in quote per base, lot in base."""

    base: str
    quote: str
    tick: str
    lot: str
    maker_fee_bps: int
    taker_fee_bps: int


class FeeTiersTable(msgspec.Struct, forbid_unknown_fields=True):
    """The [fee_tiers] of a listing file: what must be traded in 30 days for tier 1, 2, ..., in `quote`."""

    quote: str
    volumes: list[str]


class ListingFile(msgspec.Struct, forbid_unknown_fields=True):
    """A listing file."""

    asset: list[AssetTable]
    market: list[MarketTable]
    fee_tiers: FeeTiersTable | None = None


def listing_commands(listing: ListingFile, chain_id: int, vault: str) -> tuple[ListAsset | OpenMarket, ...]:
    """The operator commands that list these assets and open these markets, in order.

    Raises SettingsInvalid for a decimal that is none or is finer than its asset.
    """
    commands: list[ListAsset | OpenMarket] = []
    decimals: dict[str, int] = {}
    network_fee_max_atoms = network_fee_maxima(listing)
    for asset in listing.asset:
        if not is_address(asset.token):
            raise SettingsInvalid(f"asset {asset.symbol}", f"its token is no address: {asset.token!r}")
        decimals[asset.symbol] = asset.decimals
        fee_atoms = network_fee_max_atoms.get(asset.symbol)  # until the chain's fees are known
        if fee_atoms is None:
            fee_atoms = _atoms(asset.symbol, asset.withdrawal_fee, asset.decimals)
        min_atoms = _atoms(asset.symbol, asset.min_withdrawal, asset.decimals) if asset.min_withdrawal else 1
        commands.append(
            ListAsset(
                symbol=asset.symbol,
                decimals=asset.decimals,
                chain_id=chain_id,
                vault=vault.lower(),
                token=asset.token.lower(),
                withdrawal_fee_atoms=fee_atoms,
                min_withdrawal_atoms=min_atoms,
            )
        )
    for market in listing.market:
        symbol = f"{market.base}-{market.quote}"
        if market.base not in decimals or market.quote not in decimals:
            raise SettingsInvalid(f"market {symbol}", "its assets are not in the same file")
        tick_mantissa, tick_decimals = _decimal(symbol, market.tick)
        commands.append(
            OpenMarket(
                symbol=symbol,
                base=market.base,
                quote=market.quote,
                tick_mantissa=tick_mantissa,
                tick_decimals=tick_decimals,
                lot_atoms=_atoms(symbol, market.lot, decimals[market.base]),
                maker_fee_bps=market.maker_fee_bps,
                taker_fee_bps=market.taker_fee_bps,
            )
        )
    return tuple(commands)


def fee_tier_schedule(listing: ListingFile) -> FeeTierSchedule | None:
    """The thresholds of the fee tiers, if there are any. Raises SettingsInvalid."""
    table = listing.fee_tiers
    if table is None:
        return None
    decimals = {asset.symbol: asset.decimals for asset in listing.asset}
    if table.quote not in decimals:
        raise SettingsInvalid("fee_tiers", f"its quote is no asset of the same file: {table.quote!r}")
    atoms = [_atoms("fee_tiers", text, decimals[table.quote]) for text in table.volumes]
    if not 0 < len(atoms) < MAX_FEE_TIERS or sorted(set(atoms)) != atoms or atoms[0] == 0:
        raise SettingsInvalid(
            "fee_tiers", f"volumes must be 1 to {MAX_FEE_TIERS - 1}, positive and increasing"
        )
    return FeeTierSchedule(table.quote, tuple(atoms))


def network_fee_maxima(listing: ListingFile) -> dict[str, int]:
    """The highest fee in atoms, by symbol, of each asset whose fee follows the network's.

    Raises SettingsInvalid, also for a token that no market prices in the chain's own coin.
    """
    priced = {asset.symbol for asset in listing.asset if asset.token == NATIVE_TOKEN}
    priced |= {other for pair in _pairs(listing) for other in pair if priced & pair}
    maxima: dict[str, int] = {}
    for asset in listing.asset:
        name = f"asset {asset.symbol}"
        if (asset.withdrawal_fee == NETWORK_FEE) != bool(asset.withdrawal_fee_max):
            raise SettingsInvalid(
                name, f'withdrawal_fee_max goes with withdrawal_fee = "{NETWORK_FEE}", and only with it'
            )
        if asset.withdrawal_fee != NETWORK_FEE:
            continue
        if asset.symbol not in priced:
            raise SettingsInvalid(name, "a network fee needs a market between it and the chain's own coin")
        maxima[asset.symbol] = _atoms(name, asset.withdrawal_fee_max, asset.decimals)
        if maxima[asset.symbol] == 0:
            raise SettingsInvalid(name, "withdrawal_fee_max must be more than zero")
    return maxima


def _pairs(listing: ListingFile) -> list[set[str]]:
    return [{market.base, market.quote} for market in listing.market]


def risk_policy(listing: ListingFile) -> RiskPolicy:
    """What goes out of the exchange without a person looking at it. Raises SettingsInvalid."""

    def limit(asset: AssetTable, text: str) -> int | None:
        return _atoms(asset.symbol, text, asset.decimals) if text else None

    return RiskPolicy(
        {
            asset.symbol: AssetLimits(
                review_above_atoms=limit(asset, asset.review_above),
                asset_window_atoms=limit(asset, asset.asset_daily_limit),
                account_window_atoms=limit(asset, asset.account_daily_limit),
            )
            for asset in listing.asset
        }
    )


def _atoms(name: str, text: str, decimals: int) -> int:
    try:
        return parse_atoms(text, decimals)
    except ValueError as error:
        raise SettingsInvalid(name, str(error)) from error


def _decimal(name: str, text: str) -> tuple[int, int]:
    try:
        return parse_decimal(text)
    except DecimalSyntaxError as error:
        raise SettingsInvalid(name, str(error)) from error


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings for `exchange serve`. Raises SettingsInvalid naming the first variable that is wrong."""
    settings = _settings(environment)
    _refuse_shared_keys(settings)
    return settings


def clickhouse_cluster(environment: Mapping[str, str]) -> str | None:
    """The cluster's name, None for a server that is alone. Raises SettingsInvalid."""
    variable = "EXCHANGE_CLICKHOUSE_CLUSTER"
    cluster = environment.get(variable)
    if not cluster:
        return None
    if not is_server(environment.get("EXCHANGE_CLICKHOUSE", "")):
        raise SettingsInvalid(variable, "EXCHANGE_CLICKHOUSE must be a server's http(s) address")
    try:
        return Layout(DATABASE, cluster).cluster
    except ClusterNameInvalid as error:
        raise SettingsInvalid(variable, str(error)) from error


def _settings(environment: Mapping[str, str]) -> Settings:
    chain_id = positive(environment, "EXCHANGE_CHAIN_ID")
    vault = address(environment, "EXCHANGE_VAULT")
    origin = required(environment, "EXCHANGE_ORIGIN").rstrip("/")
    if (
        urlsplit(origin).scheme not in {"http", "https"}
        or not urlsplit(origin).netloc
        or urlsplit(origin).path
    ):
        raise SettingsInvalid("EXCHANGE_ORIGIN", f"not an origin like https://exchange.example: {origin!r}")
    password = file_text(environment, "EXCHANGE_KEY_PASSWORD_FILE").strip()
    listing = _listing(environment)
    balance_roots, publisher_key = _publishing(environment, password, chain_id)
    named = environment.get("EXCHANGE_DEPOSIT_ADDRESSES")
    registry = address(environment, "EXCHANGE_DEPOSIT_ADDRESSES") if named else None
    return Settings(
        database_url=required(environment, "EXCHANGE_DATABASE_URL"),
        clickhouse=required(environment, "EXCHANGE_CLICKHOUSE"),
        clickhouse_cluster=clickhouse_cluster(environment),
        rpc_url=required(environment, "EXCHANGE_RPC_URL"),
        witness_rpc_url=_witness_rpc_url(environment),
        chain_id=chain_id,
        vault=vault,
        vault_block=positive(environment, "EXCHANGE_VAULT_BLOCK"),
        finality=_finality(environment),
        signer=_signer(environment, password, chain_id),
        sender_key=keystore(environment, "EXCHANGE_SENDER_KEYSTORE", password, chain_id),
        origin=origin,
        host=environment.get("EXCHANGE_HOST", "127.0.0.1"),
        port=at_most(environment, "EXCHANGE_PORT", "8000", 65_535),
        listing=listing_commands(listing, chain_id, vault),
        snapshots=SnapshotPolicy(
            every_commands=positive(environment, "EXCHANGE_SNAPSHOT_COMMANDS", "100000"),
            every_s=60.0 * positive(environment, "EXCHANGE_SNAPSHOT_MINUTES", "10"),
            kept=at_most(environment, "EXCHANGE_SNAPSHOTS_KEPT", "3", MAX_SNAPSHOTS_KEPT),
        ),
        fee_tiers=fee_tier_schedule(listing),
        risk=risk_policy(listing),
        deposit_addresses=registry,
        forwarder_code=forwarder_code(ARTIFACTS) if registry else b"",
        sweeper_key=(
            keystore(environment, "EXCHANGE_SWEEPER_KEYSTORE", password, chain_id)
            if environment.get("EXCHANGE_SWEEPER_KEYSTORE")
            else None
        ),
        balance_roots=balance_roots,
        publisher_key=publisher_key,
        proofs=ProofPolicy(3_600 * at_most(environment, "EXCHANGE_PROOF_HOURS", "24", MAX_PROOF_HOURS)),
        network_fee_max_atoms=network_fee_maxima(listing),
        address_delay_s=3_600 * whole(environment, "EXCHANGE_ADDRESS_DELAY_HOURS", "24", MAX_DELAY_HOURS),
        max_streams=at_most(environment, "EXCHANGE_MAX_STREAMS", str(MAX_STREAMS), MOST_STREAMS),
        rate_limits=rate_policy(environment, "EXCHANGE_RATE_LIMITS"),
        metrics=host_and_port(environment, "EXCHANGE_METRICS"),
        alert_url=http_url(environment, "EXCHANGE_ALERT_URL"),
        wallet_rpc_url=public_url(environment, "EXCHANGE_WALLET_RPC_URL"),
        web_app=Path(environment["EXCHANGE_WEB_APP"]) if environment.get("EXCHANGE_WEB_APP") else WEB_APP,
    )


def _finality(environment: Mapping[str, str]) -> Finality:
    try:
        return Finality.parse(required(environment, "EXCHANGE_CONFIRMATIONS"))
    except (ValueError, ConfirmationsOutOfRange) as error:
        raise SettingsInvalid("EXCHANGE_CONFIRMATIONS", str(error)) from error


def _witness_rpc_url(environment: Mapping[str, str]) -> str | None:
    name = "EXCHANGE_WITNESS_RPC_URL"
    url = http_url(environment, name)
    if url is not None and _host(url) == _host(environment["EXCHANGE_RPC_URL"]):
        raise SettingsInvalid(name, "the same host as EXCHANGE_RPC_URL; a node can not witness for itself")
    return url


def _host(url: str) -> str:
    """With its port; without a user's name."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


# ---- keys ------------------------------------------------------------------------------------------------


def _publishing(
    environment: Mapping[str, str], password: str, chain_id: int
) -> tuple[str | None, bytes | None]:
    contract, key_file = "EXCHANGE_BALANCE_ROOTS", "EXCHANGE_PUBLISHER_KEYSTORE"
    if not environment.get(contract) and not environment.get(key_file):
        return None, None
    return address(environment, contract), keystore(environment, key_file, password, chain_id)


def _signer(environment: Mapping[str, str], password: str, chain_id: int) -> LocalKey | PolicySignerAt:
    is_local = bool(environment.get("EXCHANGE_SIGNER_KEYSTORE"))
    if is_local == bool(environment.get("EXCHANGE_SIGNER_URL")):
        raise SettingsInvalid("EXCHANGE_SIGNER_KEYSTORE", "set either this or EXCHANGE_SIGNER_URL")
    if is_local:
        return LocalKey(keystore(environment, "EXCHANGE_SIGNER_KEYSTORE", password, chain_id))
    url = environment["EXCHANGE_SIGNER_URL"]
    parts = urlsplit(url)
    if parts.scheme != "https" and (parts.scheme, parts.hostname in _THIS_MACHINE) != ("http", True):
        raise SettingsInvalid("EXCHANGE_SIGNER_URL", "https is needed, but for http to this same machine")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise SettingsInvalid("EXCHANGE_SIGNER_URL", "only a host, and perhaps a port and a path, are taken")
    return PolicySignerAt(
        url=url,
        token=shared_token(environment, "EXCHANGE_SIGNER_TOKEN_FILE"),
        address=address(environment, "EXCHANGE_SIGNER_ADDRESS"),
    )


def _refuse_shared_keys(settings: Settings) -> None:
    """A key counts its transactions by itself, for one purpose, and a role is no stronger than its key."""
    keys: list[tuple[str, bytes | None]] = [
        ("EXCHANGE_SENDER_KEYSTORE", settings.sender_key),
        ("EXCHANGE_SWEEPER_KEYSTORE", settings.sweeper_key),
        ("EXCHANGE_PUBLISHER_KEYSTORE", settings.publisher_key),
    ]
    signer = settings.signer
    if isinstance(signer, LocalKey):
        holders = {key_address(signer.key): "EXCHANGE_SIGNER_KEYSTORE"}
    else:
        holders = {signer.address: "EXCHANGE_SIGNER_ADDRESS"}
    for name, key in keys:
        if key is None:
            continue
        before = holders.setdefault(key_address(key), name)
        if before != name:
            raise SettingsInvalid(name, f"the same key as {before}; each role needs one of its own")


# ---- the listing -----------------------------------------------------------------------------------------


def _listing(environment: Mapping[str, str]) -> ListingFile:
    name = "EXCHANGE_LISTING"
    try:
        return msgspec.convert(tomllib.loads(file_text(environment, name)), ListingFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsInvalid(name, str(error)) from error
