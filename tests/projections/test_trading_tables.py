"""Orders, accounts, markets and transfers against an obvious fold of the journal."""

from dataclasses import fields, replace
from typing import Any, get_args

import asyncpg
import pytest
from tests.projections.conftest import JournaledExchange
from tests.projections.test_read_tables import caught_up, check_against_core
from tests.projections.traffic import FIRST_ACCOUNT, owner, place

from exchange.core.commands import (
    AmendOrder,
    CancelAllAfter,
    CancelOrder,
    ListAsset,
    OpenAccount,
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetFeeTier,
    SetMarketState,
    SetPriceBands,
    SetRateClass,
    SetWithdrawalTerms,
    Tick,
    TransferFunds,
)
from exchange.core.events import (
    AccountKnown,
    AccountOpened,
    AgentApproved,
    AgentKnown,
    AgentRevoked,
    Event,
    FundsTransferred,
    NonceUsed,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderTriggered,
    RateClassSet,
    SelfTradePrevented,
    Trade,
    TransferKnown,
)
from exchange.core.words import (
    AccountState,
    MarketState,
    RateClass,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerKind,
)
from exchange.projections import accounts, ledger_entries, orders, reference, transfers
from exchange.projections.orders import OrderRow
from exchange.projections.page import read_page

DAY_NS = 86_400 * 10**9
MAKER, TAKER = FIRST_ACCOUNT + 2, FIRST_ACCOUNT + 3
SECOND_OF_FIRST_OWNER = FIRST_ACCOUNT + 4


def folded_orders(journaled: JournaledExchange) -> dict[int, OrderRow]:
    """Every order by id, one event after the other."""
    rows: dict[int, OrderRow] = {}
    for seq, (time_ns, events) in enumerate(journaled.events, start=1):
        for event in events:
            for order_id, changes in changes_of(event, rows).items():
                begun = {"created_ns": time_ns} if isinstance(event, OrderAccepted) else {}
                before = rows.get(order_id)
                changes |= {"updated_seq": seq, "updated_ns": time_ns, **begun}
                rows[order_id] = OrderRow(**changes) if before is None else replace(before, **changes)
    return rows


def changes_of(event: Event, rows: dict[int, OrderRow]) -> dict[int, dict[str, Any]]:
    match event:
        case OrderAccepted():
            told = {name: getattr(event, name, None) for name in (field.name for field in fields(OrderRow))}
            told |= {"remaining_lots": event.size_lots, "filled_quote_atoms": 0, "fee_atoms": 0}
            return {event.order_id: told | {"status": "open", "awaiting_trigger": event.trigger is not None}}
        case OrderTriggered():
            return {event.order_id: {"awaiting_trigger": False}}
        case OrderAmended():
            names = ("price_ticks", "size_lots", "remaining_lots")
            return {event.order_id: {name: getattr(event, name) for name in names}}
        case OrderEnded():
            return {event.order_id: {"status": event.reason, "remaining_lots": event.remaining_lots}}
        case SelfTradePrevented():
            maker, taker = rows[event.maker_order_id], rows[event.taker_order_id]
            return {
                row.order_id: {"size_lots": row.size_lots - event.size_lots, "remaining_lots": remaining}
                for row, remaining in (
                    (maker, event.maker_remaining_lots),
                    (taker, event.taker_remaining_lots),
                )
            }
        case Trade():
            maker, taker = rows[event.maker_order_id], rows[event.taker_order_id]
            return {
                row.order_id: {
                    "remaining_lots": remaining,
                    "filled_quote_atoms": row.filled_quote_atoms + event.quote_atoms,
                    "fee_atoms": row.fee_atoms + fee_atoms,
                }
                for row, remaining, fee_atoms in (
                    (maker, event.maker_remaining_lots, event.maker_fee_atoms),
                    (taker, event.taker_remaining_lots, event.taker_fee_atoms),
                )
            }
        case _:
            return {}


async def stored_orders(pool: asyncpg.Pool) -> dict[int, OrderRow]:
    names = [field.name for field in fields(OrderRow)]
    return {
        row["order_id"]: OrderRow(*row) for row in await pool.fetch(f"SELECT {', '.join(names)} FROM orders")
    }


async def check_trading(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    state = journaled.state
    stored = await stored_orders(pool)
    assert stored == folded_orders(journaled)
    for order in state.orders.values():
        row = stored[order.order_id]
        for name in (
            *("price_ticks", "size_lots", "remaining_lots", "good_till_ns", "trigger", "trigger_ticks"),
            *("quote_atoms", "awaiting_trigger", "client_order_id", "created_ns", "market_id", "side"),
        ):
            assert getattr(row, name) == getattr(order, name), name
    assert await reference.read_markets(pool) == state.markets
    assert await reference.read_assets(pool) == state.assets
    told = await accounts.read_fee_tiers(pool)
    assert {of: tier for of, tier in told.items() if tier} == state.fee_tiers
    assert await accounts.read_rate_classes(pool, 1_000) == state.rate_classes
    rows = await pool.fetch("SELECT * FROM accounts")
    assert len(rows) == len(state.account_by_owner)
    for row in rows:
        account = state.accounts[row["account_id"]]
        assert (row["owner"], row["sub_account"]) == (account.owner, account.sub_account)
        assert row["max_open_orders"] == account.max_open_orders
        assert row["max_orders_per_market"] == account.max_orders_per_market
        assert row["cancel_all_ns"] == account.cancel_all_ns
        assert row["state"] == account.state
    made = [
        event for _, events in journaled.events for event in events if isinstance(event, FundsTransferred)
    ]
    assert await pool.fetchval("SELECT count(*) FROM transfers") == 2 * len(made)


@pytest.mark.parametrize("seed", range(4))
async def test_the_tables_equal_a_fold_of_the_journal_after_traffic_of_every_kind(
    pool: asyncpg.Pool, journaled: JournaledExchange, seed: int
) -> None:
    await journaled.random_batches(seed, batches=60)
    journaled.time_ns += DAY_NS
    await journaled.random_batches(100 + seed, batches=20)
    await caught_up(pool, journaled)
    await check_against_core(pool, journaled)
    await check_trading(pool, journaled)
    seen = {type(event) for _, events in journaled.events for event in events}
    of_agents = {AgentApproved, AgentKnown, AgentRevoked, NonceUsed, RateClassSet}
    assert seen >= set(get_args(Event)) - {AccountKnown, TransferKnown, *of_agents}


async def one_order(pool: asyncpg.Pool, journaled: JournaledExchange, order_id: int) -> OrderRow:
    await caught_up(pool, journaled)
    row = (await orders.order_by_id(pool, order_id)).item
    assert row is not None
    return row


async def test_an_amended_order_has_its_new_price_and_size_before_and_after_fills(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.batch(place(MAKER, Side.SELL, 200_000, 10))
    order_id = journaled.state.seq
    await journaled.batch(place(TAKER, Side.BUY, 200_000, 4))
    await caught_up(pool, journaled)
    await journaled.batch(AmendOrder(MAKER, order_id, 200_500, 7, 0))
    row = await one_order(pool, journaled, order_id)
    assert (row.price_ticks, row.size_lots, row.remaining_lots, row.status) == (200_500, 7, 3, "open")
    entry = (await read_page(pool, ledger_entries.entries_of(MAKER), limit=1)).items[0]
    assert (entry.kind, entry.reference, entry.held_delta_atoms) == (
        "order_amend",
        str(order_id),
        -3 * 10**14,
    )


async def test_an_order_amended_in_the_transaction_in_which_it_began_is_stored_as_amended(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    order_id = journaled.state.seq + 1
    await journaled.batch(place(MAKER, Side.SELL, 200_000, 10), AmendOrder(MAKER, order_id, 200_500, 7, 0))
    row = await one_order(pool, journaled, order_id)
    assert (row.price_ticks, row.size_lots, row.remaining_lots) == (200_500, 7, 7)


async def test_orders_that_self_trade_prevention_decrements_to_nothing_fit_the_table(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    mode = SelfTradePrevention.DECREMENT
    await journaled.batch(place(FIRST_ACCOUNT, Side.SELL, 200_000, 10))
    maker_id = journaled.state.seq
    await caught_up(pool, journaled)
    await journaled.batch(
        place(SECOND_OF_FIRST_OWNER, Side.BUY, 200_000, 4, self_trade_prevention=mode),
        place(SECOND_OF_FIRST_OWNER, Side.BUY, 200_000, 6, self_trade_prevention=mode),
    )
    taker = await one_order(pool, journaled, maker_id + 1)
    maker = await one_order(pool, journaled, maker_id)
    assert (maker.size_lots, maker.remaining_lots, maker.status) == (0, 0, "self_trade")
    assert (taker.size_lots, taker.remaining_lots, taker.status) == (0, 0, "self_trade")
    entries = (await read_page(pool, ledger_entries.entries_of(FIRST_ACCOUNT), limit=2)).items
    assert [(entry.kind, entry.reference) for entry in entries] == [
        ("self_trade_prevented", f"{maker_id}:{maker_id + 2}"),
        ("self_trade_prevented", f"{maker_id}:{maker_id + 1}"),
    ]


async def test_only_an_order_that_was_decremented_may_have_no_size(pool: asyncpg.Pool) -> None:
    insert = (
        "INSERT INTO orders VALUES (1, 1000, 1, 'buy', 'limit', 'gtc', 'decrement',"
        " 1, 0, 0, 0, 0, $1, NULL, 1, 1, 1, 0, NULL, 0, 0, FALSE)"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(insert, "cancelled")
    await pool.execute(insert, "self_trade")


async def test_an_order_awaits_its_trigger_until_the_price_gets_there(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.batch(
        place(MAKER, Side.BUY, 190_000, 5, trigger=TriggerKind.TAKE_PROFIT, trigger_ticks=199_000),
        place(MAKER, Side.BUY, 190_000, 5, trigger=TriggerKind.TAKE_PROFIT, trigger_ticks=100_000),
    )
    met_id, unmet_id = journaled.state.seq - 1, journaled.state.seq
    row = await one_order(pool, journaled, met_id)
    assert (row.trigger, row.trigger_ticks, row.awaiting_trigger) == ("take_profit", 199_000, True)
    await journaled.batch(
        place(TAKER, Side.SELL, 199_000, 5),
        place(FIRST_ACCOUNT, Side.BUY, 199_000, 5),
        Tick(),
        CancelOrder(MAKER, unmet_id),
    )
    row = await one_order(pool, journaled, met_id)
    assert (row.status, row.awaiting_trigger) == ("open", False)
    row = await one_order(pool, journaled, unmet_id)
    assert (row.status, row.awaiting_trigger) == ("cancelled", True)


async def test_an_order_that_is_good_till_a_time_ends_as_expired(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    good_till_ns = journaled.time_ns + 1
    await journaled.batch(
        place(MAKER, Side.BUY, 1, 1, time_in_force=TimeInForce.GTT, good_till_ns=good_till_ns)
    )
    order_id = journaled.state.seq
    journaled.time_ns = good_till_ns
    await journaled.batch(Tick())
    row = await one_order(pool, journaled, order_id)
    assert (row.status, row.good_till_ns, row.updated_ns) == ("expired", good_till_ns, good_till_ns)


async def test_an_order_may_fill_for_more_than_all_money_over_its_life(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    """Each fill fits in 128 bits; what a resting order has been paid in all is a sum without a bound."""
    await journaled.batch(place(MAKER, Side.SELL, 200_000, 10))
    order_id = journaled.state.seq
    await caught_up(pool, journaled)
    await pool.execute("UPDATE orders SET filled_quote_atoms = 10::NUMERIC ^ 39 - 1, fee_atoms = 0")
    await journaled.batch(place(TAKER, Side.BUY, 200_000, 4))
    assert (await one_order(pool, journaled, order_id)).filled_quote_atoms > 10**39 - 1


async def test_a_makers_rebate_is_a_negative_fee(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    await journaled.batch(SetFees(1, ((-2, 5),)), place(MAKER, Side.SELL, 200_000, 100))
    order_id = journaled.state.seq
    await journaled.batch(place(TAKER, Side.BUY, 200_000, 100))
    row = await one_order(pool, journaled, order_id)
    assert row.fee_atoms == -(row.filled_quote_atoms * 2 // 10_000) < 0


async def test_markets_are_told_with_their_present_state_bands_and_fees(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await caught_up(pool, journaled)
    await journaled.batch(SetMarketState(1, MarketState.HALTED), SetPriceBands(1, 1_000, 50))
    await journaled.batch(SetFees(1, ((3, 9), (2, 8), (-1, 7))))
    await caught_up(pool, journaled)
    market = (await reference.read_markets(pool))[1]
    assert (market.state, market.price_band_bps, market.market_band_bps) == (MarketState.HALTED, 1_000, 50)
    assert (market.maker_fee_bps, market.taker_fee_bps, market.fee_tiers) == (3, 9, ((2, 8), (-1, 7)))


async def test_an_accounts_limits_and_switch_are_kept_even_when_it_is_new_in_the_same_transaction(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    new = journaled.state.next_account_id
    fires_ns = journaled.time_ns + 10
    await journaled.batch(
        OpenAccount(owner(0), 9), SetAccountLimits(new, 20, 10), CancelAllAfter(new, fires_ns)
    )
    await caught_up(pool, journaled)
    row = (await accounts.accounts_of_owner(pool, owner(0))).items[0]
    assert (row.account_id, row.sub_account) == (new, 9)
    assert (row.max_open_orders, row.max_orders_per_market, row.cancel_all_ns) == (20, 10, fires_ns)
    journaled.time_ns = fires_ns
    await journaled.batch(Tick())
    await caught_up(pool, journaled)
    assert (await accounts.accounts_of_owner(pool, owner(0))).items[0].cancel_all_ns == 0


async def test_what_an_account_may_do_is_the_last_that_was_set(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    new = journaled.state.next_account_id
    await journaled.batch(OpenAccount(owner(0), 9), SetAccountState(new, AccountState.FROZEN))
    await caught_up(pool, journaled)
    assert (await accounts.accounts_of_owner(pool, owner(0))).items[0].state == "frozen"
    await journaled.batch(
        SetAccountState(new, AccountState.ACTIVE), SetAccountState(new, AccountState.CANCEL_ONLY)
    )
    await caught_up(pool, journaled)
    states = [row.state for row in (await accounts.accounts_of_owner(pool, owner(0))).items]
    assert states == ["cancel_only", "active", "active"], "the newest account first"


async def test_an_assets_withdrawal_terms_are_the_last_that_were_set(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    """Also when the asset is listed in the same transaction."""
    before = journaled.state.assets.copy()
    new = len(before) + 1
    await journaled.batch(
        ListAsset("PLUM", 0, 1, "0xv", "0xt", withdrawal_fee_atoms=5),
        SetWithdrawalTerms(new, 2**128 - 1, 2**100),
        SetWithdrawalTerms(1, 7, 8),
        SetWithdrawalTerms(1, 9, 10),
    )
    await caught_up(pool, journaled)
    read = await reference.read_assets(pool)
    assert (read[new].withdrawal_fee_atoms, read[new].min_withdrawal_atoms) == (2**128 - 1, 2**100)
    assert (read[1].withdrawal_fee_atoms, read[1].min_withdrawal_atoms) == (9, 10)
    assert read[2] == before[2]
    await journaled.batch(SetWithdrawalTerms(1, 0, 1))
    await caught_up(pool, journaled)
    assert await reference.read_assets(pool) == journaled.state.assets


async def test_an_owners_fee_tier_is_the_last_that_was_set(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    await journaled.batch(SetFeeTier(owner(0), 3), SetFeeTier(owner(1), 2), SetFeeTier(owner(0), 1))
    await caught_up(pool, journaled)
    await journaled.batch(SetFeeTier(owner(1), 0))
    await caught_up(pool, journaled)
    assert await accounts.read_fee_tiers(pool) == {owner(0): 1, owner(1): 0}


async def test_an_owners_rate_class_is_the_last_that_was_set(
    pool: asyncpg.Pool, journaled: JournaledExchange
) -> None:
    standard, maker = RateClass.STANDARD, RateClass.MARKET_MAKER
    await journaled.batch(*(OpenAccount(owner(number)) for number in range(3)))
    await journaled.batch(*(SetRateClass(owner(number), maker) for number in (2, 0, 1)))
    await caught_up(pool, journaled)
    assert await accounts.read_rate_classes(pool, 2) == {owner(0): "market_maker", owner(1): "market_maker"}
    await journaled.batch(*(SetRateClass(owner(0), each) for each in (standard, maker, standard)))
    await journaled.batch(SetRateClass(owner(1), maker))
    await caught_up(pool, journaled)
    classes = await accounts.read_rate_classes(pool, 1_000)
    assert classes == {owner(1): "market_maker", owner(2): "market_maker"} == journaled.state.rate_classes


async def test_both_accounts_of_a_transfer_list_it(pool: asyncpg.Pool, journaled: JournaledExchange) -> None:
    [[opened, _]] = await journaled.batch(TransferFunds(MAKER, 7, 2, 5, "first", 0))
    await caught_up(pool, journaled)
    [out] = (await read_page(pool, transfers.transfers_of(MAKER))).items
    assert isinstance(opened, AccountOpened)
    [into] = (await read_page(pool, transfers.transfers_of(opened.account_id))).items
    assert (out.direction, out.other_account_id, out.amount_atoms) == ("out", opened.account_id, 5)
    assert (into.direction, into.other_account_id, into.client_transfer_id) == ("in", MAKER, "first")
    for account_id, change in ((MAKER, -5), (opened.account_id, 5)):
        entry = (await read_page(pool, ledger_entries.entries_of(account_id), limit=1)).items[0]
        assert (entry.kind, entry.reference, entry.available_delta_atoms) == ("transfer", "first", change)
