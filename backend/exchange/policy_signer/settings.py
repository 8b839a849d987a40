"""What a policy signer is told once, by its own settings, and never by the exchange."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exchange.policy_signer.limits import TokenLimits


@dataclass(frozen=True, slots=True)
class Identity:
    """The one deployment that is signed for: `genesis_id` is 0x and 64 hex digits, `vault` lower-case."""

    genesis_id: str
    chain_id: int
    vault: str


@dataclass(frozen=True, slots=True, repr=False)
class PolicySettings:
    """Everything that a policy signer needs. Not printable: it carries the key and the shared token."""

    identity: Identity
    database_url: str
    """Where the journal can be read, best a replica, by a role that may do nothing else."""
    key: bytes
    token: str
    limits: Mapping[str, TokenLimits]
    state_file: Path
    host: str = "127.0.0.1"
    port: int = 8100
