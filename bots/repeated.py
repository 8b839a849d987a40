"""Telling the same trouble once, and not each second."""

import logging
import time
from collections.abc import Callable

AGAIN_S = 60.0


class Repeated:
    """Logs a trouble when it is new, or when it has lasted for another minute; and that all of it is over."""

    def __init__(self, log: logging.Logger, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now_s = monotonic_s
        self._told_s: dict[str, float] = {}
        self._is_noted = False

    def note(self, trouble: str) -> None:
        """Something is wrong in this round."""
        self._is_noted = True
        now_s = self._now_s()
        if trouble not in self._told_s or now_s - self._told_s[trouble] >= AGAIN_S:
            self._told_s[trouble] = now_s
            self._log.warning("%s", trouble)

    def end_round(self) -> None:
        """The round is over; when nothing was wrong in it, but was before, that is told."""
        if self._told_s and not self._is_noted:
            self._log.info("all is well again")
            self._told_s.clear()
        self._is_noted = False
