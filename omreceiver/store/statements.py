"""Set-based statements: many rows of one table at once, in the form that each database does best.

PostgreSQL takes all rows as one JSON document (measured: a quarter of the client's time of one array a column);
MariaDB takes one INSERT of many rows; SQLite runs a prepared statement over the rows inside the process.
A row is a dict of column name → value; all rows have the same names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Executable,
    FromClause,
    Insert,
    LargeBinary,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects import mysql, postgresql

from omreceiver.records.columns import MYSQL, ExactString

KEY = "external_id"
#: an execution option: root → all tables of its records, where no foreign key holds them together
LOOSE = "omreceiver_loose"
Rows = Sequence[dict[str, Any]]
T = TypeVar("T")


def in_parts(found: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The same, some at a time."""
    return (found[start : start + size] for start in range(0, len(found), size))


def among(of: Column[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Whether a column is one of a list of texts. On PostgreSQL the list is one parameter, whatever its length."""
    if dialect == "postgresql":
        return of == any_(bindparam(name, type_=postgresql.ARRAY(postgresql.TEXT(), dimensions=1)))
    return of.in_(bindparam(name, expanding=True))


def insert_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows that are not there. Raises IntegrityError when one is, or when it breaks a constraint."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        names = tuple(rows[0])
        connection.execute(_insert_document(table, names), _document(connection.dialect, table, names, rows))
    else:
        connection.execute(_insert(table), list(rows))


def insert_under(
    connection: Connection, parent: Table, row: dict[str, Any], table: Table, rows: Rows, link: str
) -> int:
    """Insert a row and those that belong to it; gives its id, which they hold in the column `link`."""
    if rows and connection.dialect.name == "postgresql":
        names = tuple(rows[0])
        parameters = {f"p_{name}": value for name, value in row.items()}
        document = _document(connection.dialect, table, names, rows)
        statement = _insert_family(parent, tuple(row), table, names, link)
        return int(connection.scalars(statement, parameters | document).first() or 0)
    inserted = connection.execute(_insert(parent), row).inserted_primary_key
    row_id = int(inserted[0]) if inserted else 0
    insert_rows(connection, table, [{**each, link: row_id} for each in rows])
    return row_id


def update_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Update rows by their external_id."""
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        connection.execute(_update_document(table, names), _document(connection.dialect, table, names, rows))
    elif connection.dialect.name in MYSQL:
        connection.execute(_upsert(table, names), list(rows))
    else:
        connection.execute(_update_each(table, names), [{f"b_{n}": row[n] for n in names} for row in rows])


def delete_rows(connection: Connection, table: Table, keys: Sequence[str]) -> None:
    if keys:
        connection.execute(_delete(table), {"keys": list(keys)})


def rekey_rows(connection: Connection, table: Table, keys: Sequence[tuple[str, str]]) -> None:
    """Move keys (old, new) in a root; ON UPDATE CASCADE carries them through every table below, or this where there is
    none.
    """
    if keys:
        loose = connection.get_execution_options().get(LOOSE, {})
        for each in loose.get(table, (table,)):
            connection.execute(_rekey(each), [{"old_key": old, "new_key": new} for old, new in keys])


@lru_cache(maxsize=512)
def _insert(table: Table) -> Insert:
    return insert(table)


@lru_cache(maxsize=512)
def _insert_family(
    parent: Table, parent_names: tuple[str, ...], table: Table, names: tuple[str, ...], link: str
) -> Executable:
    """WITH parent AS (INSERT … RETURNING id) INSERT INTO table SELECT incoming.*, parent.id … RETURNING link"""
    values = {name: bindparam(f"p_{name}", type_=parent.c[name].type) for name in parent_names}
    above = insert(parent).values(values).returning(parent.c.id).cte("parent")
    incoming = _incoming(table, names)
    everything = select(*incoming.c, above.c.id).select_from(incoming.join(above, true()))
    return insert(table).from_select([*names, link], everything, include_defaults=False).returning(table.c[link])


@lru_cache(maxsize=512)
def _insert_document(table: Table, names: tuple[str, ...]) -> Executable:
    incoming = _incoming(table, names)
    return insert(table).from_select(list(names), select(*incoming.c), include_defaults=False)


@lru_cache(maxsize=512)
def _update_document(table: Table, names: tuple[str, ...]) -> Update:
    incoming = _incoming(table, names)
    values = {name: incoming.c[name] for name in names if name != KEY}
    return update(table).values(values).where(table.c[KEY] == incoming.c[KEY])


def _incoming(table: Table, names: tuple[str, ...]) -> FromClause:
    """json_to_recordset(:rows) AS incoming(a text, b numeric, …)"""
    columns = [column(name, _plain(table.c[name])) for name in names]
    document = cast(bindparam("rows", type_=Text()), postgresql.JSON())
    return func.json_to_recordset(document).table_valued(*columns).render_derived(name="incoming", with_types=True)


def _plain(of: Column[Any]) -> Any:
    """A column's type without a collation, which the list of a recordset's columns cannot name."""
    return Text() if isinstance(of.type, ExactString) else of.type


def _document(dialect: Dialect, table: Table, names: tuple[str, ...], rows: Rows) -> dict[str, str]:
    """The rows as JSON, each value as its column's type would bind it."""
    processors = _processors(dialect, table, names)
    if processors:
        rows = [row | {name: bind(row[name]) for name, bind in processors} for row in rows]
    return {"rows": json.dumps(rows, default=_as_json, ensure_ascii=False)}


@lru_cache(maxsize=512)
def _processors(dialect: Dialect, table: Table, names: tuple[str, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
    """What the types of these columns do to a value; JSON goes into the document as it is, bytes by _as_json."""
    found = [(name, table.c[name].type.dialect_impl(dialect)) for name in names]
    bound = [(name, kind.bind_processor(dialect)) for name, kind in found if not isinstance(kind, JSON | LargeBinary)]
    return [(name, bind) for name, bind in bound if bind is not None]


def _as_json(value: object) -> str:
    """What JSON has no word for, as PostgreSQL reads it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return f"\\x{bytes(value).hex()}"
    return str(value)


@lru_cache(maxsize=512)
def _upsert(table: Table, names: tuple[str, ...]) -> mysql.Insert:
    statement = mysql.insert(table)
    return statement.on_duplicate_key_update({name: statement.inserted[name] for name in names})


@lru_cache(maxsize=512)
def _update_each(table: Table, names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"b_{name}") for name in names if name != KEY}
    return update(table).values(values).where(table.c[KEY] == bindparam(f"b_{KEY}"))


@lru_cache(maxsize=512)
def _delete(table: Table) -> Delete:
    return delete(table).where(table.c[KEY].in_(bindparam("keys", expanding=True)))


@lru_cache(maxsize=512)
def _rekey(table: Table) -> Update:
    return update(table).values({KEY: bindparam("new_key")}).where(table.c[KEY] == bindparam("old_key"))
