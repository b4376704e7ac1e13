"""Batch: rows on their way into tables, many rows of one table at once, in the form that each database does best.

PostgreSQL: they wait until the ledger's rows are there, and go with them in one statement, see documents.py. MariaDB
takes one INSERT of many rows; SQLite runs a prepared statement over the rows inside the process. A row is a dict of
column name → value; all rows have the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, Update, bindparam, insert, update
from sqlalchemy.dialects import mysql

from omreceiver.records.columns import MYSQL
from omreceiver.store.prepared import OF_ROW, prepared
from omreceiver.store.statements import KEY

Row = dict[str, Any]
Rows = Sequence[Row]


class Doubted(Exception):
    """What was taken for granted is not so; the batch must not be committed."""


class Batch:
    """Rows for SQLite and MariaDB, each table's sent at once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def insert(self, table: Table, rows: Rows) -> None:
        """Insert rows that are not there. Raises IntegrityError when one is, or when it breaks a constraint: now, or
        when the batch is sent.
        """
        if rows:
            prepared(_insert(table, tuple(rows[0])), self.connection).each(self.connection, rows)

    def update(self, table: Table, rows: Rows) -> None:
        """Update rows by their external_id."""
        if not rows:
            return
        names = tuple(rows[0])
        is_mysql = self.connection.dialect.name in MYSQL
        statement = _upsert(table, names) if is_mysql else _update(table, names)
        prepared(statement, self.connection).each(self.connection, rows)

    def doubt(self, statement: Select[Any], parameters: Mapping[str, Any]) -> None:
        """Raises Doubted when the first column of a SELECT holds anything: now, or when the batch is sent."""
        if any(row[0] is not None for row in prepared(statement, self.connection).rows(self.connection, parameters)):
            raise Doubted

    def send(self) -> None:
        """All is in the tables from now on."""

    def drop(self) -> None:
        """Nothing waits any more."""

    @contextmanager
    def saved(self) -> Iterator[None]:
        """A savepoint: what is inserted and updated within is sent at its end, or not at all."""
        try:
            with self.connection.begin_nested():
                yield
                self.send()
        finally:
            self.drop()

    def send_with(self, parent: Table, row: Row, table: Table, rows: Rows, link: str) -> int:
        """The same, and a row with those that belong to it; gives its id, which they hold in the column `link`."""
        row_id = prepared(_insert(parent, tuple(row)), self.connection).insert(self.connection, row)
        self.insert(table, [{**each, link: row_id} for each in rows])
        return row_id


def batch(connection: Connection) -> Batch:
    """An empty one."""
    return _kind(connection.dialect.name)(connection)


@cache
def _kind(dialect: str) -> type[Batch]:
    if dialect == "postgresql":
        from omreceiver.store.documents import Documents

        return Documents
    return Batch


def insert_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows that are not there, now."""
    sent = batch(connection)
    sent.insert(table, rows)
    sent.send()


@lru_cache(maxsize=512)
def _insert(table: Table, names: tuple[str, ...]) -> Insert:
    return insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in names})


@lru_cache(maxsize=512)
def _upsert(table: Table, names: tuple[str, ...]) -> mysql.Insert:
    statement = mysql.insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in names})
    return statement.on_duplicate_key_update({name: statement.inserted[name] for name in names})


@lru_cache(maxsize=512)
def _update(table: Table, names: tuple[str, ...]) -> Update:
    given = {name: bindparam(OF_ROW + name, type_=table.c[name].type) for name in names}
    return update(table).values({name: given[name] for name in names if name != KEY}).where(table.c[KEY] == given[KEY])
