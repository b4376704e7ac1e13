"""The lines in the log while messages cannot be stored: one a minute at most in each process, not one a message."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Lock

from omreceiver.errors import Unavailable

log = logging.getLogger(__name__)

#: seconds between two lines of messages that are sent away
QUIET = 60.0


class Outage:
    """Counts what is sent away. The first line tells why, each later one how many since and why the last, and one
    that messages are stored again. Where some are stored and some are not, it is a pair of lines a minute.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._is_open = False
        #: whether a line has told of it
        self._is_told = False
        self._began = self._told_at = -math.inf
        #: sent away since the last line
        self._count = 0

    def sent_away(self, error: Unavailable) -> None:
        """Note a message that is answered 503."""
        with self._lock:
            now = self._clock()
            self._began = self._began if self._is_open else now
            self._is_open = True
            self._count += 1
            if now - self._told_at >= QUIET:
                self._tell(error)
                self._is_told, self._told_at, self._count = True, now, 0

    def _tell(self, error: Unavailable) -> None:
        facts = {"action": "sent_away", "status": error.status, "count": self._count}
        if self._count == 1:
            log.warning("%s From here on a line a minute tells how many messages are sent away.", error, extra=facts)
        else:
            log.warning("%d messages were sent away since the last line. %s", self._count, error, extra=facts)

    def stored(self) -> None:
        """Note a message that is answered 200. While nothing is wrong this takes no lock."""
        if self._is_open:
            self._tell_the_end()

    def _tell_the_end(self) -> None:
        with self._lock:
            now = self._clock()
            # another thread may have told the end meanwhile; and of what no line has told, the end waits its minute too
            is_quiet = not self._is_told and now - self._told_at < QUIET
            if not self._is_open or is_quiet:
                return
            sentence = "Messages are stored again after %.0f s; %d more were sent away meanwhile."
            log.warning(sentence, now - self._began, self._count, extra={"action": "stored_again"})
            self._is_open, self._is_told, self._count = False, False, 0
