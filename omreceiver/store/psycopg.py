"""A psycopg connection that waits only so long for an answer. Nothing else covers a server, or a proxy before it,
that takes bytes and sends none: not the server's own limits, not TCP's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.abc import RV, PQGen


class TimedConnection(Connection[Any]):
    """Raises OperationalError when an answer takes too long, and is closed then."""

    #: seconds
    limit = math.inf

    def wait(self, gen: PQGen[RV], *args: Any, **options: Any) -> RV:
        return super().wait(self._timed(gen), *args, **options)

    def _timed(self, gen: PQGen[RV]) -> PQGen[RV]:
        """psycopg's own generator; it is sent a false value every tenth of a second in which nothing arrives."""
        until = time.monotonic() + self.limit
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > until:
                    self.close()
                    raise OperationalError(f"the server has not answered for {self.limit:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: RV = end.value
            return answer


def opener(limit: float) -> Callable[..., TimedConnection]:
    """A listener for SQLAlchemy's event do_connect."""

    def connect(_dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> TimedConnection:
        connection = TimedConnection.connect(*arguments, **parameters)
        connection.limit = limit
        return connection

    return connect
