"""When all is quiet: what everybody ended up with must be the same, and be what the journal says."""

from collections import Counter
from typing import TYPE_CHECKING

from tests.sim.database import Database
from tests.sim.faults import Faults
from tests.sim.loop import Host
from tests.sim.oracle import require
from tests.sim.wire import SimWire

from exchange.core.events import OrderAccepted, Trade
from exchange.core.state import State
from exchange.journal.tail import Tail
from exchange.projections.postgres import PostgresProjection, in_chunks

if TYPE_CHECKING:
    from tests.sim.world import World

NOT_READ_TABLES = {
    "genesis",
    "writer",
    "journal",
    "projection_cursors",
    "clickhouse_blocks",
    "login_challenges",
    "sessions",
    "snapshots",
    "chain_blocks",
    "vault_deposits",
    "deposit_cursors",
    "payment_cursors",
    "payments",
    "payment_tries",
    "sent_transactions",
    "sent_attempts",
    "sender_epochs",
}

DEPENDS_ON_CHUNKS = {"balances": {"updated_seq"}}
"""Columns that tell how the journal was cut into transactions, which is of no importance."""


async def check_everything(world: "World", standby: State) -> None:
    """All that is checked at the end of a run. Raises Wrong."""
    oracle = world.oracle
    oracle.check_durable()
    replayed = oracle.check_replay()
    oracle.check_state(standby, "the standby", thoroughly=True)
    require(standby.seq == replayed.seq == oracle.seq, "all stand at the end of the journal", standby.seq)
    _check_chain(world)
    _check_trades(world)
    await _check_read_tables(world)


def _check_chain(world: "World") -> None:
    """Every deposit on the chain is credited, once and as it is; every withdrawal is paid or refunded."""
    chain, oracle = world.chain, world.oracle
    made = [made for block in chain.blocks for made in block.deposits]
    credited = [(event.owner, event.token, event.amount_atoms, event.tx_hash) for event in oracle.deposits]
    require(
        credited == [(one.owner, one.token, one.amount_atoms, one.tx_hash) for one in made],
        "what is on the chain is credited",
        len(credited),
        len(made),
    )
    paid = chain.head.state.paid
    for withdrawal_id, state in oracle.withdrawals.items():
        if state == "refunded":
            require(withdrawal_id not in paid, "nothing is paid and refunded", withdrawal_id)
        else:
            require(withdrawal_id in paid, "what is settled is paid", withdrawal_id, state)
            require(
                paid[withdrawal_id][1] == (state == "claimable"),
                "it is settled as it was paid",
                withdrawal_id,
            )
    require(paid.keys() <= oracle.withdrawals.keys(), "only what was asked for is paid")
    custody = {asset.token: -oracle.balances[1, asset.asset_id][0] for asset in replayed_assets(world)}
    for token, atoms in chain.head.state.accounted.items():
        require(custody.get(token, 0) == atoms, "ledger and vault agree", token, custody, atoms)
    payments = world.database.tables["payments"]
    stored = {row[payments.positions["withdrawal_id"]]: row for row in payments.rows.values()}
    for withdrawal_id, row in stored.items():
        wanted = "refunded" if oracle.withdrawals[withdrawal_id] == "refunded" else "settled"
        if withdrawal_id in oracle.withdrawals:
            state = row[payments.positions["state"]]
            require(
                state in {wanted, "mined", "broadcast", "signed", "approved", "requested"}, "payments", state
            )


def replayed_assets(world: "World") -> list:  # type: ignore[type-arg]
    assets = world.database.tables["assets"]
    return [_Row(dict(zip(assets.names, row, strict=True))) for row in assets.rows.values()]


class _Row:
    def __init__(self, fields: dict[str, object]) -> None:
        self.__dict__.update(fields)


def _check_trades(world: "World") -> None:
    """ClickHouse has every trade once."""
    wanted = [
        (trade.market_id, trade.trade_id, row.seq_first + offset, row.time_ns, trade.price_ticks)
        for row in world.oracle.rows
        for offset, events in enumerate(row.events)
        for trade in events
        if isinstance(trade, Trade)
    ]
    stored = sorted((row[:5] for row in world.clickhouse.trades()), key=lambda row: row[1])
    require(stored == wanted, "every trade is in ClickHouse once", len(stored), len(wanted))
    views = world.clickhouse.views
    twice = {"candles_1s": len(wanted), "candles": len(wanted), "account_volumes_daily": 2 * len(wanted)}
    require(views == twice, "and once in what is made of them", views)


async def _check_read_tables(world: "World") -> None:
    """The read tables are what a fresh projection makes of the journal, without any trouble."""
    oracle = world.oracle
    fresh = Database(world.loop, world.random)
    journal = fresh.tables["journal"]
    for key, row in world.database.tables["journal"].rows.items():
        journal.put(key, row)
    host = Host(world.loop, "reader")
    wire = SimWire(world.loop, world.random, Faults(world.random, world.trace), world.trace, fresh)
    pool = wire.pool(host, "reader")
    projection = PostgresProjection(pool, Tail(pool))  # type: ignore[arg-type]
    await projection.load()
    for chunk in in_chunks(oracle.rows, 500):
        await projection.apply(chunk)
    for name, table in fresh.tables.items():
        if name not in NOT_READ_TABLES:
            without = DEPENDS_ON_CHUNKS.get(name, set())
            mine, theirs = world.database.tables[name].dump(without), table.dump(without)
            if mine != theirs:
                differing = [pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]][:2]
                require(
                    False,
                    f"the read table {name} is a fold of the journal",
                    len(mine),
                    len(theirs),
                    differing,
                )
    _check_by_hand(world)


def _check_by_hand(world: "World") -> None:
    """The same tables once more, against the oracle's own fold."""
    tables, oracle = world.database.tables, world.oracle
    happened = Counter(type(event) for done in oracle.done.values() for event in done.events)
    require(len(tables["fills"].rows) == 2 * happened[Trade], "every trade has two fills", happened[Trade])
    require(len(tables["orders"].rows) == happened[OrderAccepted], "every order is there once")
    stored = {
        (row["account_id"], row["asset_id"]): [row["available_atoms"], row["held_atoms"]]
        for row in tables["balances"].dump()
    }
    folded = {key: entry for key, entry in oracle.balances.items() if entry != [0, 0]}
    require(
        {key: entry for key, entry in stored.items() if entry != [0, 0]} == folded,
        "balances are the journal's",
    )
