"""The time limit as the databases know it, set once a connection, so that it costs a message nothing.

One statement gets half of the limit and a wait for a lock a quarter; the client itself stops waiting a little later,
for a server that went silent. The deadline of a message bounds the sum, so that a message takes at most about one
and a half times the limit.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.pool import QueuePool

from omreceiver.records.columns import MYSQL

STATEMENT, LOCK = 1 / 2, 1 / 4
#: the server is to say first that a statement was too slow; then the connection stays usable
CLIENT = STATEMENT * 1.1
#: seconds. What is shorter counts as this: MariaDB waits for locks in whole seconds, libpq for connections in two
SHORTEST = 3.0
#: a worker that is gone must not hold its locks for the two hours that TCP would
IDLE = 2


def options(url: str, limit: timedelta) -> dict[str, Any]:
    """What create_engine is told of the limit. What the URL says itself stands."""
    parsed, seconds = make_url(url), _seconds(limit)
    given = {name: value for name, value in _arguments(parsed, seconds).items() if name not in parsed.query}
    dialect: Any = parsed.get_dialect()
    # a database in memory has a pool that never waits
    waits = issubclass(dialect.get_pool_class(parsed), QueuePool)
    return {"connect_args": given} | ({"pool_timeout": seconds * STATEMENT} if waits else {})


def _arguments(url: URL, seconds: float) -> dict[str, Any]:
    driver = url.get_driver_name()
    if url.get_backend_name() == "sqlite":
        return {"timeout": seconds * LOCK}
    if driver == "psycopg":
        return {
            "connect_timeout": math.ceil(seconds * STATEMENT),
            "tcp_user_timeout": _milliseconds(seconds * CLIENT),
        }
    if driver == "pymysql":
        return {
            "connect_timeout": seconds * STATEMENT,
            "read_timeout": seconds * CLIENT,
            "write_timeout": seconds * CLIENT,
        }
    return {}


def listen(engine: Engine, limit: timedelta) -> None:
    """Tell every new connection of an engine the limit; what PostgreSQL is told goes by sessions.py."""
    seconds = _seconds(limit)
    if engine.dialect.name in MYSQL:
        event.listen(engine, "connect", lambda connection, _: _tell_mysql(connection, seconds))
    if engine.dialect.driver == "psycopg":
        from omreceiver.store.psycopg import opener

        event.listen(engine, "do_connect", opener(seconds * CLIENT))


def of_postgresql(limit: timedelta | None) -> dict[str, str]:
    """What PostgreSQL is told of the limit: the names of its settings and their values."""
    if limit is None:
        return {}
    seconds = _seconds(limit)
    settings = {
        "statement_timeout": seconds * STATEMENT,
        "lock_timeout": seconds * LOCK,
        "idle_in_transaction_session_timeout": seconds * IDLE,
    }
    return {name: str(_milliseconds(value)) for name, value in settings.items()}


def _tell_mysql(connection: Any, seconds: float) -> None:
    """Locks: of rows, and of tables that somebody alters or locks."""
    lock = math.ceil(seconds * LOCK)
    settings: dict[str, float] = {"innodb_lock_wait_timeout": lock, "lock_wait_timeout": lock}
    if "MariaDB" in connection.get_server_info():
        settings |= {"max_statement_time": seconds * STATEMENT, "idle_transaction_timeout": math.ceil(seconds * IDLE)}
    else:
        # MySQL limits only SELECT
        settings |= {"max_execution_time": _milliseconds(seconds * STATEMENT)}
    cursor = connection.cursor()
    cursor.execute("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    cursor.close()


def _seconds(limit: timedelta) -> float:
    return max(limit.total_seconds(), SHORTEST)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
