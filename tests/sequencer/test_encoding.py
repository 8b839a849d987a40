"""What the journal could not keep is refused before it is applied; the rest is encoded once, exactly so."""

import pytest
from tests.core.random_commands import RandomCommands
from tests.sequencer.engine import GatedLog, account_of, running

from exchange.core.commands import CancelOrder, Command, OpenAccount, PlaceOrder
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.journal.rows import encode_command, encode_payload, join_commands
from exchange.sequencer.sequencer import CommandNotEncodable

SURROGATE = OpenAccount("0x\ud800")
ENDLESS = PlaceOrder(
    1_000, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 10**5_000, 1, None, 1_700_000_001_000_000_000
)


def test_commands_encoded_one_by_one_give_the_payload_of_the_whole_list() -> None:
    day = RandomCommands(3)
    day.open()
    day.steps(1_000)
    commands = [command for _, command, _ in day.log]
    for count in (0, 1, 2, len(commands)):
        part = commands[:count]
        assert join_commands([encode_command(command) for command in part]) == encode_payload(part)


@pytest.mark.parametrize("command", [SURROGATE, ENDLESS, OpenAccount(object())])  # type: ignore[arg-type]
async def test_what_can_not_be_journaled_is_refused_and_the_engine_goes_on(command: Command) -> None:
    log = GatedLog()
    log.let_through.set()
    async with running(log) as engine:
        with pytest.raises(CommandNotEncodable) as caught:
            await engine.sequencer.submit(command)
        assert caught.value.reason
        assert (await engine.sequencer.submit(account_of("alice"))).seq == 1, "it was never applied"
    assert log.rows[0].commands == [account_of("alice")]


async def test_one_command_that_can_not_be_journaled_refuses_its_whole_batch() -> None:
    log = GatedLog()
    log.let_through.set()
    async with running(log, inbox_capacity=2) as engine:
        for _ in range(3):
            with pytest.raises(CommandNotEncodable):
                await engine.sequencer.submit_batch([account_of("alice"), SURROGATE])
        outcomes = await engine.sequencer.submit_batch([account_of("bob"), CancelOrder(1, 1)])
        assert [outcome.seq for outcome in outcomes] == [1, 2], "and it took no room"
