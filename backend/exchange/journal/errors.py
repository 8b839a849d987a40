"""What can go wrong with the journal. Every one of these ends the process that meets it."""


class JournalError(Exception):
    """Root of the journal's errors."""


class Fenced(JournalError):
    """Another engine has taken over the journal: this one may append nothing any more."""

    def __init__(self, epoch: int, seq_first: int) -> None:
        self.epoch = epoch
        self.seq_first = seq_first
        super().__init__(
            f"a newer engine writes this journal: epoch {epoch} may not append seq {seq_first} and must stop"
        )


class AppendUnknown(JournalError):
    """The database did not answer: the batch may or may not be committed. Recovery tells."""

    def __init__(self, seq_first: int, seq_last: int) -> None:
        self.seq_first = seq_first
        self.seq_last = seq_last
        super().__init__(f"no answer to the commit of seq {seq_first}..{seq_last}; its outcome is unknown")


class JournalCorrupt(JournalError):
    """A row is edited, torn, missing, or was not produced by these rules."""

    def __init__(self, seq: int, what: str) -> None:
        self.seq = seq
        self.what = what
        super().__init__(f"journal corrupt at seq {seq}: {what}")


class JournalUnreadable(JournalError):
    """The database did not give what was asked of it, or not in time."""

    def __init__(self, what: str, problem: str) -> None:
        self.what = what
        super().__init__(f"{what} can not be read: {problem}")


class SnapshotDamaged(JournalError):
    """A snapshot is not what was written. An older one, or the journal from its first row, does as well."""

    def __init__(self, seq: int, problem: str) -> None:
        self.seq = seq
        self.problem = problem
        super().__init__(f"the snapshot at seq {seq} is damaged: {problem}")


class SnapshotDiffers(JournalError):
    """A sound snapshot holds another state than its journal amounts to."""

    def __init__(self, seq: int, snapshot_hash: bytes, journal_hash: bytes) -> None:
        self.seq = seq
        super().__init__(
            f"the snapshot at seq {seq} has state hash {snapshot_hash.hex()}, "
            f"but executing the journal gives {journal_hash.hex()}"
        )


class HeadLost(JournalError):
    """Something durable knows of a later sequence number than the journal does: last rows are lost."""

    def __init__(self, who: str, seq: int, head_seq: int) -> None:
        self.who = who
        self.seq = seq
        self.head_seq = head_seq
        super().__init__(f"{who} stands at seq {seq} but the journal ends at {head_seq}: rows were lost")
