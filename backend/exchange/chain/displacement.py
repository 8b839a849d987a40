"""What follows when the chain no longer has a deposit that is credited: a halt, frozen accounts, an alert.

Somebody may have been given money that the vault does not hold, so nothing more may leave it, and what was
credited must not move. In this order, each step idempotent, so that whoever is interrupted begins again:

1. the withdrawals of all chains are halted, until an operator lifts the halt;
2. all accounts of the owners of those deposits are frozen, also those that are opened meanwhile, until an
   operator sets them free;
3. people are told.

Neither halt nor frost ends by itself, also not when the chain brings the very same deposit back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from exchange.chain.errors import FreezeRefused
from exchange.chain.halts import Alert, HaltKind, Halts
from exchange.core.commands import SetAccountState
from exchange.core.events import Rejected
from exchange.core.words import AccountState
from exchange.sequencer.committed import CommittedView
from exchange.sequencer.sequencer import Submit

MAX_NAMED = 10
"""Deposits and owners that a message names; the rest is counted."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DisplacedDeposits:
    """Credited deposits of a vault that its chain does not have (any more), and whom they were credited to.

    `owners` may lack some when the tables were lost: then the halt alone stands.
    """

    chain_id: int
    vault: str
    numbers: tuple[int, ...]
    owners: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(map(str, self.numbers[:MAX_NAMED]))
        more = f" and {len(self.numbers) - MAX_NAMED} more" if len(self.numbers) > MAX_NAMED else ""
        return f"credited but not in the chain any more: deposits {named}{more}"


OnDisplaced = Callable[[DisplacedDeposits], Awaitable[None]]


class Safeguard:
    """Halts, freezes and alerts. Call it with what is displaced; when it raises, call it again."""

    def __init__(self, halts: Halts, alert: Alert, committed: CommittedView, submit: Submit) -> None:
        self._halts = halts
        self._alert = alert
        self._committed = committed
        self._submit = submit

    async def __call__(self, displaced: DisplacedDeposits) -> None:
        """Raises what the database raises, SequencerError, FreezeRefused."""
        await self._halts.raise_(
            HaltKind.REORGED_AFTER_CREDIT, str(displaced), displaced.chain_id, displaced.vault
        )
        frozen = [account_id for owner in displaced.owners for account_id in await self._freeze(owner)]
        accounts = ", ".join(map(str, frozen[:MAX_NAMED])) + (" ..." if len(frozen) > MAX_NAMED else "")
        self._alert("accounts_frozen", f"{displaced}; accounts {accounts or '(none)'} are frozen")

    async def _freeze(self, owner: str) -> list[int]:
        """Freezes all accounts of an owner; which they are.

        Meanwhile the owner may open others and move the money there, so it is done when a look at what is
        committed finds nothing that is not frozen. It comes to an end: there are 128 accounts to an owner.
        """
        while True:
            account_ids = [account_id for _, account_id in self._committed.sub_accounts(owner)]
            active = [
                account_id
                for account_id in account_ids
                if self._committed.account_state(account_id) is not AccountState.FROZEN
            ]
            if not active:
                return account_ids
            for account_id in active:
                outcome = await self._submit(SetAccountState(account_id, AccountState.FROZEN))
                refusal = next((event for event in outcome.events if isinstance(event, Rejected)), None)
                if refusal is not None:
                    raise FreezeRefused(account_id, refusal.reason)
                log.warning("account_frozen", account=account_id, owner=owner, seq=outcome.seq)
