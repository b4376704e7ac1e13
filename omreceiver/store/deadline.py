"""The time that a message has, and what is tried again within it.

The database knows the same limit for one statement, see limits.py; the deadline bounds the sum of all that is done
for a message. One that is late is rolled back: Salesforce gives up after 60 seconds and sends it again anyhow.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from omreceiver.errors import Unavailable
from omreceiver.schema.notification import Message
from omreceiver.store.database import for_writing
from omreceiver.store.failures import Verdict, said, verdict

log = logging.getLogger(__name__)
T = TypeVar("T")

#: seconds before the first new attempt; each further one waits up to twice as long, until it is the second number
PAUSE, LONGEST_PAUSE = 0.02, 1.0
#: how often a transaction may fail by what no waiting mends. A connection that was lost is worth one more attempt:
#: the pool then opens a new one, and if that is lost too, the database is away
MOST = {Verdict.AWAY: 0, Verdict.LOST: 1, Verdict.RECORD: 7}


@dataclass(frozen=True)
class Deadline:
    """When a message must be stored."""

    message: Message
    limit: timedelta
    at: float
    #: a receiver that takes longer is named in the log
    slow: timedelta | None = None

    @classmethod
    def of(cls, message: Message, limit: timedelta, slow: timedelta | None = None) -> Deadline:
        """The time begins now."""
        return cls(message, limit, time.monotonic() + limit.total_seconds(), slow)

    @property
    def left(self) -> float:
        """Seconds; none or fewer when it has passed."""
        return self.at - time.monotonic()

    def check(self) -> None:
        """Raises Unavailable when the time is up."""
        if self.left <= 0:
            raise self.passed("Look for a receiver or a database that is slow, or raise OMRECEIVER_TIME_LIMIT.")

    def passed(self, why: str) -> Unavailable:
        """The error that names the message, as it stands in Salesforce and in the ledger, and says why."""
        notifications, limit = self.message.notifications, f"{self.limit.total_seconds():g} s"
        first = next((notification.id for notification in notifications), None)
        named = f"from action {self.message.action_id!r} with {len(notifications)} notifications, the first {first!r}"
        return Unavailable(f"The message {named}, was not stored within {limit}. {why}")


class Attempts:
    """The attempts at one transaction: which failure is worth another one, and how long to wait before it. Conflicts
    are tried again until the deadline.
    """

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.failures: list[Verdict] = []
        #: whether to ask for all that is hardly ever so, and was taken for granted at first
        self.is_asking = False

    def again(self, error: Exception) -> Verdict:
        """Wait for the next attempt; gives what the error means. Raises Unavailable when it would be no use."""
        judged = verdict(error)
        self.failures.append(judged)
        self.is_asking = True
        if judged in MOST and self.failures.count(judged) > MOST[judged]:
            raise Unavailable(
                f"The database cannot take the message: {said(error)}. See `omreceiver db check`."
            ) from error
        longest = min(PAUSE * 2.0 ** min(len(self.failures), 9), LONGEST_PAUSE)
        pause = random.uniform(0, longest)  # noqa: S311 — jitter, no secret
        if pause >= self.deadline.left:
            raise self.deadline.passed(f"At last: {said(error)}.") from error
        log.info("a message is stored again", extra={"action": "store_again", "attempt": len(self.failures)})
        time.sleep(pause)
        return judged


def persist(engine: Engine, deadline: Deadline, work: Callable[[Connection], T]) -> T:
    """Do a piece of work in a transaction of its own, again where another process was in the way."""
    attempts = Attempts(deadline)
    while True:
        try:
            with for_writing(engine).begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            attempts.again(error)
