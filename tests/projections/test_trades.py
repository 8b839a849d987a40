"""Finding the trades in what the journal holds."""

import msgspec
import pytest
from tests.projections.conftest import JournaledExchange

from exchange.core.events import AccountOpened, Rejected, Trade
from exchange.core.rejects import RejectReason
from exchange.core.words import Side
from exchange.journal.rows import StoredEvents, encode_payload
from exchange.projections.trades import StoredTrade, trade_columns, trades_of

TRADE = Trade(7, 2, 11, 12, 1_000, 1_001, Side.SELL, 5, 6, 2**127, 2**128 - 1, 1, 2, 3, 0, 4)
LIKE_A_TRADE = '["Trade",1,1,1,1,1,1,"buy",1,1,1,1]'


def stored(*events: list[AccountOpened | Rejected | Trade]) -> StoredEvents:
    return StoredEvents(41, 40 + len(events), 99, encode_payload(events))


def test_trades_are_found_with_the_seq_of_their_command() -> None:
    row = trades_of(stored([Rejected(RejectReason.INSUFFICIENT_FUNDS)], [TRADE, TRADE], [], [TRADE]))
    assert [seq for seq, _ in row.trades] == [42, 42, 44]
    assert row.ids == [7, 7, 7]
    assert trade_columns([row])[:2] == [[2, 2, 2], [7, 7, 7]]
    assert [column[0] for column in trade_columns([row])] == [
        *(2, 7, 42, 99, 5, 6, 2**127, 2**128 - 1, "sell", 1_000, 1_001)
    ]


def test_a_text_that_looks_like_a_trade_is_none() -> None:
    assert trades_of(stored([AccountOpened(1_000, LIKE_A_TRADE, 0)])).trades == []
    assert trades_of(stored([AccountOpened(1_000, LIKE_A_TRADE, 0)], [TRADE])).ids == [7]


def test_the_fields_that_are_read_are_the_first_ones_of_the_event() -> None:
    names = StoredTrade.__struct_fields__
    assert Trade.__struct_fields__[: len(names)] == names


def test_an_event_that_this_version_does_not_know_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        trades_of(StoredEvents(1, 1, 1, b'[[["Trade",1,1,1,1,1,1,"buy",1,1,1,1],["Liquidated",1]]]'))


async def test_all_trades_of_real_traffic_are_found(journaled: JournaledExchange) -> None:
    await journaled.random_batches(1, batches=20)
    rows = [trades_of(row) for row in await journaled.tail.read_events(0, 1_000)]
    assert [trade_id for row in rows for trade_id in row.ids] == [
        trade.trade_id for _, trade in journaled.trades
    ]
    assert len(journaled.trades) > 30
