"""Part 1: deposits while the chain changes its mind, less deep and deeper than what counts as final."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from scripts.chain_drill.branches import Plan, first_plan, other_plan
from scripts.chain_drill.compare import Verdict
from scripts.chain_drill.databases import Databases
from scripts.chain_drill.deposit_world import DepositWorld, open_world
from scripts.chain_drill.faults import Fault, Injected
from scripts.chain_drill.node import Mood
from scripts.chain_drill.readings import Deposited

from exchange.chain.dev_keys import USER_KEYS
from exchange.chain.errors import DepositCondition
from exchange.chain.finality import Finality
from exchange.chain.halts import HaltKind
from exchange.core.words import AccountState

CASES_PER_WORLD = 10
FINALITIES = (Finality(3), Finality(5), Finality(None), Finality(2), Finality(4), Finality(6))
"""One a world, in turn; None is the chain's own `finalized`."""
DEEP_EVERY = 3
"""Of so many cases one is deeper than what counts."""
PASSES = 40
"""Of the watcher, after which it must have got over whatever was."""

MOODS = (
    Mood(),
    Mood(log_hidden=0.3),
    Mood(log_forged=0.4),
    Mood(behind=0.4, behind_blocks=1),
    Mood(request_lost=0.1, answer_lost=0.1),
    Mood(behind=0.4, behind_blocks=3),
    Mood(0.05, 0.05, 0.0, 0.1, 0.1, 0.2, 2),
)
"""The node's, one a case in turn."""


class ReorgsDrill:
    """All cases. `wanted`: how many; `say` tells of each world.

    World after world draws from the next seed. `sabotaged`: somebody credits what nobody deposited, to test
    the drill.
    """

    def __init__(
        self,
        folder: Path,
        databases: Databases,
        seed: int,
        wanted: int,
        say: Callable[[str], None],
        *,
        sabotaged: bool = False,
    ) -> None:
        self.injected = Injected()
        self.verdict = Verdict()
        self.cases = 0
        self.deposits = 0
        self.depths: Counter[int] = Counter()
        self._folder = folder
        self._databases = databases
        self._seed = seed
        self._wanted = wanted
        self._sabotaged = sabotaged
        self._say = say

    async def run(self) -> None:
        """Plays all cases, or until something is wrong."""
        number = 0
        while self.cases < self._wanted and self.verdict.is_good:
            seed = self._seed + number
            finality = FINALITIES[seed % len(FINALITIES)]
            number += 1
            async with open_world(
                self._folder / f"deposits-{number}", self._databases, finality, Random(seed), self.injected
            ) as world:
                await self._play(world, seed)
                self.deposits += len(await world.credited())
            self._say(
                f"deposits {number:>2}: N={finality}, {self.cases} reorganizations and"
                f" {self.deposits} credits so far"
            )

    async def _play(self, world: DepositWorld, seed: int) -> None:
        """A world's cases: what is drawn depends on its seed alone."""
        for number in range(CASES_PER_WORLD):
            if self.cases == self._wanted or not self.verdict.is_good:
                return
            self.cases += 1
            case = Case(world, seed * CASES_PER_WORLD + number)
            told = f"case {self.cases}, the {number + 1}th of SEED={seed}, N={world.finality}"
            try:
                verdict = await case.play(first=number == 0)
                if self._sabotaged:
                    await world.credit_out_of_nothing()
                    verdict.add(await world.judge())
            except BaseException:
                self._say(f"{told}, {case.words()}")
                raise
            self.depths[case.depth] += 1
            if not verdict.is_good:
                verdict.wrong.insert(0, f"{told}, {case.words()}:")
            self.verdict.add(verdict)


class Case:
    """One reorganization, or a few from the same block, on top of all cases before."""

    def __init__(self, world: DepositWorld, number: int) -> None:
        self._number = number
        self._world = world
        self._random = world.random
        self._note = world.injected.note
        self.depth = 0
        self._mood = MOODS[number % len(MOODS)]

    def words(self) -> str:
        return f"{self.depth} blocks deep, node {self._mood}"

    async def play(self, *, first: bool) -> Verdict:
        """Brings it about and says what is wrong. `first`: the chain is restarted, too."""
        random, world = self._random, self._world
        n = world.confirmations
        if first or random.random() < 0.1:
            await world.restart_chain()
        if n > 1 and (first or random.random() < 0.03):
            await world.kill_chain(self._plan(random.randint(1, n - 1)))
        if self._number % DEEP_EVERY == 0:
            self.depth = random.randint(n, n + 3)
            verdict = await self._deep()
        else:
            self.depth = random.randint(1, n - 1)
            await self._shallow()
            verdict = Verdict()
        if random.random() < 0.1:
            await world.restart_chain()
        verdict.add(await self._settled())
        return verdict

    def _plan(self, length: int) -> Plan:
        return first_plan(self._random, length, self._world.owners, USER_KEYS)

    # ---- less deep than what counts

    async def _shallow(self) -> None:
        """Nothing that is credited goes: the branches are shorter than what a deposit needs to count."""
        random, world = self._random, self._world
        longest = world.confirmations - 1
        plan = self._plan(self.depth)
        snapshot = await world.chain.snapshot()
        world.node.mood = self._mood
        await self._mine(plan)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            await world.chain.revert(snapshot)
            snapshot = await world.chain.snapshot()
            self._note(Fault.REORG)
            if random.random() < 0.3:
                await world.look()  # for a moment the chain is shorter than it was
            plan = other_plan(random, plan, min(longest, len(plan) + random.randint(0, 2)), self._note)
            await self._mine(plan)

    async def _mine(self, plan: Plan) -> None:
        """The blocks come, and now and then somebody looks."""
        for block in plan:
            await self._world.mine(block)
            if self._random.random() < 0.6:
                await self._world.look()

    # ---- deeper

    async def _deep(self) -> Verdict:
        """What is credited goes: nothing more may be credited, until the chain has it again."""
        random, world = self._random, self._world
        plan = self._plan(self.depth)
        snapshot = await world.chain.snapshot()
        await world.mine_all(plan)
        if not await self._caught_up():
            return _wrong(f"not credited before the reorganization: {world.trouble}")
        had = await world.credited()
        await world.chain.revert(snapshot)
        snapshot = await world.chain.snapshot()
        self._note(Fault.REORG_PAST_N)
        world.node.mood = self._mood
        length = len(plan) + random.randint(0, 2)
        is_bare = random.random() < 0.4  # nobody deposits on the other branch
        other = ((),) * length if is_bare else plan
        while other[0] == plan[0]:  # its first deposit is credited, and another one now
            other = other_plan(random, plan, length, self._note)
        await self._mine(other)
        world.node.mood = Mood()
        more = world.confirmations + 1
        await self._mine(((),) * more if is_bare else self._plan(more))
        for _ in range(PASSES):
            if await world.look():
                break
        on_chain = {log.deposit.number: log.deposit for log in await world.logs()}
        gone = [deposit for deposit in had if on_chain.get(deposit.number) != deposit]
        verdict = Verdict()
        if gone:  # else the other branch has the very same: it was credited from, and stays
            self._note(Fault.CREDIT_DISPLACED)
            verdict = await self._displaced(had, gone)
            await world.chain.revert(snapshot)
            await world.mine_all(plan)
            if not await self._caught_up():
                verdict.wrong.append(f"not got over it when all was back: {world.trouble}")
        await world.set_free()
        return verdict

    async def _displaced(self, had: list[Deposited], gone: list[Deposited]) -> Verdict:
        """What must be so when the chain lacks some of what was credited."""
        world = self._world
        verdict = Verdict()
        more = len(await world.credited()) - len(had)
        if more:
            verdict.double_credits += more
            verdict.wrong.append(f"{more} credits after credited deposits had gone")
        if not isinstance(world.trouble, DepositCondition):
            verdict.wrong.append(f"no condition of the watcher, but {world.trouble!r}")
        owners = sorted({deposit.owner for deposit in gone if world.is_listed(deposit.token)})
        if not owners:  # what is not listed was credited to nobody
            return verdict
        halts = await world.open_halts()
        if not any(halt.startswith(HaltKind.REORGED_AFTER_CREDIT) for halt in halts):
            verdict.wrong.append(f"credited deposits are gone, halted is {halts}; {world.trouble!r}")
        await world.custody.halts.refresh()
        if not world.custody.halts.halted:
            verdict.wrong.append("withdrawals may be signed")
        for owner in owners:
            for account_id in world.accounts(owner):
                state = world.engine.committed.account_state(account_id)
                if state is not AccountState.FROZEN:
                    verdict.wrong.append(f"account {account_id} of {owner} is {state}")
        return verdict

    # ---- afterwards

    async def _settled(self) -> Verdict:
        """The node is well and blocks come: all that the chain has is credited once, and nothing else."""
        world = self._world
        world.node.mood = Mood()
        await world.chain.mine(world.confirmations + 1)
        caught_up = await self._caught_up()
        verdict = await world.judge()
        if not caught_up:
            verdict.wrong.append(f"not caught up after {PASSES} passes: {world.trouble!r}")
        halts = await world.open_halts()
        if halts:
            verdict.wrong.append(f"halted: {halts}")
        for _ in range(PASSES):
            if await world.books_agree():
                return verdict
        status = world.custody.reconciler.status()
        verdict.wrong.append(f"the books differ: {status.problem} {status.mismatches} {world.trouble!r}")
        return verdict

    async def _caught_up(self) -> bool:
        """Whether the watcher gets to the head and has credited what counts."""
        for _ in range(PASSES):
            if await self._world.look() and len(await self._world.credited()) >= len(
                await self._world.confirmed()
            ):
                return True
        return False


def _wrong(text: str) -> Verdict:
    return Verdict(wrong=[text])
