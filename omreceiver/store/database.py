"""The engine: how each database is opened, and how a writing transaction begins on it."""

from __future__ import annotations

import random
import sqlite3
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from omreceiver.config import TRANSACTION, Settings
from omreceiver.errors import ConfigurationError, DatabaseUnreachable
from omreceiver.store import limits, sessions
from omreceiver.store.prepared import prepared

#: seconds that SQLite waits for another writer where nobody sets a limit
BUSY_TIMEOUT = 30
#: the part of SQLite's extended result codes that says what happened, without how
PRIMARY_CODE = 0xFF
WRITES = "omreceiver_writes"
#: SQLite's, for those who read and for those who write
BEGIN = text("BEGIN"), text("BEGIN IMMEDIATE")
#: of a connection of SQLite: its foreign keys are on
READY = "omreceiver_ready"
#: PostgreSQL's ways to find rows without an index; and the compiler that it starts when it must read a table after all,
#: as what is forbidden counts as dear (measured: a second for a query of 20 ms). They are off: every statement of the
#: store finds rows by key, and PostgreSQL keeps the plan of a prepared one. Made while a table is new and small it
#: reads the whole table, and goes on so until the next ANALYZE (measured: with 20,000 records, half of the throughput)
PLANS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
#: a plan once a connection, not at each execution: made by index they are all alike (measured: to plan the look at the
#: records of a message takes twice as long as to execute it)
PLAN_ONCE = {"plan_cache_mode": "force_generic_plan"}
PIP = {"postgresql": "pip install 'omreceiver[postgres]'", "mysql": "pip install 'omreceiver[mysql]'"}


def open_for(settings: Settings, limit: timedelta | None = None) -> Engine:
    """The engine of a receiver with these settings, as `open_engine` gives it."""
    is_pooled = settings.pool_mode == TRANSACTION
    return open_engine(settings.database_url, limit, settings.schema, is_pooled=is_pooled)


def open_engine(url: str, limit: timedelta | None = None, schema: str = "", *, is_pooled: bool = False) -> Engine:
    """An engine for the URL of the settings. It does not connect yet. With a limit, the time that a message may take,
    no statement and no wait for a lock on it takes longer; without one they may, as commands must. With a schema, of
    PostgreSQL, all names are looked for there and nowhere else. One that `is_pooled` sets and prepares nothing that
    would outlive a transaction.

    Raises ConfigurationError when the URL or its driver cannot be used.
    """
    try:
        engine = create_engine(url, **_options(url, limit, is_pooled))
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigurationError(f"DATABASE_URL cannot be used: {error}") from error
    except ValueError:
        # what SQLAlchemy takes for the port may be a piece of the password
        cure = "Write / : and @ in a password as %2F, %3A and %40."
        raise ConfigurationError(f"DATABASE_URL cannot be used: its port is no number. {cure}") from None
    except ModuleNotFoundError as error:
        cure = PIP["postgresql" if url.startswith("postgresql") else "mysql"]
        raise ConfigurationError(f"DATABASE_URL needs the module {error.name}: {cure}") from error
    if engine.dialect.name == "postgresql":
        told = dict.fromkeys(PLANS, "off") | PLAN_ONCE | limits.of_postgresql(limit) | sessions.within(schema)
        engine.update_execution_options(**{sessions.SCHEMA: schema, sessions.POOLED: is_pooled})
        sessions.tell(engine, told)
    if limit is not None:
        limits.listen(engine, limit)
    return prepare(engine)


def _options(url: str, limit: timedelta | None, is_pooled: bool) -> dict[str, Any]:
    limited = limits.options(url, limit) if limit is not None else {}
    if is_pooled:
        limited["connect_args"] = limited.get("connect_args", {}) | sessions.arguments(url)
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_TIMEOUT}} | limited
    # no ping before each use: a connection that was lost shows when it is used, and the message is stored again
    return {"isolation_level": "READ COMMITTED"} | limited


def prepare(engine: Engine) -> Engine:
    """Make an engine, ours or the user's, fit for the store. Only SQLite needs it.

    Python's sqlite3 begins transactions by itself and late, which breaks savepoints and lets two readers both try
    to become writers; SQLAlchemy's documentation ("Serializable isolation / Savepoints / Transactional DDL") gives
    the cure used here.
    """
    if engine.dialect.name == "sqlite" and not event.contains(engine, "begin", _begin):
        event.listen(engine, "connect", _connect)
        event.listen(engine, "begin", _begin)
    return engine


def _connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """For this one statement SQLite does not wait for a lock (it could wait for itself), so that of several
    processes that open a new file at once all but one would fail.
    """
    until = time.monotonic() + connection.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 — jitter, no secret


def _begin(connection: Connection) -> None:
    if READY not in connection.info:
        # a connection of the user's own pool may be older than the listener above
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.info[READY] = True
    writes = connection.get_execution_options().get(WRITES)
    prepared(BEGIN[bool(writes)], connection).run(connection, {})


def for_writing(engine: Engine) -> Engine:
    """The same pool; on SQLite a transaction takes the write lock when it begins, not when it first writes."""
    return engine.execution_options(**{WRITES: True})


def check_reachable(engine: Engine) -> None:
    """Ask the database one thing. Raises DatabaseUnreachable with what its driver said."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        where = engine.url.render_as_string(hide_password=True)
        # the last argument: PyMySQL has its number before the sentence
        said = str(error.orig.args[-1] if error.orig and error.orig.args else "no answer").strip().splitlines()[0]
        raise DatabaseUnreachable(f"{where} does not answer ({said}). Start it, or set DATABASE_URL.") from error
