"""Tables `assets` and `markets`: what can be traded, and on which terms now."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import asyncpg

from exchange.core.events import (
    AssetListed,
    Event,
    FeesSet,
    MarketOpened,
    MarketStateSet,
    PriceBandsSet,
    WithdrawalTermsSet,
)
from exchange.core.markets import Asset, Market
from exchange.core.words import MarketState
from exchange.stores.postgres import Connection

_ASSET_COLUMNS = tuple(field.name for field in dataclasses.fields(Asset))
_MARKET_COLUMNS = tuple(field.name for field in dataclasses.fields(Market))


async def read_markets(connection: Connection | asyncpg.Pool) -> dict[int, Market]:
    """Every market by id, as of the cursor of the read tables."""
    records = await connection.fetch(f"SELECT {', '.join(_MARKET_COLUMNS)} FROM markets ORDER BY market_id")  # noqa: S608
    return {record["market_id"]: _market(record) for record in records}


async def read_assets(connection: Connection | asyncpg.Pool) -> dict[int, Asset]:
    """Every asset by id, as of the cursor of the read tables."""
    records = await connection.fetch(f"SELECT {', '.join(_ASSET_COLUMNS)} FROM assets ORDER BY asset_id")  # noqa: S608
    return {record["asset_id"]: Asset(*record) for record in records}


def _market(record: asyncpg.Record) -> Market:
    values = dict(record)
    values["state"] = MarketState(values["state"])
    values["fee_tiers"] = tuple((maker_bps, taker_bps) for maker_bps, taker_bps in values["fee_tiers"])
    return Market(**values)


def market_after(event: Event, markets: Mapping[int, Market]) -> Market | None:
    """The market as the event leaves it, a new object; None when the event changes no market."""
    match event:
        case MarketOpened():
            return Market(**_told(event))
        case MarketStateSet() | FeesSet() | PriceBandsSet():
            return dataclasses.replace(markets[event.market_id], **_told(event))
        case _:
            return None


def _told(event: MarketOpened | MarketStateSet | FeesSet | PriceBandsSet) -> dict[str, Any]:
    """These events say with a market's own words what is new of it."""
    return {name: getattr(event, name) for name in event.__struct_fields__}


class ReferenceChanges:
    """What some batches of the journal do to assets and markets: the last state of each that they change."""

    def __init__(self) -> None:
        self._assets: dict[int, tuple[object, ...]] = {}
        self._withdrawal_terms: dict[int, tuple[int, int]] = {}
        self._markets: dict[int, Market] = {}

    def take(self, event: Event) -> None:
        if isinstance(event, AssetListed):
            # Again when an asset known from a deposit is listed.
            self._assets[event.asset_id] = tuple(getattr(event, name) for name in _ASSET_COLUMNS)
        elif isinstance(event, WithdrawalTermsSet):
            terms = event.withdrawal_fee_atoms, event.min_withdrawal_atoms
            self._withdrawal_terms[event.asset_id] = terms

    def take_market(self, market: Market) -> None:
        self._markets[market.market_id] = market

    async def write(self, connection: Connection) -> None:
        if self._assets:
            await connection.execute("DELETE FROM assets WHERE asset_id = ANY($1)", list(self._assets))
            await connection.copy_records_to_table(
                "assets", columns=_ASSET_COLUMNS, records=list(self._assets.values())
            )
        if self._withdrawal_terms:  # after the assets: only one that is listed has them set
            await connection.execute(
                """
                UPDATE assets SET
                    withdrawal_fee_atoms = c.fee_atoms, min_withdrawal_atoms = c.min_atoms
                FROM unnest($1::BIGINT[], $2::NUMERIC[], $3::NUMERIC[]) AS c (asset_id, fee_atoms, min_atoms)
                WHERE assets.asset_id = c.asset_id
                """,
                list(self._withdrawal_terms),
                [fee_atoms for fee_atoms, _ in self._withdrawal_terms.values()],
                [min_atoms for _, min_atoms in self._withdrawal_terms.values()],
            )
        if self._markets:
            await connection.execute("DELETE FROM markets WHERE market_id = ANY($1)", list(self._markets))
            await connection.copy_records_to_table(
                "markets",
                columns=_MARKET_COLUMNS,
                records=[_row(market) for market in self._markets.values()],
            )


def _row(market: Market) -> tuple[object, ...]:
    values = {name: getattr(market, name) for name in _MARKET_COLUMNS}
    values["fee_tiers"] = [list(rates) for rates in market.fee_tiers]  # an array in lists, never in tuples
    return tuple(values.values())
