"""Withdrawal fees that follow the network's: exact conversions, and a worker on a real engine and journal."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sequencer.engine import HandClock, Running, running

from exchange.core.commands import (
    Command,
    CreditDeposit,
    ListAsset,
    OpenAccount,
    OpenMarket,
    PlaceOrder,
    SetWithdrawalTerms,
)
from exchange.core.events import Rejected
from exchange.core.markets import NATIVE_TOKEN
from exchange.core.words import OrderType, Side, TimeInForce
from exchange.journal.log import JournalLog
from exchange.operator.network_fees import (
    NetworkFeeWorker,
    Rate,
    is_worth_changing,
    network_fee_atoms,
    rate_of,
    two_digits_up,
)
from exchange.sequencer.sequencer import Outcome, Overloaded

VAULT = "0x" + "a" * 40
USDC_TOKEN, WBTC_TOKEN, GOLD_TOKEN = ("0x" + digit * 40 for digit in "bcd")
ALICE, BOB = "0x" + "01" * 20, "0x" + "02" * 20
ALICES, BOBS = 1_000, 1_001
ETH_ID, USDC_ID, WBTC_ID, GOLD_ID = 1, 2, 3, 4
PAYMENT_WEI = 130_000 * 21 * 10**9
MOST = {"ETH": 10**17, "USDC": 200 * 10**6, "WBTC": 10**6, "GOLD": 1_000}

LISTING: list[Command] = [
    ListAsset("ETH", 18, 1, VAULT, NATIVE_TOKEN, 10**17, 5),
    ListAsset("USDC", 6, 1, VAULT, USDC_TOKEN, 200 * 10**6, 1_000_000),
    ListAsset("WBTC", 8, 1, VAULT, WBTC_TOKEN, 10**6),
    ListAsset("GOLD", 2, 1, VAULT, GOLD_TOKEN, 1_000),
    OpenMarket("ETH-USDC", "ETH", "USDC", 1, 2, 10**14, 0, 10),
    OpenMarket("WBTC-ETH", "WBTC", "ETH", 1, 4, 10**3, 0, 10),
    OpenMarket("GOLD-USDC", "GOLD", "USDC", 1, 2, 1, 0, 10),
    OpenAccount(ALICE),
    OpenAccount(BOB),
    *(
        CreditDeposit(1, VAULT, number, owner, token, 10**30, "0x", 0, 1)
        for number, (owner, token) in enumerate(
            (
                (owner, token)
                for owner in (ALICE, BOB)
                for token in (NATIVE_TOKEN, USDC_TOKEN, WBTC_TOKEN, GOLD_TOKEN)
            ),
            start=1,
        )
    ),
]
ETH_USDC, WBTC_ETH, GOLD_USDC = 1, 2, 3


@dataclass
class Stage:
    """Four assets, three markets, two people with plenty, and a worker to be told to review."""

    engine: Running
    clock: HandClock
    payment_wei: int | None = PAYMENT_WEI
    now_s: float = 0.0
    submitted: list[Command] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    def worker(self, most: dict[str, int] | None = None) -> NetworkFeeWorker:
        return NetworkFeeWorker(
            self.engine.sequencer.committed,
            self.submit,
            lambda: self.payment_wei,
            MOST if most is None else most,
            interval_s=0.01,
            now_s=lambda: self.now_s,
        )

    async def submit(self, command: Command) -> Outcome:
        if self.faults:
            raise self.faults.pop()
        self.submitted.append(command)
        return await self.engine.sequencer.submit(command)

    async def trade(self, market_id: int, price_ticks: int) -> None:
        """One lot changes hands at a price."""
        for account_id, side in ((ALICES, Side.SELL), (BOBS, Side.BUY)):
            order = PlaceOrder(
                account_id,
                market_id,
                side,
                OrderType.LIMIT,
                TimeInForce.GTC,
                price_ticks,
                1,
                None,
                self.clock.wall_ns + 10**9,
            )
            outcome = await self.engine.sequencer.submit(order)
            assert not isinstance(outcome.events[0], Rejected)
        assert self.engine.sequencer.committed.last_ticks(market_id) == price_ticks

    def fee(self, symbol: str) -> int:
        return self.engine.sequencer.committed.asset_by_symbol[symbol].withdrawal_fee_atoms


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    clock = HandClock()
    async with await JournalLog.claim(database_url) as log, running(log, clock=clock) as engine:
        for command in LISTING:
            outcome = await engine.sequencer.submit(command)
            assert not isinstance(outcome.events[0], Rejected), command
        yield Stage(engine, clock)


# ---- the numbers


@given(
    payment_wei=st.integers(0, 10**24),
    rate=st.builds(Rate, atoms=st.integers(1, 10**30), wei=st.integers(1, 10**30)),
    most_atoms=st.integers(1, 10**38),
)
def test_a_fee_is_the_marked_up_cost_rounded_up_to_two_digits_and_bounded(
    payment_wei: int, rate: Rate, most_atoms: int
) -> None:
    fee_atoms = network_fee_atoms(payment_wei, rate, most_atoms)
    exact = Fraction(payment_wei) * Fraction(3, 2) * Fraction(rate.atoms, rate.wei)
    assert fee_atoms <= most_atoms
    if fee_atoms < most_atoms:
        assert fee_atoms >= exact
        step = 10 ** max(0, len(str(math.ceil(exact))) - 2)
        assert fee_atoms % step == 0
        assert fee_atoms - exact < step
    else:
        assert two_digits_up(math.ceil(exact)) >= most_atoms


@given(st.integers(0, 10**50))
def test_two_digits_up_is_the_least_such_number_not_below(number: int) -> None:
    rounded = two_digits_up(number)
    assert rounded >= number
    assert len(str(rounded).rstrip("0")) <= 2
    assert two_digits_up(rounded) == rounded
    assert (rounded - number) * 10 <= number  # never more than a tenth above


@pytest.mark.parametrize(
    ("number", "rounded"),
    [(0, 0), (9, 9), (99, 99), (100, 100), (101, 110), (999, 1_000), (1_234_567, 1_300_000)],
)
def test_two_digits_up_of_some_numbers(number: int, rounded: int) -> None:
    assert two_digits_up(number) == rounded


@given(st.integers(0, 10**40), st.integers(0, 10**40))
def test_a_change_is_worth_it_beyond_a_fifth(fee_atoms: int, wanted_atoms: int) -> None:
    beyond = abs(wanted_atoms - fee_atoms) > Fraction(fee_atoms, 5)
    assert is_worth_changing(fee_atoms, wanted_atoms) == beyond


# ---- rates


async def test_rates_are_the_last_prices_both_ways_round(stage: Stage) -> None:
    view = stage.engine.sequencer.committed
    usdc, wbtc = view.asset_by_symbol["USDC"], view.asset_by_symbol["WBTC"]
    assert rate_of(view, view.asset_by_symbol["ETH"]) == Rate(1, 1)
    assert rate_of(view, usdc) is None
    await stage.trade(ETH_USDC, 300_000)  # 3,000 USDC an ETH
    rate = rate_of(view, usdc)
    assert rate is not None
    assert Fraction(rate.atoms, rate.wei) == Fraction(3_000 * 10**6, 10**18)
    await stage.trade(WBTC_ETH, 200_000)  # 20 ETH a WBTC
    rate = rate_of(view, wbtc)
    assert rate is not None
    assert Fraction(rate.atoms, rate.wei) == Fraction(10**8, 20 * 10**18)


async def test_a_market_with_another_token_prices_nothing(stage: Stage) -> None:
    await stage.trade(GOLD_USDC, 100)
    view = stage.engine.sequencer.committed
    assert rate_of(view, view.asset_by_symbol["GOLD"]) is None


# ---- the worker


async def test_fees_follow_the_network_in_each_assets_own_atoms(stage: Stage) -> None:
    await stage.trade(ETH_USDC, 300_000)
    await stage.trade(WBTC_ETH, 200_000)
    assert await stage.worker().review() == 3
    # 130,000 gas at 21 gwei are 0.00273 ETH; and half as much again 0.004095
    assert stage.fee("ETH") == 4_100_000_000_000_000
    assert stage.fee("USDC") == 13_000_000  # 12.285
    assert stage.fee("WBTC") == 21_000  # 0.00020475
    assert stage.fee("GOLD") == 1_000


async def test_the_minimum_stays_as_it_is(stage: Stage) -> None:
    await stage.worker().review()
    assert stage.submitted == [SetWithdrawalTerms(ETH_ID, 4_100_000_000_000_000, 5)]
    assert stage.engine.sequencer.committed.asset_by_symbol["ETH"].min_withdrawal_atoms == 5


async def test_a_token_without_a_price_keeps_its_fee_until_it_has_one(stage: Stage) -> None:
    worker = stage.worker({"USDC": MOST["USDC"]})
    assert await worker.review() == 0
    await stage.trade(ETH_USDC, 300_000)
    assert await worker.review() == 1
    assert stage.fee("USDC") == 13_000_000


async def test_only_the_named_assets_are_touched(stage: Stage) -> None:
    await stage.trade(ETH_USDC, 300_000)
    assert await stage.worker({"USDC": MOST["USDC"], "NONE": 1}).review() == 1
    assert stage.fee("ETH") == 10**17


async def test_a_fee_never_rises_above_its_maximum(stage: Stage) -> None:
    await stage.trade(ETH_USDC, 2**40)  # somebody pays for an absurd price
    stage.payment_wei = 10**20
    await stage.engine.sequencer.submit(SetWithdrawalTerms(USDC_ID, 1, 1))
    await stage.engine.sequencer.submit(SetWithdrawalTerms(ETH_ID, 1, 1))
    assert await stage.worker().review() == 2
    assert (stage.fee("ETH"), stage.fee("USDC")) == (MOST["ETH"], MOST["USDC"])


async def test_an_unknown_price_of_gas_changes_nothing(stage: Stage) -> None:
    stage.payment_wei = None
    assert await stage.worker().review() == 0
    assert stage.submitted == []


async def test_a_change_of_a_fifth_or_less_is_left_alone(stage: Stage) -> None:
    worker = stage.worker({"ETH": MOST["ETH"]})
    stage.payment_wei = 1_000_000
    await worker.review()
    assert stage.fee("ETH") == 1_500_000
    stage.now_s += 60
    for same in (1_200_000, 800_000):
        stage.payment_wei = same
        assert await worker.review() == 0
    stage.payment_wei = 1_266_667
    assert await worker.review() == 1
    assert stage.fee("ETH") == 2_000_000


async def test_an_asset_changes_at_most_once_a_minute_and_the_others_do_not_wait_for_it(stage: Stage) -> None:
    worker = stage.worker()
    assert await worker.review() == 1
    stage.payment_wei = 2 * PAYMENT_WEI
    await stage.trade(ETH_USDC, 300_000)
    stage.now_s = 59.9
    assert await worker.review() == 1
    assert stage.fee("USDC") == 25_000_000
    assert stage.fee("ETH") == 4_100_000_000_000_000
    stage.now_s = 60.0
    assert await worker.review() == 1
    assert stage.fee("ETH") == 8_200_000_000_000_000


async def test_a_refused_change_is_not_tried_again_at_once(stage: Stage) -> None:
    stage.payment_wei = 10**45
    worker = stage.worker({"ETH": 2**128})  # more than an amount can be
    assert await worker.review() == 0
    assert len(stage.submitted) == 1
    assert await worker.review() == 0
    assert len(stage.submitted) == 1
    assert stage.fee("ETH") == 10**17


async def test_it_goes_on_after_the_engine_was_overloaded(stage: Stage) -> None:
    stage.faults.append(Overloaded(1))
    view = stage.engine.sequencer.committed
    task = asyncio.create_task(stage.worker().run())
    try:
        assert await view.reached(view.seq + 1, 20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not stage.faults
    assert stage.fee("ETH") == 4_100_000_000_000_000
