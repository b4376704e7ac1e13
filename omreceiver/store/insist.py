"""What commands write beside the messages that arrive: again, where one of those was in the way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError

from omreceiver.errors import Unavailable
from omreceiver.store.failures import Verdict, said, verdict

T = TypeVar("T")
ATTEMPTS = 8
#: seconds before the first new attempt; each further one waits up to twice as long
PAUSE = 0.05


def insist(work: Callable[[], T], problem: str) -> T:
    """Do a piece of work in a transaction of its own, again after a conflict. Raises Unavailable with the problem, and
    what the database said.
    """
    attempt = 1
    while True:
        try:
            return work()
        except DBAPIError as error:
            # a record that was inserted in the same moment looks like a broken constraint
            is_conflict = verdict(error) is Verdict.AGAIN or isinstance(error, IntegrityError)
            if attempt == ATTEMPTS or not is_conflict:
                raise Unavailable(f"{problem}: {said(error)}") from error
        time.sleep(random.uniform(0, PAUSE * 2**attempt))  # noqa: S311 — jitter, no secret
        attempt += 1
