"""Whether the signer's and the sender's key hold their roles at the vault; without them nothing is ever paid.

Not a reason to refuse a start: traders trade, deposits are credited, and a role may be given at any time. But
payments would be signed and sent for nothing, or not at all, so it is asked and said before anybody wonders.
A role with an execution delay is as good as none: the vault pays at once or not.
"""

import asyncio
from dataclasses import dataclass

import structlog
from eth_abi.abi import encode

from exchange.chain.backoff import repeat
from exchange.chain.deposit_addresses import decode_address
from exchange.chain.rpc import Rpc
from exchange.chain.vault import (
    AUTHORITY_CALL,
    SENDER_ROLE,
    SIGNER_ROLE,
    decode_words,
    selector,
)

POLL_S = 60.0
RETRY_S = 2.0

_HAS_ROLE = selector("hasRole(uint64,address)")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RoleHolder:
    """A key that is used in a role."""

    name: str
    role: int
    address: str


class RoleWatch:
    """Asks again and again. One `run` task per vault."""

    def __init__(self, rpc: Rpc, vault: str, *, signer: str, sender: str, poll_s: float = POLL_S) -> None:
        self._rpc = rpc
        self._vault = vault
        self._holders = (
            RoleHolder("signer", SIGNER_ROLE, signer),
            RoleHolder("sender", SENDER_ROLE, sender),
        )
        self._poll_s = poll_s
        self._lacking: tuple[str, ...] | None = None
        self._fault: Exception | None = None

    @property
    def problem(self) -> str | Exception | None:
        """What is wrong by the last answer; before the first, why there is none yet."""
        if self._lacking is None:
            return self._fault or "not asked yet"
        if not self._lacking:
            return None
        keys = " and ".join(f"the {name}'s key" for name in self._lacking)
        return (
            f"{keys} can not act for the vault: give it its role, without a delay; nothing is paid until then"
        )

    async def run(self) -> None:
        """Asks until cancelled."""

        def note(fault: Exception) -> None:
            self._fault = fault

        await repeat(
            "roles",
            self.poll,
            lambda: asyncio.sleep(self._poll_s),
            first_fault_pause_s=RETRY_S,
            on_fault=note,
        )

    async def poll(self) -> None:
        """Asks once. Raises RpcUnavailable, RpcError, RpcAnswerInvalid."""
        manager = decode_address(await self._rpc.view(self._vault, AUTHORITY_CALL))
        lacking = [holder for holder in self._holders if not await self._holds(manager, holder)]
        names = tuple(holder.name for holder in lacking)
        if names != self._lacking:
            for holder in lacking:
                log.error("role_missing", key=holder.name, address=holder.address, role=holder.role)
        self._lacking, self._fault = names, None

    async def _holds(self, manager: str, holder: RoleHolder) -> bool:
        call = _HAS_ROLE + encode(["uint64", "address"], [holder.role, holder.address])
        is_member, delay_s = decode_words(await self._rpc.view(manager, call), 2)
        return is_member == 1 and delay_s == 0
