"""From a personal deposit address into the vault: looks at the addresses, and sweeps what is enough.

Theory of operation. Each pass

1. asks the registry, in a few calls at one block, what lies at the addresses that were given out, a bounded
   number of owners at a time, and stores it (`arrival_rows`). That is shown as pending and is nothing more:
   no one is credited for it;
2. looks after the sweep that is under way, at most one transaction at a time;
3. sends the next: what is at least the registry's minimum, oldest first, each item tried on the node before.
   An item that would fail is left for later, longer each time, and comes after all that was not tried yet.

Which addresses. Giving one out costs nothing, so there may be very many, of which few are used. Three rounds
go on side by side, each with its share of a pass: owners who asked for their address within ASKED_S; owners
at whose addresses lies enough to be swept; and all others. So however many addresses lie idle, what is sent
to one of the first is seen in the first pass or two; to one of the others, within minutes.

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
ASKED_S = 7 * 24 * 3_600
ASKED_PER_PASS = 600
ENOUGH_PER_PASS = 200
ANY_PER_PASS = 200
SWEEPS_PER_BATCH = 6
TRIES_PER_PASS = 24
"""Of items, on the node, to find those for a batch."""
ITEM_GAS = 1_550_000
"""What the registry wants in hand before each item, with what a call keeps back; most of it is not used."""
BATCH_GAS = 300_000
RETRY_MS = 30_000
RETRY_CAP_MS = 3_600_000

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
        self._checked = False
        self._asked_before: tuple[int, str] | None = None
        self._enough_after = ""
        self._any_after = ""
        self._minima: dict[str, int] = {}
        self._waiting = 0
        self._condition: Exception | None = None
        self._fault: Exception | None = None

    @property
    def is_checked(self) -> bool:
        """Whether the registry on the chain was seen to give the same addresses; until then none is shown."""
        return self._checked

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

    async def check(self) -> None:
        """Compares with the registry on the chain; called before `run` it lets a start be refused.

        An address that the registry does not give is one at which funds would be lost. Raises WrongChain,
        RegistryDiffers, RpcError, RpcUnavailable.
        """
        await self._rpc.check_chain(self._chain_id)
        await self.forwarders.check(self._rpc)
        self._checked = True

    async def poll(self) -> None:
        """One pass. Raises ChainError."""
        if not self._started:
            await self.check()
            if self._outbox is not None:
                await self._outbox.prepare()
            self._started = True
        head = await self._rpc.head()
        tokens = self._tokens()
        await self._read_minima(tokens)
        await self._look(tokens, head)
        self._waiting = await self._rows.count_enough(self._minima)
        if self._outbox is not None:
            await self._sweep(self._outbox, head)
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
        if not tokens:
            return
        owners = await self._next_owners()
        groups = [owners[start : start + OWNERS_PER_CALL] for start in range(0, len(owners), OWNERS_PER_CALL)]
        answers = await together(
            *(
                self._rpc.view(self.forwarders.registry, balances_call(group, tokens), head.hash)
                for group in groups
            )
        )
        for group, answer in zip(groups, answers, strict=True):
            balances = decode_balances(answer, len(group), len(tokens))
            found = {
                (owner, token): atoms
                for owner, of_owner in zip(group, balances, strict=True)
                for token, atoms in zip(tokens, of_owner, strict=True)
                if 0 < atoms <= MAX_ATOMS  # more is a worthless token's nonsense
            }
            await self._rows.put(group, found, head.number)

    async def _next_owners(self) -> list[str]:
        """Those whose turn it is; each of the rounds begins again when it is at its end."""
        since_ms = self._now_ms() - 1_000 * ASKED_S
        asked = await self._rows.asked(since_ms, self._asked_before, ASKED_PER_PASS)
        self._asked_before = asked[-1] if len(asked) == ASKED_PER_PASS else None
        enough = await self._rows.owners_with_enough(self._minima, self._enough_after, ENOUGH_PER_PASS)
        self._enough_after = enough[-1] if len(enough) == ENOUGH_PER_PASS else ""
        anybody = await self._rows.owners(self._any_after, ANY_PER_PASS)
        self._any_after = anybody[-1] if len(anybody) == ANY_PER_PASS else ""
        return list(dict.fromkeys([*(owner for _, owner in asked), *enough, *anybody]))

    # ---- 2., 3. sweeps

    async def _sweep(self, outbox: Outbox, head: Header) -> None:
        await outbox.tend(head)
        if await outbox.rows.open():
            return  # what is under way may be what still lies there
        chosen: list[Arrival] = []
        for arrival in await self._rows.due(self._minima, self._now_ms(), TRIES_PER_PASS):
            if len(chosen) == SWEEPS_PER_BATCH:
                break
            if await self._would_work(arrival, outbox.address):
                chosen.append(arrival)
        self._condition = None
        if not chosen:
            return
        sweeps = [(arrival.owner, arrival.token) for arrival in chosen]
        gas = BATCH_GAS + ITEM_GAS * len(chosen)
        call = Call(Purpose.SWEEP, self.forwarders.registry, sweep_batch_call(sweeps), gas)
        for arrival in chosen:
            await self._postpone(arrival)  # should the chain skip it, it is not sent again and again
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
            await self._postpone(arrival)
            log.warning("sweep_would_fail", owner=arrival.owner, token=arrival.token, reason=error.message)
            return False
        return True

    async def _postpone(self, arrival: Arrival) -> None:
        wait_ms = min(RETRY_CAP_MS, 2 * arrival.waited_ms or RETRY_MS)
        await self._rows.put_off(arrival, self._now_ms() + wait_ms, wait_ms)

    def _now_ms(self) -> int:
        return int(1_000 * self._now())
