"""After the load: what clients were told, beside the journal and all the books.

orders    each placement that was acknowledged was accepted exactly once, under the id that its client was
          told; none that was refused was accepted; none was accepted whose client was told nothing
cancels   each that was acknowledged ended its order, which ended once
books     `exchange audit`: journal, engine and read tables say the same, and every asset adds up
counts    everything that was asked for was answered, done or refused by a code
"""

from array import array
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import msgspec
from scripts.bench.load.clients import REFUSED, UNANSWERED, Totals
from scripts.bench.load.wires import CLIENT_ID_PREFIX

from exchange.core.events import Event, OrderAccepted, OrderEnded
from exchange.core.words import EndReason
from exchange.journal.rows import READ_EVENTS
from exchange.projections.audit import audit_books
from exchange.stores.postgres import open_connection

ROWS_PER_READ = 64
STATEMENT_TIMEOUT_S = 900.0
OTHERWISE, CANCELLED = 1, 2
_events = msgspec.json.Decoder(list[list[Event]]).decode


@dataclass(slots=True)
class Journaled:
    """What the journal has of the load, and what is wrong about it."""

    accepted: int = 0
    cancelled: int = 0
    faults: list[str] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        self.faults.append(what)


class Check:
    """Goes through the journal once."""

    def __init__(self, told_ids: "array[int]", told_cancelled: "array[int]", head_seq: int) -> None:
        """`head_seq` is the journal's last: no order has a higher id."""
        self._told_ids = told_ids
        self._told_cancelled = told_cancelled
        self._accepted = bytearray(len(told_ids))
        self._ended = bytearray(head_seq + 1)
        """By order id: how it ended."""
        self.found = Journaled()

    def take(self, event: Event) -> None:
        """The next event of the journal."""
        if type(event) is OrderAccepted:
            client_id = event.client_order_id
            if client_id is not None and client_id.startswith(CLIENT_ID_PREFIX):
                self._accept(int(client_id.removeprefix(CLIENT_ID_PREFIX)), event.order_id)
        elif type(event) is OrderEnded:
            if self._ended[event.order_id]:
                self.found.wrong(f"order {event.order_id} ended twice")
            self._ended[event.order_id] = CANCELLED if event.reason is EndReason.CANCELLED else OTHERWISE

    def _accept(self, number: int, order_id: int) -> None:
        if number >= len(self._told_ids):
            self.found.wrong(f"request {number}, which nobody sent, is in the journal")
            return
        if self._accepted[number]:
            self.found.wrong(f"request {number} is in the journal more than once")
        self._accepted[number] = 1
        told = self._told_ids[number]
        if told != order_id:
            said = {UNANSWERED: "nothing", REFUSED: "a refusal"}.get(told, f"order {told}")
            self.found.wrong(
                f"request {number} is order {order_id} in the journal; its client was told {said}"
            )

    def finish(self) -> Journaled:
        """Once the journal is at its end."""
        found = self.found
        for number, told in enumerate(self._told_ids):
            if told > 0 and not self._accepted[number]:
                found.wrong(f"request {number} was acknowledged and is not in the journal")
        told_before = bytearray(len(self._ended))
        for order_id in self._told_cancelled:
            if told_before[order_id]:
                found.wrong(f"the cancel of order {order_id} was acknowledged twice")
            told_before[order_id] = 1
            if self._ended[order_id] != CANCELLED:
                found.wrong(f"the cancel of order {order_id} was acknowledged and is not in the journal")
        found.accepted, found.cancelled = sum(self._accepted), self._ended.count(CANCELLED)
        return found


async def compare_with_journal(url: str, folder: Path, totals: Totals) -> Journaled:
    """Everything. `folder` has what clients were told (`Answers.write`)."""
    connection = await open_connection(url, command_timeout_s=STATEMENT_TIMEOUT_S)
    try:
        head_seq = await connection.fetchval("SELECT max(seq_last) FROM journal")
        check = Check(_numbers(folder / "placed"), _numbers(folder / "cancelled"), head_seq)
        await _read(connection, check)
        found = check.finish()
        _compare_counts(found, totals)
        await connection.execute("SET default_transaction_read_only = on")
        audited = await audit_books(connection, lambda _seq, _head: None)
        for difference in audited.differences:
            found.wrong(difference.what)
        if audited.tables_seq != audited.seq:
            found.wrong(f"the read tables stand at {audited.tables_seq} of {audited.seq}")
        if any(total.total for total in audited.totals):
            found.wrong("an asset does not add up to nothing")
    finally:
        await connection.close()
    return found


async def _read(connection: asyncpg.Connection, check: Check) -> None:
    seq = 0
    while records := await connection.fetch(READ_EVENTS, seq, ROWS_PER_READ):
        seq = records[-1]["seq_last"]
        for record in records:
            for events in _events(record["events"]):
                for event in events:
                    check.take(event)


def _compare_counts(found: Journaled, totals: Totals) -> None:
    asked, answered = totals.placements + totals.cancels, totals.placed + totals.cancelled + totals.refused
    if totals.unanswered or asked != answered:
        found.wrong(f"{asked:,} operations were asked for, {answered:,} answered")
    if found.accepted != totals.placed:
        found.wrong(f"{found.accepted:,} orders are in the journal, {totals.placed:,} were acknowledged")
    if found.cancelled != totals.cancelled:
        found.wrong(f"{found.cancelled:,} orders were cancelled, {totals.cancelled:,} cancels acknowledged")


def _numbers(path: Path) -> "array[int]":
    numbers = array("q")
    numbers.frombytes(path.read_bytes())
    return numbers
