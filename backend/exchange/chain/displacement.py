"""What follows when the chain no longer has a deposit that is credited: a halt, frozen accounts, an alert.

Somebody may have been given money that the vault does not hold, so nothing more may leave it, and what was
credited must not move. In this order, each step idempotent, so that whoever is interrupted begins again:

1. the withdrawals of all chains are halted, until an operator lifts the halt;
2. all accounts of the owners of those deposits are frozen, also those that are opened meanwhile, until an
   operator sets them free;
3. people are told.

Neither halt nor frost ends by itself, also not when the chain brings the very same deposit back.

A deposit of a token that is not listed was credited to nobody and can be made by anybody in anybody's name:
when it is gone, people are told, and nothing else is done. (That nothing is credited after it, and so nothing
signed, until it is back is the watcher's doing, for the sake of the numbers.)
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from exchange.chain.deposit_rows import CreditedDeposit, DepositRows
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

    `owners` may lack some when the tables were lost: then the halt alone stands. `in_suspense` are the
    numbers of deposits of tokens that are not listed, which were credited to nobody.
    """

    chain_id: int
    vault: str
    numbers: tuple[int, ...]
    owners: tuple[str, ...]
    in_suspense: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"credited but not in the chain any more: deposits {_named(self.numbers)}"


OnDisplaced = Callable[[DisplacedDeposits], Awaitable[None]]


class Displacements:
    """Finds which credited deposits of a vault are gone, and tells of each of them once."""

    def __init__(
        self,
        rows: DepositRows,
        committed: CommittedView,
        on_displaced: OnDisplaced,
        chain_id: int,
        vault: str,
    ) -> None:
        self._rows = rows
        self._committed = committed
        self._on_displaced = on_displaced
        self._chain_id = chain_id
        self._vault = vault
        self._told_lost: tuple[tuple[int, ...], list[CreditedDeposit]] | None = None

    async def tell(self, first: int) -> None:
        """Tells of what is displaced from a number on, and of what the ledger has from there on and the
        tables have lost.

        Of the latter there are no rows to note in that it was told, so a restart tells of it again.
        """
        displaced = await self._rows.unanswered(first)
        numbers = range(first, self._committed.last_deposit(self._chain_id, self._vault) + 1)
        stored = await self._rows.hashes(numbers.start, numbers.stop - 1)
        lost = tuple(number for number in numbers if number not in stored)
        in_ledger = await self._rows.in_ledger(lost)
        if not displaced and (not lost or self._told_lost == (lost, in_ledger)):
            return
        known = [*displaced, *in_ledger]
        worthless = {deposit.number for deposit in known if not self._is_listed(deposit.token)}
        numbers_told = {*lost, *(deposit.number for deposit in displaced)}
        await self._on_displaced(
            DisplacedDeposits(
                self._chain_id,
                self._vault,
                tuple(sorted(numbers_told - worthless)),
                tuple(dict.fromkeys(each.owner for each in known if each.number not in worthless)),
                tuple(sorted(worthless)),
            )
        )
        await self._rows.mark_answered(tuple(deposit.number for deposit in displaced))
        self._told_lost = (lost, in_ledger)

    def forget_lost(self) -> None:
        """Nothing is lost any more: what will be is told of again."""
        self._told_lost = None

    def _is_listed(self, token: str) -> bool:
        """Whether deposits of a token are their owner's; those of any other are in suspense.

        One that was listed later counts too: what became of what was in suspense is not known here.
        """
        route = (self._chain_id, self._vault, token)
        return any(
            asset.listed and (asset.chain_id, asset.vault, asset.token) == route
            for asset in self._committed.assets.values()
        )


class Safeguard:
    """Halts, freezes and alerts. Call it with what is displaced; when it raises, call it again."""

    def __init__(self, halts: Halts, alert: Alert, committed: CommittedView, submit: Submit) -> None:
        self._halts = halts
        self._alert = alert
        self._committed = committed
        self._submit = submit

    async def __call__(self, displaced: DisplacedDeposits) -> None:
        """Raises what the database raises, SequencerError, FreezeRefused."""
        if displaced.numbers:
            await self._halt_and_freeze(displaced)
        if displaced.in_suspense:
            self._alert(
                "suspense_deposits_displaced",
                "not in the chain any more, in suspense and credited to nobody:"
                f" deposits {_named(displaced.in_suspense)}",
            )

    async def _halt_and_freeze(self, displaced: DisplacedDeposits) -> None:
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


def _named(numbers: tuple[int, ...]) -> str:
    more = f" and {len(numbers) - MAX_NAMED} more" if len(numbers) > MAX_NAMED else ""
    return ", ".join(map(str, numbers[:MAX_NAMED])) + more
