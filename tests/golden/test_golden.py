"""Golden journals: what was recorded under old rules replays to its recorded hashes, for ever.

Each `rules-N.jsonl.gz` was recorded by `record.py` when version N was the newest, and those with another word
in their name when what the word names was new. A difference here means that the core would not understand a
journal in the field: mend the core, never the recording.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from exchange.core.image import decode_state, encode_state, image_hash
from exchange.core.invariants import audit
from exchange.core.terms import RULES_VERSION
from exchange.journal.chain import Chain

FOLDER = Path(__file__).parent
JOURNALS = sorted(FOLDER.glob("rules-*.jsonl.gz"))
COLUMNS = (
    "seq_first", "seq_last", "epoch", "time_ns", "rules_version", "commands", "events", "hash_prev", "hash",
)  # fmt: skip
STATE_HASHES: dict[str, str] = json.loads((FOLDER / "hashes.json").read_text())


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header and the rows as a database would give them."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        header: dict[str, Any] = json.loads(next(lines))
        rows = [dict(zip(COLUMNS, json.loads(line), strict=True)) for line in lines]
    for row in rows:
        row["commands"], row["events"] = row["commands"].encode(), row["events"].encode()
        row["hash_prev"], row["hash"] = bytes.fromhex(row["hash_prev"]), bytes.fromhex(row["hash"])
    return header, rows


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.name)
def test_a_golden_journal_replays_to_its_recorded_hashes(path: Path) -> None:
    header, rows = read(path)
    assert (header["rows"], header["commands"]) == (len(rows), rows[-1]["seq_last"])
    chain = Chain.from_genesis(bytes.fromhex(header["genesis_id"]))
    for row in rows:
        chain.take(row)
    assert chain.head.hash.hex() == header["hash"]
    image = encode_state(chain.state)
    assert image_hash(image).hex() == STATE_HASHES[path.name]
    audit(chain.state)
    assert encode_state(decode_state(image)) == image


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.name)
def test_a_golden_journal_replays_alike_from_an_image_in_its_middle(path: Path) -> None:
    header, rows = read(path)
    chain = Chain.from_genesis(bytes.fromhex(header["genesis_id"]))
    for row in rows[: len(rows) // 2]:
        chain.take(row)
    chain = Chain(
        decode_state(encode_state(chain.state)), chain.head, epoch=chain.epoch, time_ns=chain.time_ns
    )
    for row in rows[len(rows) // 2 :]:
        chain.take(row)
    assert image_hash(encode_state(chain.state)).hex() == STATE_HASHES[path.name]


def test_every_version_of_the_rules_has_a_golden_journal_and_a_recorded_hash() -> None:
    names = {f"rules-{version}.jsonl.gz" for version in range(1, RULES_VERSION + 1)}
    assert names | {"rules-2-agents.jsonl.gz"} == {path.name for path in JOURNALS} == STATE_HASHES.keys()
