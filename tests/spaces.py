"""Databases for many tests: the book-keeping is made once a process, and emptied after each test.

To make it takes up to a second on a server, to empty it some milliseconds. A space in which a test left anything else,
a view, a column, a function, is thrown away, and so is one that it filled: the next test begins in a new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from omreceiver import Settings
from omreceiver.store import parting, tables
from omreceiver.store.database import for_writing, open_engine
from omreceiver.store.partitions import Doing, Step
from omreceiver.store.prune import Limits
from omreceiver.store.upgrade import alembic_config
from tests.databases import DRIVERS, drop_space, make_space, server, url_of_space

#: on PostgreSQL the tables are parted by month, whatever the test is about
PARTED = os.environ.get("TEST_PARTED") == "1"
#: rows that are worth emptying a table for
FEW = 1000
VERSION = "om_alembic_version"
BOOKS = [table.name for table in tables.metadata.sorted_tables]
#: what a space holds, without the rows
HOLDS = {
    "postgresql": f"""
        SELECT relkind::text || relname::text FROM pg_class WHERE relnamespace = current_schema::regnamespace
        UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = current_schema::regnamespace
        UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema::regnamespace
        UNION ALL SELECT tgname::text FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
          WHERE relnamespace = current_schema::regnamespace
        UNION ALL SELECT concat(table_name, column_name, data_type) FROM information_schema.columns
          WHERE table_schema = current_schema
        UNION ALL SELECT version_num FROM {VERSION}""",
    "mariadb": f"""
        SELECT CONCAT(table_type, table_name) FROM information_schema.tables WHERE table_schema = DATABASE()
        UNION ALL SELECT CONCAT(table_name, column_name, column_type) FROM information_schema.columns
          WHERE table_schema = DATABASE()
        UNION ALL SELECT CONCAT(table_name, index_name, column_name) FROM information_schema.statistics
          WHERE table_schema = DATABASE()
        UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()
        UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()
        UNION ALL SELECT version_num FROM {VERSION}""",
}
RESTART = {
    "postgresql": """SELECT setval(oid::regclass, 1, false) FROM pg_class
        WHERE relkind = 'S' AND relnamespace = current_schema::regnamespace""",
    "mariadb": """SELECT table_name FROM information_schema.tables
        WHERE table_schema = DATABASE() AND auto_increment > 1""",
}
ENUMS = "SELECT typname FROM pg_type WHERE typtype = 'e' AND typnamespace = current_schema::regnamespace"


def make_book_keeping(engine: Engine) -> None:
    """What the migrations make, as test_upgrade.py shows, in a third of their time."""
    with for_writing(engine).begin() as connection:
        if not inspect(connection).has_table(tables.message.name):
            tables.metadata.create_all(connection, checkfirst=False)
            command.stamp(alembic_config(connection), "head")
    if PARTED and engine.dialect.name == "postgresql":
        part(engine)


def part(engine: Engine, now: datetime | None = None, ahead: int = 2) -> list[Step]:
    """What `omreceiver db partition` does; gives what it did."""
    now = now or datetime.now(UTC)
    steps = parting.steps(engine, Limits.of(Settings(), now), now, ahead)
    for step in steps:
        if step.doing is not Doing.KEEP:
            parting.do(engine, step)
    return steps


@contextmanager
def prepared_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database whose book-keeping is there and empty. Skips, or fails in CI, when no server answers."""
    if kind == "sqlite":
        (folder / "test.db").write_bytes(_sqlite())
        yield f"sqlite:///{folder}/test.db"
        return
    space = _space(kind)
    try:
        yield space.url
    finally:
        try:
            is_as_new = space.is_as_new()
        except DBAPIError:
            # a test ended its connection, or took a table away
            is_as_new = False
        if not is_as_new:
            throw_away(kind)


def throw_away(*kinds: str) -> None:
    """Drop the spaces that this process has made of some kinds."""
    for kind in kinds:
        if kind in _made:
            _made.pop(kind).drop()


@cache
def _sqlite() -> bytes:
    """A file with the book-keeping in it."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "test.db")
        engine = open_engine(f"sqlite:///{file}")
        make_book_keeping(engine)
        engine.dispose()
        return file.read_bytes()


class _Space:
    """The space of this process on one server."""

    def __init__(self, kind: str) -> None:
        self.kind, self.name = kind, "books"
        self.server = server(kind)
        make_space(self.server, kind, self.name)
        self.url = url_of_space(kind, self.name)
        self.engine = create_engine(make_url(self.url).set(drivername=DRIVERS[kind]))
        make_book_keeping(self.engine)
        with self.engine.connect() as connection:
            self.holds = self._holds(connection)

    def is_as_new(self) -> bool:
        """Empty it; False when something is left."""
        with self.engine.begin() as connection:
            self._drop_others(connection)
            if self._holds(connection) != self.holds:
                return False
            rows = sum(connection.execute(text(f"DELETE FROM {name}")).rowcount for name in BOOKS)
            numbered = connection.execute(text(RESTART[self.kind])).scalars().all()
            for name in numbered if self.kind == "mariadb" else ():
                connection.execute(text(f"TRUNCATE TABLE {name}"))
            return rows < FEW

    def drop(self) -> None:
        self.engine.dispose()
        drop_space(self.server, self.kind, self.name)
        self.server.dispose()

    def _drop_others(self, connection: Connection) -> None:
        others = ", ".join(f"`{each}`" for each in self._others(connection))
        if others and self.kind == "mariadb":
            connection.execute(text("SET foreign_key_checks = 0"))
            connection.execute(text(f"DROP TABLE {others}"))
            connection.execute(text("SET foreign_key_checks = 1"))
        elif others:
            connection.execute(text(f"DROP TABLE {others} CASCADE".replace("`", '"')))
        for enum in connection.execute(text(ENUMS)).scalars().all() if self.kind == "postgresql" else ():
            connection.execute(text(f'DROP TYPE "{enum}"'))

    def _others(self, connection: Connection) -> list[str]:
        return [name for name in inspect(connection).get_table_names() if not name.startswith("om_")]

    def _holds(self, connection: Connection) -> list[str]:
        return sorted(connection.execute(text(HOLDS[self.kind])).scalars())


_made: dict[str, _Space] = {}


def _space(kind: str) -> _Space:
    if kind not in _made:
        _made[kind] = _Space(kind)
    return _made[kind]
