"""Tables `assets`, `markets` and `accounts`: what ids stand for."""

import dataclasses

import asyncpg

from exchange.core.events import AccountOpened, AssetListed, Event, MarketOpened
from exchange.core.markets import Asset, Market
from exchange.projections.place import Place
from exchange.stores.postgres import Connection

_ASSET_COLUMNS = tuple(field.name for field in dataclasses.fields(Asset))
_MARKET_COLUMNS = tuple(field.name for field in dataclasses.fields(Market))
_ACCOUNT_COLUMNS = ("account_id", "owner", "sub_account", "opened_seq", "opened_ns")


async def read_markets(connection: Connection | asyncpg.Pool) -> dict[int, Market]:
    """Every market by id, as of the cursor of the read tables."""
    records = await connection.fetch(f"SELECT {', '.join(_MARKET_COLUMNS)} FROM markets ORDER BY market_id")  # noqa: S608
    return {record["market_id"]: Market(*record) for record in records}


async def read_assets(connection: Connection | asyncpg.Pool) -> dict[int, Asset]:
    """Every asset by id, as of the cursor of the read tables."""
    records = await connection.fetch(f"SELECT {', '.join(_ASSET_COLUMNS)} FROM assets ORDER BY asset_id")  # noqa: S608
    return {record["asset_id"]: Asset(*record) for record in records}


def market_of(event: MarketOpened) -> Market:
    """The market that the event opened."""
    return Market(*(getattr(event, name) for name in _MARKET_COLUMNS))


class NewReferences:
    """The assets, markets and accounts of some batches of the journal."""

    def __init__(self) -> None:
        self._assets: dict[int, tuple[object, ...]] = {}
        self._markets: list[tuple[object, ...]] = []
        self._accounts: list[tuple[object, ...]] = []

    def take(self, event: Event, place: Place) -> None:
        match event:
            case AssetListed():
                # Again when an asset known from a deposit is listed: the last one stands.
                self._assets[event.asset_id] = tuple(getattr(event, name) for name in _ASSET_COLUMNS)
            case MarketOpened():
                self._markets.append(tuple(getattr(event, name) for name in _MARKET_COLUMNS))
            case AccountOpened(account_id, owner, sub_account):
                self._accounts.append((account_id, owner, sub_account, place.seq, place.time_ns))
            case _:
                pass

    async def write(self, connection: Connection) -> None:
        if self._assets:
            await connection.execute("DELETE FROM assets WHERE asset_id = ANY($1)", list(self._assets))
            await connection.copy_records_to_table(
                "assets", columns=_ASSET_COLUMNS, records=list(self._assets.values())
            )
        if self._markets:
            await connection.copy_records_to_table("markets", columns=_MARKET_COLUMNS, records=self._markets)
        if self._accounts:
            await connection.copy_records_to_table(
                "accounts", columns=_ACCOUNT_COLUMNS, records=self._accounts
            )
