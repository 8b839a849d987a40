"""Small drills against a real chain, a real database and real worker processes; also sabotaged ones."""

from pathlib import Path
from random import Random

import pytest
from scripts.chain_drill.branches import Plan, all_of, first_plan, other_plan
from scripts.chain_drill.databases import Databases
from scripts.chain_drill.deposit_world import open_world
from scripts.chain_drill.faults import Fault, Injected
from scripts.chain_drill.kills import KillsDrill
from scripts.chain_drill.points import Step, after, points_of
from scripts.chain_drill.readings import deposit_logs
from scripts.chain_drill.reorgs import ReorgsDrill
from scripts.chain_drill.scenarios import SCENARIOS, all_is_well

from exchange.chain.dev_keys import USER_KEYS
from exchange.chain.finality import Finality

OWNERS = ["0x" + "0a" * 20, "0x" + "0b" * 20]
CALM = tuple(scenario for scenario in SCENARIOS if scenario.play is all_is_well)


def silent(text: str) -> None:
    pass


@pytest.fixture
def databases(postgres_server) -> Databases:
    return Databases(postgres_server)


async def test_reorganizations_are_played_and_good(tmp_path: Path, databases: Databases) -> None:
    drill = ReorgsDrill(tmp_path, databases, seed=1, wanted=3, say=silent)
    await drill.run()
    assert drill.verdict.is_good, drill.verdict.wrong
    assert drill.cases == 3
    assert drill.deposits > 0


async def test_a_credit_out_of_nothing_is_found(tmp_path: Path, databases: Databases) -> None:
    drill = ReorgsDrill(tmp_path, databases, seed=1, wanted=3, say=silent, sabotaged=True)
    await drill.run()
    assert drill.cases == 1
    assert drill.verdict.double_credits == 1
    assert drill.verdict.missed_credits == 0


async def test_a_worker_is_killed_and_pays_all_the_same(tmp_path: Path, databases: Databases) -> None:
    points = (*points_of(Step.RECORD), after(Step.SEND), after(Step.SETTLE))
    drill = KillsDrill(
        tmp_path, databases, seed=1, wanted=1, say=silent, scenarios=CALM, points=points, faults=()
    )
    await drill.run()
    assert drill.verdict.is_good, drill.verdict.wrong
    assert drill.kills.total == len(points)
    assert drill.withdrawals > 0


async def test_a_worker_that_refunds_what_it_has_paid_is_found(tmp_path: Path, databases: Databases) -> None:
    # Twenty rounds at most: a slow worker finds its payment final when it looks, and asks for nothing.
    drill = KillsDrill(
        tmp_path,
        databases,
        seed=1,
        wanted=40,
        say=silent,
        scenarios=CALM,
        points=(),
        faults=(),
        sabotaged=True,
    )
    await drill.run()
    assert drill.verdict.double_payments > 0
    assert drill.verdict.lost_payments == 0


async def test_a_doubled_deposit_is_two_on_the_chain(tmp_path: Path, databases: Databases) -> None:
    random, injected = Random(2), Injected()
    async with open_world(tmp_path / "world", databases, Finality(2), random, injected) as world:
        plan = first_plan(random, 3, world.owners, USER_KEYS)
        await world.mine_all(plan)
        wanted = sum(2 if planned.doubled else 1 for _, planned in all_of(plan))
        assert any(planned.doubled for _, planned in all_of(plan))
        assert len(await deposit_logs(world.chain.rpc, world.deployment.vault)) == wanted


def test_another_branch_has_its_own_mix_of_the_same_deposits() -> None:
    random, injected = Random(1), Injected()
    for _ in range(50):
        plan = first_plan(random, 3, OWNERS, USER_KEYS)
        other = other_plan(random, plan, 4, injected.note)
        assert len(other) == 4
        assert kinds(other) <= kinds(plan)
    assert (
        injected.never(
            [Fault.DEPOSIT_KEPT, Fault.DEPOSIT_MOVED, Fault.DEPOSIT_DROPPED, Fault.DEPOSIT_DUPLICATED]
        )
        == []
    )


def test_the_same_seed_draws_the_same_branch() -> None:
    def drawn() -> Plan:
        return first_plan(Random(7), 5, OWNERS, USER_KEYS)

    assert drawn() == drawn()


def kinds(plan: Plan) -> set[tuple[int, str, int]]:
    return {(planned.sender, planned.owner, planned.amount_atoms) for _, planned in all_of(plan)}
