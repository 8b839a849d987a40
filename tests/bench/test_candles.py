"""The candle benchmark on a few trades: its journal is a sound one, and it measures what it made."""

import re
import time
from itertools import pairwise

import pytest
from scripts.bench import candles
from scripts.bench.made_trades import COLUMNS, MARKETS, TRADES_PER_ROW, MadeJournal

from exchange.core.events import Trade
from exchange.journal.chain import verified_row
from exchange.stores.clickhouse import ClickHouse


def test_the_made_rows_are_sound_and_their_trades_go_on_without_a_gap() -> None:
    end_ns = time.time_ns()
    journal = MadeJournal(20 * TRADES_PER_ROW, end_ns)
    records = [dict(zip(COLUMNS, record, strict=True)) for record in journal.records(20 * TRADES_PER_ROW)]
    rows = [verified_row(record) for record in records]
    for before, row in pairwise(rows):
        assert (row.seq_first, row.hash_prev) == (before.seq_last + 1, before.hash)
        assert row.time_ns >= before.time_ns
    assert (rows[-1].seq_last, rows[-1].time_ns <= end_ns) == (journal.seq, True)
    trades = [event for row in rows for events in row.events for event in events if isinstance(event, Trade)]
    assert [trade.trade_id for trade in trades] == list(range(1, journal.trades + 1))
    assert {trade.market_id for trade in trades} == set(MARKETS)
    assert all(trade.quote_atoms == trade.price_ticks * trade.size_lots for trade in trades)


async def test_it_prints_both_rates_and_how_long_candles_take(
    database_url: str,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(candles, "QUERIES", 2)
    monkeypatch.setattr(candles, "PART", 3_000)
    line = await candles.measure(database_url, clickhouse, 9_000)
    assert re.fullmatch(
        r"candles: trades=9\d\d\d ingest_per_s=\d+ raw_per_s=\d+ query_p50_ms=\d+\.\d+ query_p99_ms=\d+\.\d+",
        line,
    )
    assert "by GROUP BY" in capsys.readouterr().out
