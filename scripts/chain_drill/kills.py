"""Part 2: withdrawals while their worker is killed at every step of their life, in all weathers."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from scripts.chain_drill.compare import Verdict
from scripts.chain_drill.databases import Databases
from scripts.chain_drill.faults import OF_PAYMENTS, Fault, Injected
from scripts.chain_drill.lives import Nursery
from scripts.chain_drill.payment_world import PaymentWorld, open_world
from scripts.chain_drill.points import POINTS, points_of
from scripts.chain_drill.rounds import Kills, Round
from scripts.chain_drill.scenarios import SCENARIOS, Scenario

ROUNDS_PER_WORLD = 40
FRUITLESS_ROUNDS = 40
"""After so many in a row without a kill or a fault that is still missing, what is left does not come up."""


class KillsDrill:
    """All rounds. `wanted`: kills at each point; `say` tells of each world.

    `faults` are those that must have happened. World after world draws from the next seed. `sabotaged`
    workers pay and refund, to test the drill.
    """

    def __init__(
        self,
        folder: Path,
        databases: Databases,
        seed: int,
        wanted: int,
        say: Callable[[str], None],
        *,
        scenarios: Sequence[Scenario] = SCENARIOS,
        points: tuple[str, ...] = POINTS,
        faults: tuple[Fault, ...] = OF_PAYMENTS,
        sabotaged: bool = False,
    ) -> None:
        self.injected = Injected()
        self.kills = Kills(points, wanted)
        self.verdict = Verdict()
        self.rounds = 0
        self.withdrawals = 0
        self.halted_by_replaced = 0
        self._folder = folder
        self._databases = databases
        self._seed = seed
        self._random = Random(seed)
        self._say = say
        self._scenarios = scenarios
        self._faults = faults
        self._sabotaged = sabotaged
        self._fruitless = 0
        self._to_play = list(scenarios) * max(1, wanted // 2)
        self._random.shuffle(self._to_play)

    @property
    def is_over(self) -> bool:
        """When all was played, and each point and fault had its turn or is given up, or something broke."""
        if not self.verdict.is_good:
            return True
        return not self._to_play and (not self._left or self._fruitless >= FRUITLESS_ROUNDS)

    @property
    def _left(self) -> int:
        """Points with too few kills, and faults that did not happen yet."""
        return len(self.kills.missing()) + len(self.injected.never(self._faults))

    async def run(self) -> None:
        """Plays until it is over; what is wrong is in `verdict`. Raises what ends a round early."""
        async with contextlib.AsyncExitStack() as stack:
            nurseries = (
                await stack.enter_async_context(Nursery(self._folder / "workers-1.log", self.injected.note)),
                await stack.enter_async_context(Nursery(self._folder / "workers-2.log", self.injected.note)),
            )
            number = 0
            while not self.is_over:
                self._random = Random(self._seed + number)
                number += 1
                started_s = time.monotonic()
                async with open_world(
                    self._folder / f"payments-{number}",
                    self._databases,
                    self._random,
                    policed=number % 2 == 0,
                ) as world:
                    await self._play(world, nurseries)
                    self.verdict.add(await world.close_books())
                    self.withdrawals += len(world.asked)
                self._say(
                    f"payments {number:>2}: {len(world.asked)} withdrawals, {self.kills.total} kills so far, "
                    f"{len(self.kills.missing())} points to go, {time.monotonic() - started_s:.0f} s"
                )
        if self.kills.missing():
            self.verdict.wrong.append(f"too few kills at: {', '.join(self.kills.missing())}")

    async def _play(self, world: PaymentWorld, nurseries: tuple[Nursery, Nursery]) -> None:
        for _ in range(ROUNDS_PER_WORLD):
            if self.is_over:
                return
            self.rounds += 1
            scenario = self._next()
            before = self.kills.total, self._left
            play = Round(world, nurseries, self.kills, self.injected, self._random, sabotaged=self._sabotaged)
            await play_round(scenario, play)
            self.halted_by_replaced += play.halted_by_replaced
            verdict = await play.verdict()
            if not verdict.is_good:
                verdict.wrong.insert(0, f"round {self.rounds}, {scenario.name}:")
            self.verdict.add(verdict)
            self.injected.note(Fault.PAYMENT_CLAIMABLE, sum(log.claimable for log in await play.paid()))
            self._fruitless = self._fruitless + 1 if (self.kills.total, self._left) == before else 0

    def _next(self) -> Scenario:
        """First a number of each, and then those that lead to what is missing."""
        if self._to_play:
            return self._to_play.pop()
        missing, never = set(self.kills.missing()), self.injected.never(self._faults)
        useful = [
            scenario
            for scenario in self._scenarios
            if scenario.brings in never
            or any(not missing.isdisjoint(points_of(step)) for step in scenario.reaches)
        ]
        return self._random.choice(useful or self._scenarios)


async def play_round(scenario: Scenario, play: Round) -> None:
    """One scenario with a worker that is kept alive. Raises what ended it, with where the payments stand."""
    async with play.keeping():
        await scenario.play(play)
