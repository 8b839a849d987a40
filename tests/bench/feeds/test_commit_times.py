"""When commands were committed, told from one process to another."""

from pathlib import Path

from scripts.bench.feeds.commit_times import CommitTimes


def test_what_one_writes_the_other_reads(tmp_path: Path) -> None:
    path = tmp_path / "commits"
    written = CommitTimes.create(path, 1_000)
    read = CommitTimes(path)
    written.set(1, 3, 111)
    written.set(4, 4, 222)
    assert list(read.by_seq[:6]) == [0, 111, 111, 111, 222, 0]
