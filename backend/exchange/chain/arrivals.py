"""From a personal deposit address into the vault: looks at the addresses, and sweeps what is enough.

Theory of operation. Each pass

1. asks the registry, in a few calls at one block, what lies at the addresses that were given out, a bounded
   number of owners at a time, in turn, and stores it (`arrival_rows`). That is shown as pending and is
   nothing more: no one is credited for it;
2. looks after the sweep that is under way, at most one transaction at a time;
3. sends the next: what is at least the registry's minimum, oldest first, each item tried on the node before.
   An item that would fail is left for later, longer each time.

The sweep is an ordinary deposit of the vault, numbered, for that account: `deposits` credits it. Anybody may
sweep, so this is a service and no power: the key needs gas and no role, and can not send funds elsewhere.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import structlog

from exchange.chain.arrival_rows import Arrival, ArrivalRows
from exchange.chain.backoff import repeat
from exchange.chain.deposit_addresses import (
    balances_call,
    decode_balances,
    minimum_of_call,
    sweep_batch_call,
    sweep_call,
)
from exchange.chain.errors import PaymentCondition, RpcError
from exchange.chain.forwarders import Forwarders
from exchange.chain.nonces import Call, Purpose
from exchange.chain.outbox import GasStatus, Outbox
from exchange.chain.rpc import Header, Rpc, together
from exchange.chain.vault import decode_word
from exchange.core.units import MAX_ATOMS

OWNERS_PER_CALL = 50
CALLS_PER_PASS = 20
SWEEPS_PER_BATCH = 6
ITEM_GAS = 1_550_000
"""What the registry wants in hand before each item, with what a call keeps back; most of it is not used."""
BATCH_GAS = 300_000
MAX_ARRIVALS = 1_000
RETRY_S = 30.0
RETRY_CAP_S = 3_600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ArrivalsStatus:
    """`waiting`: arrivals that are enough to be swept. `condition`: why the last sweep was not sent."""

    waiting: int
    gas: GasStatus | None
    condition: Exception | None
    fault: Exception | None


class ArrivalWatcher:
    """Watches and sweeps the deposit addresses of one registry. One `run` task per registry.

    `tokens` gives the listed assets' tokens. Without an outbox it only watches.
    """

    def __init__(
        self,
        rpc: Rpc,
        pool: asyncpg.Pool,
        forwarders: Forwarders,
        tokens: Callable[[], list[str]],
        outbox: Outbox | None,
        *,
        chain_id: int,
        poll_s: float = 2.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rpc = rpc
        self._rows = ArrivalRows(pool, chain_id, forwarders.registry)
        self.forwarders = forwarders
        self._tokens = tokens
        self._outbox = outbox
        self._chain_id = chain_id
        self._poll_s = poll_s
        self._now = now
        self._started = False
        self._after = ""
        self._minima: dict[str, int] = {}
        self._retry: dict[tuple[str, str], tuple[float, float]] = {}
        """By owner and token: not before which time, and how long the wait was."""
        self._waiting = 0
        self._condition: Exception | None = None
        self._fault: Exception | None = None

    @property
    def minima(self) -> dict[str, int]:
        """The least amount that is swept, by token, as of the last pass; a token without one is not swept."""
        return self._minima

    def status(self) -> ArrivalsStatus:
        gas = None if self._outbox is None else self._outbox.gas
        return ArrivalsStatus(self._waiting, gas, self._condition, self._fault)

    async def run(self) -> None:
        """Works until cancelled."""

        def note(fault: Exception) -> None:
            self._fault = fault

        await repeat(
            "arrivals",
            self.poll,
            lambda: asyncio.sleep(self._poll_s),
            first_fault_pause_s=self._poll_s,
            on_fault=note,
        )

    async def poll(self) -> None:
        """One pass. Raises ChainError."""
        if not self._started:
            await self._rpc.check_chain(self._chain_id)
            await self.forwarders.check(self._rpc)
            if self._outbox is not None:
                await self._outbox.prepare()
            self._started = True
        head = await self._rpc.head()
        tokens = self._tokens()
        await self._read_minima(tokens)
        await self._look(tokens, head)
        ready = [arrival for arrival in await self._rows.all(MAX_ARRIVALS) if self._is_enough(arrival)]
        self._waiting = len(ready)
        if self._outbox is not None:
            await self._sweep(self._outbox, ready, head)
        self._fault = None

    # ---- 1. what lies there

    async def _read_minima(self, tokens: list[str]) -> None:
        registry = self.forwarders.registry
        answers = await together(*(self._rpc.view(registry, minimum_of_call(token)) for token in tokens))
        self._minima = {
            token: minimum
            for token, answer in zip(tokens, answers, strict=True)
            if (minimum := decode_word(answer))
        }

    async def _look(self, tokens: list[str], head: Header) -> None:
        """The next owners in turn, from the first again after the last."""
        for _ in range(CALLS_PER_PASS if tokens else 0):
            owners = await self._rows.owners(self._after, OWNERS_PER_CALL)
            if owners:
                answer = await self._rpc.view(
                    self.forwarders.registry, balances_call(owners, tokens), head.hash
                )
                found = {
                    (owner, token): atoms
                    for owner, of_owner in zip(
                        owners, decode_balances(answer, len(owners), len(tokens)), strict=True
                    )
                    for token, atoms in zip(tokens, of_owner, strict=True)
                    if 0 < atoms <= MAX_ATOMS  # more is a worthless token's nonsense
                }
                await self._rows.put(owners, found, head.number)
            if len(owners) < OWNERS_PER_CALL:
                self._after = ""
                return
            self._after = owners[-1]

    def _is_enough(self, arrival: Arrival) -> bool:
        minimum = self._minima.get(arrival.token)
        return minimum is not None and arrival.amount_atoms >= minimum

    # ---- 2., 3. sweeps

    async def _sweep(self, outbox: Outbox, ready: list[Arrival], head: Header) -> None:
        await outbox.tend(head)
        if await outbox.rows.open():
            return  # what is under way may be what still lies there
        now_s = self._now()
        due = [arrival for arrival in ready if now_s >= self._retry.get(_key(arrival), (0.0, 0.0))[0]]
        chosen: list[tuple[str, str]] = []
        for arrival in due:
            if len(chosen) == SWEEPS_PER_BATCH:
                break
            if await self._would_work(arrival, outbox.address):
                chosen.append(_key(arrival))
        self._retry = {key: self._retry[key] for key in map(_key, ready) if key in self._retry}
        self._condition = None
        if not chosen:
            return
        gas = BATCH_GAS + ITEM_GAS * len(chosen)
        call = Call(Purpose.SWEEP, self.forwarders.registry, sweep_batch_call(chosen), gas)
        for key in chosen:
            self._postpone(key)  # should it be skipped on the chain, it is not sent again and again
        try:
            submitted = await outbox.submit(call, head)
        except (PaymentCondition, RpcError) as condition:
            self._condition = condition
            log.warning("sweep_not_sent", reason=str(condition))
        else:
            assert submitted is not None
            log.info("sweep_sent", count=len(chosen), tx_hash=submitted.tx_hash)

    async def _would_work(self, arrival: Arrival, sender: str) -> bool:
        try:
            await self._rpc.view(
                self.forwarders.registry, sweep_call(arrival.owner, arrival.token), sender=sender
            )
        except RpcError as error:
            self._postpone(_key(arrival))
            log.warning("sweep_would_fail", owner=arrival.owner, token=arrival.token, reason=error.message)
            return False
        return True

    def _postpone(self, key: tuple[str, str]) -> None:
        _, waited_s = self._retry.get(key, (0.0, 0.0))
        wait_s = min(RETRY_CAP_S, 2 * waited_s or RETRY_S)
        self._retry[key] = (self._now() + wait_s, wait_s)


def _key(arrival: Arrival) -> tuple[str, str]:
    return (arrival.owner, arrival.token)
