"""The batch for PostgreSQL: the rows of a table are one JSON document, and all tables of a message one statement.

    WITH part_0 AS (INSERT INTO account (…) SELECT … FROM json_to_recordset(:rows_0) AS incoming(a text, b numeric…)),
         part_1 AS (UPDATE …), parent AS (INSERT INTO om_message … RETURNING id),
         lines AS (INSERT INTO om_notification …)
    SELECT parent.id, (SELECT count(*) FROM …) FROM parent

Measured: a document costs the client a tenth of one array a column, and the server as much. That the ledger goes with
the records saves a round trip, of which a small message has four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from json import dumps
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    JSON,
    Column,
    Connection,
    Dialect,
    FromClause,
    Insert,
    LargeBinary,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql

from omreceiver.records.columns import ExactString
from omreceiver.store.batch import Batch, Doubted, Row, Rows
from omreceiver.store.prepared import prepared
from omreceiver.store.statements import KEY

#: makes a statement of a table, of the names of its columns, and of what the document with the rows is called
Make = Callable[[Table, tuple[str, ...], str], Insert | Update]
#: what is done with one table
Shape = tuple[Make, Table, tuple[str, ...]]


@dataclass(frozen=True)
class Part:
    """The rows of one table that wait to be sent."""

    make: Make
    table: Table
    rows: Rows

    @property
    def shape(self) -> Shape:
        return self.make, self.table, tuple(self.rows[0])


class Documents(Batch):
    """Rows for PostgreSQL, sent together."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.parts: list[Part] = []
        self.doubts: list[tuple[Select[Any], Mapping[str, Any]]] = []

    def insert(self, table: Table, rows: Rows) -> None:
        if rows:
            self.parts.append(Part(_insert, table, rows))

    def update(self, table: Table, rows: Rows) -> None:
        if rows:
            self.parts.append(Part(_update, table, rows))

    def doubt(self, statement: Select[Any], parameters: Mapping[str, Any]) -> None:
        self.doubts.append((statement, parameters))

    def drop(self) -> None:
        self.parts.clear()

    def send(self) -> None:
        dialect = self.connection.dialect
        for part in self.parts:
            statement = prepared(_alone(part.shape), self.connection)
            statement.run(self.connection, {"rows": document(dialect, part.table, part.rows)})
        self.parts.clear()

    def send_with(self, parent: Table, row: Row, table: Table, rows: Rows, link: str) -> int:
        dialect = self.connection.dialect
        shapes, doubts = tuple(part.shape for part in self.parts), tuple(each for each, _ in self.doubts)
        names = tuple(rows[0]) if rows else ()
        statement = _together(shapes, parent, tuple(row), table, names, link, doubts)
        parameters = {f"rows_{at}": document(dialect, part.table, part.rows) for at, part in enumerate(self.parts)}
        if rows:
            parameters["rows"] = document(dialect, table, rows)
        parameters |= {f"p_{name}": value for name, value in row.items()}
        for _, asked in self.doubts:
            parameters |= asked
        [(row_id, *found)] = prepared(statement, self.connection).rows(self.connection, parameters)
        if any(found):
            raise Doubted
        self.parts.clear()
        self.doubts.clear()
        return int(row_id)


@lru_cache(maxsize=512)
def _alone(shape: Shape) -> Insert | Update:
    make, table, names = shape
    return make(table, names, "rows")


@lru_cache(maxsize=512)
def _together(
    shapes: tuple[Shape, ...],
    parent: Table,
    parent_names: tuple[str, ...],
    table: Table,
    names: tuple[str, ...],
    link: str,
    doubts: tuple[Select[Any], ...],
) -> Select[Any]:
    """Everything in one statement, which gives the id of the parent's row and what each of the doubts has found."""
    parts = [make(of, columns, f"rows_{at}").cte(f"part_{at}") for at, (make, of, columns) in enumerate(shapes)]
    values = {name: bindparam(f"p_{name}", type_=parent.c[name].type) for name in parent_names}
    above = insert(parent).values(values).returning(parent.c.id).cte("parent")
    counts = [select(func.count()).select_from(doubt.subquery()).scalar_subquery() for doubt in doubts]
    lines = [_lines(above, table, names, link)] if names else []
    return select(above.c.id, *counts).add_cte(*parts, *lines)


def _lines(above: CTE, table: Table, names: tuple[str, ...], link: str) -> CTE:
    incoming = _incoming(table, names, "rows")
    everything = select(*incoming.c, above.c.id).select_from(incoming.join(above, true()))
    return insert(table).from_select([*names, link], everything, include_defaults=False).cte("lines")


def _insert(table: Table, names: tuple[str, ...], rows: str) -> Insert:
    incoming = _incoming(table, names, rows)
    return insert(table).from_select(list(names), select(*incoming.c), include_defaults=False)


def _update(table: Table, names: tuple[str, ...], rows: str) -> Update:
    incoming = _incoming(table, names, rows)
    values = {name: incoming.c[name] for name in names if name != KEY}
    return update(table).values(values).where(table.c[KEY] == incoming.c[KEY])


def _incoming(table: Table, names: tuple[str, ...], rows: str) -> FromClause:
    """json_to_recordset(:rows) AS incoming(a text, b numeric, …)"""
    columns = [column(name, _plain(table.c[name])) for name in names]
    given = cast(bindparam(rows, type_=Text()), postgresql.JSON())
    return func.json_to_recordset(given).table_valued(*columns).render_derived(name="incoming", with_types=True)


def _plain(of: Column[Any]) -> Any:
    """A column's type without a collation, which the list of a recordset's columns cannot name."""
    return Text() if isinstance(of.type, ExactString) else of.type


def document(dialect: Dialect, table: Table, rows: Rows) -> str:
    """The rows as JSON, each value as its column's type would bind it."""
    if binds := _binds(dialect, table, tuple(rows[0])):
        rows = [row | {name: bind(row[name]) for name, bind in binds} for row in rows]
    try:
        return orjson.dumps(rows, default=_as_json).decode()
    except TypeError:
        # what it does not take, such as a number of more than 64 bits: the database shall say what it thinks of it
        return dumps(rows, default=_as_json, ensure_ascii=False)


@lru_cache(maxsize=512)
def _binds(dialect: Dialect, table: Table, names: tuple[str, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
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
