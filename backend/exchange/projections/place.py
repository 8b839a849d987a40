"""Where and when an event stands in the journal."""

from typing import NamedTuple


class Place(NamedTuple):
    """An event's identity (`seq` of its command, `event_index` among that command's events) and its time."""

    seq: int
    event_index: int
    time_ns: int
