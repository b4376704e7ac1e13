"""A lease on a delivery: renewed while its receiver runs, however long that takes. A dead relay's one runs out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

log = logging.getLogger(__name__)

#: how long after the end of a relay its delivery waits for another one
LEASE = timedelta(minutes=1)


@contextmanager
def renewed(renew: Callable[[], None], every: timedelta) -> Iterator[None]:
    """Call `renew` again and again, in a thread, while the block runs."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every.total_seconds()):
            try:
                renew()
            except Exception:
                log.exception("a lease is not renewed", extra={"action": "lease_failed"})

    thread = threading.Thread(target=go_on, name="omreceiver-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
