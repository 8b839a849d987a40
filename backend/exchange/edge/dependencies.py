"""What the edge is given: everything it reads from and writes to, in one frozen bundle, no globals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import asyncpg
from starlette.requests import Request

from exchange.chain.allow_list import AllowList
from exchange.chain.faucet import Faucet
from exchange.chain.forwarders import Forwarders
from exchange.chain.gas_price import GasPrice
from exchange.chain.reconcile import FinalizedComparison
from exchange.chain.risk import RiskPolicy
from exchange.edge.caching import Prepared
from exchange.edge.readiness import KEPT_S, HealthPart, Readiness
from exchange.edge.shared_answers import SharedAnswers
from exchange.gateway.rate_limits import RateLimits
from exchange.gateway.sessions import Sessions
from exchange.gateway.signed_requests import Signers
from exchange.gateway.siwe import Login
from exchange.gateway.typed_data import TypedDataDomain
from exchange.projections.clickhouse import ClickHouseProjection
from exchange.projections.postgres import ReadTables
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import HandIn, SubmitSigned, SubmitSignedBatch
from exchange.stores.clickhouse import ClickHouse


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Plain values. `allowed_origins` are exact (`http://localhost:8000`); the site's own belongs in it."""

    chain_id: int
    vault: str
    confirmations: int | None
    """None: a block counts when the chain calls it finalized."""
    allowed_origins: frozenset[str]
    host: str
    """Of the public origin, with its port if it has one, in lower case: what signed requests are for."""
    swagger_ui: Path
    web_app: Path | None = None
    """Folder of the built web app."""
    wallet_rpc_url: str | None = None
    """A node of the chain that everybody's wallet may use; None: there is none, or it needs a secret."""
    read_wait_s: float = 2.0
    """How long a read waits for `min_seq`, and a history page for its projection."""
    auth_burst: int = 20
    """Requests to sign in (or out) that one client address may make at once."""
    auth_per_s: int = 1
    """And how many more each second."""
    network_fee_max_atoms: Mapping[str, int] = field(default_factory=dict)
    """The most that a withdrawal fee may rise to, by asset symbol, where it follows the network's."""
    health_kept_s: float = KEPT_S
    """How long it is told again what the parts have said of their health."""


class AsOf(NamedTuple):
    """What an answer depends on beside its question: which filling of the tables, and its `seq`."""

    filling: int
    seq: int


@dataclass(frozen=True, slots=True)
class MarketData:
    """Where trades and candles are read, how far they are, and what was answered of them last."""

    clickhouse: ClickHouse
    projection: ClickHouseProjection
    answers: SharedAnswers[Prepared] = field(default_factory=SharedAnswers)

    @property
    def as_of(self) -> AsOf:
        """How far they are now."""
        return AsOf(self.projection.fillings, self.projection.seq)


@dataclass(frozen=True, slots=True)
class DepositAddressing:
    """Personal deposit addresses: where they are, and the least amount by token that is swept.

    `is_checked`: whether the registry on the chain gives the same addresses. None is shown before.
    """

    forwarders: Forwarders
    minima: Callable[[], Mapping[str, int]]
    is_checked: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Edge:
    """The edge's dependencies, wired in main."""

    config: EdgeConfig
    submit: SubmitSigned
    submit_batch: SubmitSignedBatch
    hand_in: HandIn
    """`submit_batch` for who has many on their way at a time: it waits for nothing."""
    view: CommittedView
    projection: ReadTables
    pool: asyncpg.Pool
    market_data: MarketData | None
    """None when there is no ClickHouse: then trades and candles are `unavailable`, all else goes on."""
    login: Login
    sessions: Sessions
    rate_limits: RateLimits
    clock_ns: Callable[[], int]
    horizon_ns: Callable[[], int]
    """Nothing that the view does not have yet will be committed with an earlier time."""
    chain_head: Callable[[], int]
    """Number of the newest block seen; 0 before the first."""
    allow_list: AllowList
    risk_policy: RiskPolicy
    gas_price: Callable[[], GasPrice | None]
    """None while it is not known."""
    withdrawals_halted: Callable[[], bool]
    deposit_addressing: DepositAddressing | None = None
    """None when the deployment has no personal deposit addresses."""
    solvency: Callable[[], FinalizedComparison | None] = lambda: None
    """The last comparison of vault and ledger at a finalized block; None before the first."""
    faucet: Faucet | None = None
    """Gives test funds on a development chain; None everywhere else."""
    health_parts: tuple[HealthPart, ...] = field(default=())
    signers: Signers = field(init=False)
    """Who tells which agent has signed a request."""
    readiness: Readiness = field(init=False)
    """Who asks the `health_parts`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "readiness", Readiness(self.health_parts, self.config.health_kept_s))
        object.__setattr__(self, "signers", Signers(self.view, self.config.host, self.clock_ns))

    @property
    def typed_data_domain(self) -> TypedDataDomain:
        return TypedDataDomain(self.view.genesis_id, self.config.chain_id, self.config.vault)


def edge_of(request: Request) -> Edge:
    """The bundle of the app that serves this request."""
    edge: Edge = request.app.state.edge
    return edge
