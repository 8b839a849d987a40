"""Tables `accounts`, `fee_tiers`, `rate_classes`: whose they are, what they may do, on which terms."""

from dataclasses import dataclass

import asyncpg

from exchange.core.events import (
    AccountLimitsSet,
    AccountOpened,
    AccountStateSet,
    CancelAllAfterFired,
    CancelAllAfterSet,
    Event,
    FeeTierSet,
    RateClassSet,
)
from exchange.projections.errors import ReadTablesBroken
from exchange.projections.page import Page, read_all
from exchange.projections.place import Place
from exchange.stores.postgres import Connection


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account. `cancel_all_ns` is when its dead man's switch fires, 0 for never."""

    account_id: int
    owner: str
    sub_account: int
    opened_seq: int
    opened_ns: int
    max_open_orders: int
    max_orders_per_market: int
    cancel_all_ns: int
    state: str


async def accounts_of_owner(pool: asyncpg.Pool, owner: str) -> Page[AccountRow]:
    """All the owner's accounts, the highest sub-account first."""
    return await read_all(pool, AccountRow, "accounts", [("owner = {}", owner)], key=("sub_account",))


async def read_fee_tiers(connection: Connection | asyncpg.Pool) -> dict[str, int]:
    """Fee tier by owner, for every owner who was ever moved to one."""
    records = await connection.fetch("SELECT owner, tier FROM fee_tiers ORDER BY owner")
    return {record["owner"]: record["tier"] for record in records}


async def read_rate_classes(connection: Connection | asyncpg.Pool, limit: int) -> dict[str, str]:
    """Rate class by owner, of those that are not in the standard one."""
    records = await connection.fetch(
        "SELECT owner, rate_class FROM rate_classes WHERE rate_class <> 'standard' ORDER BY owner LIMIT $1",
        limit,
    )
    return {record["owner"]: record["rate_class"] for record in records}


class AccountChanges:
    """What some batches of the journal do to accounts and their owners."""

    def __init__(self) -> None:
        self._opened: list[tuple[object, ...]] = []
        self._limits: dict[int, tuple[int, int]] = {}
        self._switches: dict[int, int] = {}
        self._states: dict[int, str] = {}
        self._tiers: dict[str, tuple[int, int, int]] = {}
        self._rate_classes: dict[str, tuple[str, int, int]] = {}

    def take(self, event: Event, place: Place) -> None:
        match event:
            case AccountOpened(account_id, owner, sub_account):
                self._opened.append((account_id, owner, sub_account, place.seq, place.time_ns))
            case AccountLimitsSet(account_id, max_open_orders, max_orders_per_market):
                self._limits[account_id] = (max_open_orders, max_orders_per_market)
            case CancelAllAfterSet(account_id, fires_ns):
                self._switches[account_id] = fires_ns
            case CancelAllAfterFired(account_id):
                self._switches[account_id] = 0
            case AccountStateSet(account_id, state):
                self._states[account_id] = state.value
            case FeeTierSet(owner, tier):
                self._tiers[owner] = (tier, place.seq, place.time_ns)
            case RateClassSet(owner, rate_class):
                self._rate_classes[owner] = (rate_class.value, place.seq, place.time_ns)
            case _:
                pass

    async def write(self, connection: Connection) -> None:
        if self._opened:
            await connection.copy_records_to_table(
                "accounts",
                columns=("account_id", "owner", "sub_account", "opened_seq", "opened_ns"),
                records=self._opened,
            )
        if self._limits:
            status = await connection.execute(
                """
                UPDATE accounts SET
                    max_open_orders = c.max_open_orders, max_orders_per_market = c.max_orders_per_market
                FROM unnest($1::BIGINT[], $2::INTEGER[], $3::INTEGER[])
                    AS c (account_id, max_open_orders, max_orders_per_market)
                WHERE accounts.account_id = c.account_id
                """,
                list(self._limits),
                [in_all for in_all, _ in self._limits.values()],
                [per_market for _, per_market in self._limits.values()],
            )
            _expect(len(self._limits), status)
        if self._switches:
            status = await connection.execute(
                """
                UPDATE accounts SET cancel_all_ns = c.fires_ns
                FROM unnest($1::BIGINT[], $2::BIGINT[]) AS c (account_id, fires_ns)
                WHERE accounts.account_id = c.account_id
                """,
                list(self._switches),
                list(self._switches.values()),
            )
            _expect(len(self._switches), status)
        if self._states:
            status = await connection.execute(
                """
                UPDATE accounts SET state = c.state
                FROM unnest($1::BIGINT[], $2::TEXT[]) AS c (account_id, state)
                WHERE accounts.account_id = c.account_id
                """,
                list(self._states),
                list(self._states.values()),
            )
            _expect(len(self._states), status)
        if self._tiers:
            await connection.execute(
                """
                INSERT INTO fee_tiers (owner, tier, set_seq, set_ns)
                SELECT n.owner, n.tier, n.set_seq, n.set_ns
                FROM unnest($1::TEXT[], $2::INTEGER[], $3::BIGINT[], $4::BIGINT[])
                    AS n (owner, tier, set_seq, set_ns)
                ON CONFLICT (owner) DO UPDATE SET
                    tier = EXCLUDED.tier, set_seq = EXCLUDED.set_seq, set_ns = EXCLUDED.set_ns
                """,
                list(self._tiers),
                *(list(column) for column in zip(*self._tiers.values(), strict=True)),
            )
        if self._rate_classes:
            await connection.execute(
                """
                INSERT INTO rate_classes (owner, rate_class, set_seq, set_ns)
                SELECT n.owner, n.rate_class, n.set_seq, n.set_ns
                FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::BIGINT[])
                    AS n (owner, rate_class, set_seq, set_ns)
                ON CONFLICT (owner) DO UPDATE SET
                    rate_class = EXCLUDED.rate_class, set_seq = EXCLUDED.set_seq, set_ns = EXCLUDED.set_ns
                """,
                list(self._rate_classes),
                *(list(column) for column in zip(*self._rate_classes.values(), strict=True)),
            )


def _expect(accounts: int, status: str) -> None:
    if status != f"UPDATE {accounts}":
        raise ReadTablesBroken(f"{accounts} accounts change, but the table answers {status}")
