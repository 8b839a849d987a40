"""Random weather over several payments: in the end each is settled and paid, or refunded and not paid."""

import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from tests.chain.paying import state_of

from exchange.chain.dev_keys import SENDER_KEY, dev_address
from exchange.chain.errors import RpcError, RpcUnavailable, SenderTaken
from exchange.chain.outbox import SendPolicy

STEPS = 45
MAX_PAYMENTS = 8
POLICY = SendPolicy(rebroadcast_s=0.0, bump_after_s=60, max_attempts=50, max_in_flight=4)


def destination(index: int) -> str:
    """An address that nobody else pays to."""
    return f"0x{(0xC0 << 152) + index + 1:040x}"


class Storm:
    """What happens to one worker, its node, its chain and its clock, by one seed."""

    def __init__(self, seed: int, work: Any, request: Any, mine: Any, rpc: Any, clock: Any) -> None:
        self.random = Random(seed)
        self.trace: list[str] = []
        self.requests: list[Any] = []
        self.silence = 0.0
        self._work = work
        self._request = request
        self._mine = mine
        self._rpc = rpc
        self._clock = clock
        self._mined = 0
        self._replaced: list[Any] = []
        self.worker = self._new_worker()

    def _new_worker(self) -> Any:
        return self._work(POLICY, max_batch=self.random.choice([1, 2, 16]))

    def silent(self, method: str) -> None:
        """The node gives no answer, now and then: before or after it did what was asked."""
        if self.random.random() < self.silence:
            raise RpcUnavailable(method, "a storm")

    async def poll(self) -> None:
        with contextlib.suppress(RpcUnavailable):
            await self.worker.poll()

    async def step(self) -> None:
        steps: dict[Callable[[], Awaitable[None]], int] = {
            self.poll: 30,
            self.mine: 18,
            self.ask: 8,
            self.reorganize: 9,
            self.drop: 6,
            self.restart: 6,
            self.use_the_key: 3,
            self.stale_worker: 3,
            self.pass_time: 6,
            self.pass_deadlines: 2,
            self.raise_base_fee: 3,
            self.change_silence: 4,
        }
        [chosen] = self.random.choices(list(steps), list(steps.values()))
        self.trace.append(chosen.__name__)
        await chosen()

    async def mine(self) -> None:
        await self._mine(self.random.choice([1, 1, 2]))
        self._mined += 1

    async def ask(self) -> None:
        if len(self.requests) < MAX_PAYMENTS:
            index, seconds = len(self.requests), self.random.choice([150, 400, 80_000])
            asked = await self._request(1_000 + index, destination=destination(index), seconds=seconds)
            self.requests.append(asked)

    async def reorganize(self) -> None:
        if self._mined >= 2:
            await self._rpc.call("anvil_reorg", self.random.choice([1, 2]), [])

    async def drop(self) -> None:
        await self._rpc.call("anvil_dropAllTransactions")

    async def restart(self) -> None:
        self._replaced.append(self.worker)
        self.worker = self._new_worker()

    async def stale_worker(self) -> None:
        """A process that was replaced goes on for a moment."""
        if self._replaced:
            with contextlib.suppress(RpcUnavailable, SenderTaken):
                await self.random.choice(self._replaced).poll()

    async def use_the_key(self) -> None:
        """A stranger sends with our key, and pays more than we do."""
        sender = dev_address(SENDER_KEY)
        transfer = {
            "from": sender,
            "to": dev_address(1),
            "value": "0x1",
            "nonce": hex(await self._rpc.transaction_count(sender)),
            "maxFeePerGas": hex(200 * 10**9),
            "maxPriorityFeePerGas": hex(100 * 10**9),
        }
        with contextlib.suppress(RpcError):
            await self._rpc.call("eth_sendTransaction", transfer)

    async def pass_time(self) -> None:
        self._clock.ahead_s += 61

    async def pass_deadlines(self) -> None:
        ahead_s = (await self._rpc.head()).time_s + self.random.choice([100, 200])
        await self._rpc.call("evm_setNextBlockTimestamp", hex(ahead_s))
        await self._mine(1)

    async def raise_base_fee(self) -> None:
        gwei = self.random.choice([5, 20, 60])
        await self._rpc.call("anvil_setNextBlockBaseFeePerGas", hex(gwei * 10**9))
        await self._mine(1)

    async def change_silence(self) -> None:
        self.silence = self.random.choice([0.0, 0.05, 0.2])


@pytest.mark.parametrize("seed", [3, 21, 54, 77, 108])
async def test_after_a_storm_every_payment_is_paid_and_settled_or_unpaid_and_refunded(
    seed, work, request_withdrawal, mine, pool, rpc, faulty_rpc, clock
):
    await rpc.call("evm_setAutomine", False)
    storm = Storm(seed, work, request_withdrawal, mine, rpc, clock)

    def after(method: str, params: tuple[Any, ...], answer: Any) -> Any:
        storm.silent(method)
        return answer

    faulty_rpc.before = lambda method, params: storm.silent(method)
    faulty_rpc.after = after
    for _ in range(STEPS):
        await storm.step()
    faulty_rpc.heal()
    await storm.restart()
    states: list[str] = []
    for number in range(260):
        await storm.poll()
        states = [await state_of(pool, requested) for requested in storm.requests]
        if set(states) <= {"settled", "refunded"}:
            break
        clock.ahead_s += 20
        await mine(1)
        if number > 120 and number % 20 == 0:
            await storm.pass_deadlines()
    found = [
        (state, await rpc.balance(destination(index)) == 1_000 + index) for index, state in enumerate(states)
    ]
    assert set(found) <= {("settled", True), ("refunded", False)}, (storm.trace, found, storm.worker.status())
    assert storm.requests
