"""What the class tables hold now: the rows of a plan, read once and locked, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, or_, select

from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.store.plan import Row
from omreceiver.store.statements import among


@dataclass(frozen=True, slots=True)
class Present:
    """One record as the tables hold it, whatever its leaf class is."""

    values: tuple[Any, ...]
    place: dict[Column[Any], int]

    def value(self, column: Column[Any]) -> Any:
        return self.values[self.place[column]]

    def has(self, table: Table) -> bool:
        """Whether the record has a row in a class table."""
        return table.c.external_id in self.place and self.value(table.c.external_id) is not None

    def attributes(self, layout: Layout) -> dict[str, Any]:
        """Attribute → value, of every column of a class; None for tables in which it has no row."""
        return {attribute: self.value(column) for attribute, column in layout.by_attribute.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """The records of a plan that are there, by key and by Salesforce ID."""

    by_key: dict[str, Present]
    by_id: dict[str, Present]

    def is_as_fresh_as(self, row: Row) -> bool:
        """Whether the record is here, and not older than a row; True where stamps do not tell."""
        there = self.by_id.get(row.salesforce_id) or self.by_key.get(row.key or "")
        if row.modstamp is None:
            return True
        known = there.value(row.layout.root.c.modstamp) if there else None
        return there is not None and (known is None or known >= row.modstamp)


def read(connection: Connection, models: Models, rows: Sequence[Row]) -> Found:
    """One statement for all rows. Locks them by ascending key, so that two messages never wait for each other."""
    if not rows:
        return Found({}, {})
    keys = {row.key for row in rows if row.key is not None}
    ids = {row.salesforce_id for row in rows}
    root = rows[0].layout.root
    tables = models.tables_below(root)
    statement, place = _statement(tables, connection.dialect.name)
    parameters = {"keys": sorted(keys), "ids": sorted(ids)}
    if len(tables) > 1 and connection.dialect.name == "postgresql":
        connection.execute(_lock(root), parameters)
    result = connection.execute(statement, parameters)
    found = [Present(tuple(values), place) for values in result]
    key, salesforce_id = root.c.external_id, root.c.salesforce_id
    return Found({p.value(key): p for p in found}, {p.value(salesforce_id): p for p in found})


@lru_cache(maxsize=128)
def _lock(root: Table) -> Select[Any]:
    """Locks the roots alone, first. PostgreSQL, when it has waited for a row's lock, looks at that row again but not
    at what is joined to it: the tables below would be read as they were before the other message.
    """
    key = root.c.external_id
    wanted = or_(among(key, "keys", "postgresql"), among(root.c.salesforce_id, "ids", "postgresql"))
    return select(key).where(wanted).order_by(key).with_for_update()


@lru_cache(maxsize=128)
def _statement(tables: tuple[Table, ...], dialect: str) -> tuple[Select[Any], dict[Column[Any], int]]:
    """Root and everything below it, outer joined, with where each column stands in a result."""
    root, below = tables[0], tables[1:]
    joined: Any = root
    for table in below:
        joined = joined.outerjoin(table, table.c.external_id == root.c.external_id)
    columns = [column for table in tables for column in table.c]
    wanted = or_(among(root.c.external_id, "keys", dialect), among(root.c.salesforce_id, "ids", dialect))
    statement = select(*columns).select_from(joined).where(wanted).order_by(root.c.external_id)
    return statement.with_for_update(of=root), {column: at for at, column in enumerate(columns)}
