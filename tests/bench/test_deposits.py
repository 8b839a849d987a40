"""The deposit benchmark on a small history: it makes what it says, and measures what it made."""

import argparse
import re

import pytest
from scripts.bench import deposits
from scripts.bench.deposits import Depositors, running_chain

from exchange.chain.deployment import deploy
from exchange.chain.rpc import Rpc
from exchange.devnet import ARTIFACTS


async def test_it_prints_both_rates_of_the_history_that_it_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deposits, "BLOCKS_PER_ROUND", 8)
    line = await deposits.run(argparse.Namespace(deposits=40, blocks=20))
    assert re.fullmatch(
        r"deposits: count=40 blocks=20 credited_per_s=\d+ raw_logs_per_s=\d+ ratio=\d+\.\d\d", line
    )
    assert "caught up" in capsys.readouterr().out


@pytest.mark.parametrize("per_block", [1, 2])
async def test_every_block_holds_as_many_deposits_as_asked_for(per_block: int) -> None:
    async with running_chain() as chain, Rpc(chain.url) as rpc, deposits.client_session() as session:
        deployment = await deploy(rpc, ARTIFACTS)
        before = (await rpc.head()).number
        depositors = Depositors(rpc, session, deployment.vault)
        await depositors.make(30 * per_block, 30)
        logs = await rpc.logs(deployment.vault, [deposits.DEPOSITED], before, (await rpc.head()).number)
        blocks = [log.block_number for log in logs]
        assert len(logs) == 30 * per_block
        full = {number for number in blocks if blocks.count(number) == per_block}
        assert len(full) >= 29  # the vault's first deposit takes more gas, and may have a block of its own
        assert max(map(blocks.count, blocks)) == per_block
        assert sum(int.from_bytes(log.data[:32]) for log in logs) == depositors.atoms
