"""Records a golden journal under the newest rules: a random day with everything in it, as rows of a journal.

Once, when a version of the rules is finished, or new commands are (NAME says what is new then); a journal
that exists is never recorded again, for its whole worth is that it is old. The same code records the same
bytes.

    python -m tests.golden.record [NAME]
"""

import gzip
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.core.naive_commands import make_command, use_nonce
from tests.core.test_naive_reference import EVERYTHING, compare, stage

from exchange.core.apply import apply
from exchange.core.commands import Command
from exchange.core.events import Event, OrderEnded, Rejected
from exchange.core.image import state_hash
from exchange.core.state import State
from exchange.core.terms import RULES_VERSION
from exchange.journal.rows import encode_payload, row_hash

FOLDER = Path(__file__).parent
HASHES = FOLDER / "hashes.json"
SEED = 20_261_122
COMMANDS = 6_000
LAST_NONCES = 20
MAX_ROW = 20
COMMANDS_PER_EPOCH = 600

Log = list[tuple[int, Command, list[Event]]]


def random_day() -> Log:
    """The day's commands and events, the naive exchange agreeing with every one of them."""
    random = Random(SEED)
    venue, naive = stage(RULES_VERSION)
    for _ in range(COMMANDS):
        compare(venue, naive, *make_command(random.choice, naive))
    for _ in range(LAST_NONCES):  # so that the state at the end has some that are remembered
        compare(venue, naive, 0, use_nonce(random.choice, naive, venue.time_ns))
    venue.check()
    missing = EVERYTHING - seen_in(venue.log).keys()
    assert not missing, f"the day has none of {sorted(missing)}: take another seed"
    return venue.log


def seen_in(log: Log) -> Counter[str]:
    """How often each event came, and each reason of a refusal or an end."""
    seen: Counter[str] = Counter()
    for _, _, events in log:
        for event in events:
            seen[type(event).__name__] += 1
            if isinstance(event, Rejected | OrderEnded):
                seen[event.reason.name] += 1
    return seen


def rows_of(log: Log, genesis_id: bytes) -> tuple[list[list[Any]], State]:
    """The log as rows of a journal, of random lengths, and the state at its end."""
    random = Random(SEED)
    rows: list[list[Any]] = []
    state, hash_prev, start = State(), genesis_id, 0
    while start < len(log):
        time_ns, end = log[start][0], start + 1
        length = random.randint(1, MAX_ROW)
        while end < len(log) and log[end][0] == time_ns and end - start < length:
            end += 1
        for place in range(start, end):
            assert apply(state, place + 1, time_ns, log[place][1]) == log[place][2]
        commands = encode_payload([command for _, command, _ in log[start:end]])
        events = encode_payload([events for _, _, events in log[start:end]])
        stamp = (start + 1, end, 1 + start // COMMANDS_PER_EPOCH, time_ns, state.rules_version)
        digest = row_hash(hash_prev, *stamp, commands, events)
        rows.append([*stamp, commands.decode(), events.decode(), hash_prev.hex(), digest.hex()])
        hash_prev, start = digest, end
    return rows, state


def main(*names: str) -> int:
    """Writes the journal of the newest rules and the hash of its state."""
    path = FOLDER / ("-".join((f"rules-{RULES_VERSION}", *names)) + ".jsonl.gz")
    if path.exists():
        sys.stderr.write(f"{path.name} exists: golden journals are recorded once\n")
        return 1
    called = " ".join((f"golden journal of rules version {RULES_VERSION}", *names))
    genesis_id = hashlib.sha256(called.encode()).digest()
    rows, state = rows_of(random_day(), genesis_id)
    header = {
        "genesis_id": genesis_id.hex(),
        "rows": len(rows),
        "commands": state.seq,
        "hash": rows[-1][-1],
    }
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        for line in (header, *rows):
            packed.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    hashes = json.loads(HASHES.read_text())
    hashes[path.name] = state_hash(state).hex()
    HASHES.write_text(json.dumps(hashes, indent=2, sort_keys=True) + "\n")
    sys.stdout.write(f"{path.name}: {header}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
