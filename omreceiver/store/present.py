"""What the class tables hold now: the records of a plan, read once and locked, in one order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, case, func, or_, select, true

from omreceiver.records.layout import Layout
from omreceiver.store.plan import Plan
from omreceiver.store.prepared import prepared
from omreceiver.store.reading import Row
from omreceiver.store.statements import among, length_of
from omreceiver.store.tombstones import lock_name

#: where a column stands in a result; the root's also by their names, which are looked at for every record
Places = dict[Column[Any] | str, int]


@dataclass(frozen=True, slots=True)
class Present:
    """One record as the tables hold it, whatever its leaf class is."""

    root: Table
    values: tuple[Any, ...]
    place: Places

    def value(self, column: Column[Any]) -> Any:
        return self.values[self.place[column]]

    def has(self, table: Table) -> bool:
        """Whether the record has a row in a class table."""
        return table.c.external_id in self.place and self.value(table.c.external_id) is not None

    def attributes(self, layout: Layout) -> dict[str, Any]:
        """Attribute → value, of every column of a class; None for tables in which it has no row."""
        values, place = self.values, self.place
        return {attribute: values[place[column]] for attribute, column in layout.by_attribute.items()}

    @property
    def key(self) -> str:
        return str(self.values[self.place["external_id"]])

    @property
    def salesforce_id(self) -> str:
        return str(self.values[self.place["salesforce_id"]])

    @property
    def modstamp(self) -> datetime | None:
        stamp: datetime | None = self.values[self.place["modstamp"]]
        return stamp

    @property
    def child_name(self) -> str | None:
        """The name of its leaf class; None where no class is below the root's."""
        place = self.place.get("child_name")
        return None if place is None else str(self.values[place])

    def deleted_at(self, layout: Layout) -> datetime | None:
        """When it was deleted; None for one that lives, and where deleted ones are removed."""
        stamp: datetime | None = self.values[self.place["deleted_at"]] if layout.is_marked else None
        return stamp


@dataclass(frozen=True, slots=True)
class Found:
    """The records of a plan that are there, by root and key and by root and Salesforce ID."""

    by_key: dict[tuple[Table, str], Present] = field(default_factory=dict)
    by_id: dict[tuple[Table, str], Present] = field(default_factory=dict)

    def add(self, present: Present) -> None:
        self.by_key[present.root, present.key] = present
        self.by_id[present.root, present.salesforce_id] = present

    def without(self, leaving: Collection[Present]) -> Found:
        """The same without records that go: their keys are free."""
        gone = {id(present) for present in leaving}
        stays = Found()
        for present in self.by_id.values():
            if id(present) not in gone:
                stays.add(present)
        return stays if gone else self

    def of(self, row: Row) -> Present | None:
        """The record of a row's Salesforce ID."""
        return self.by_id.get((row.layout.root, row.salesforce_id))

    def holder(self, row: Row) -> Present | None:
        """The record that has a row's key."""
        return self.by_key.get((row.layout.root, row.key)) if row.key is not None else None

    def is_as_fresh_as(self, row: Row) -> bool:
        """Whether the record is here, and not older than a row; True where stamps do not tell."""
        there = self.of(row) or self.holder(row)
        if row.modstamp is None:
            return True
        return there is not None and (there.modstamp is None or there.modstamp >= row.modstamp)


def read(connection: Connection, plan: Plan) -> Found:
    """A statement for each root, one more on PostgreSQL where tables are below it; of one root unless the message tells
    of deletes. Locks the records by root and ascending key, so that two messages never wait for each other. On
    PostgreSQL whoever misses a record shares the gate around deletes from then on, see tombstones.py.
    """
    models, found = plan.reading.models, Found()
    for root, (keys, ids) in sorted(_wanted(plan).items(), key=lambda pair: pair[0].name):
        for present in _look(connection, models.tables_below(root), keys, ids, _gated):
            found.add(present)
    return found


def look(
    connection: Connection, tables: tuple[Table, ...], keys: Collection[str], ids: Collection[str]
) -> list[Present]:
    """The records of one root that have one of these keys or Salesforce IDs, locked by ascending key."""
    return _look(connection, tables, keys, ids, _statement)


def _look(
    connection: Connection,
    tables: tuple[Table, ...],
    keys: Collection[str],
    ids: Collection[str],
    make: Callable[[tuple[Table, ...], str], tuple[Select[Any], Places]],
) -> list[Present]:
    statement, place = make(tables, connection.dialect.name)
    parameters = {"keys": sorted(keys), "ids": sorted(ids)}
    if len(tables) > 1 and connection.dialect.name == "postgresql":
        prepared(_lock(tables[0]), connection).rows(connection, parameters)
    root, key = tables[0], place["external_id"]
    found = prepared(statement, connection).rows(connection, parameters)
    return [Present(root, values, place) for values in found if values[key] is not None]


def _wanted(plan: Plan) -> dict[Table, tuple[set[str], set[str]]]:
    """For each root the keys and the Salesforce IDs to look for."""
    wanted: dict[Table, tuple[set[str], set[str]]] = {}

    def want(root: Table, salesforce_id: str, keys: Collection[str]) -> None:
        both = wanted.setdefault(root, (set(), set()))
        both[0].update(keys)
        both[1].add(salesforce_id)

    for row in plan.rows:
        want(row.layout.root, row.salesforce_id, () if row.key is None else (row.key,))
    for delete in plan.deletes:
        # a name that no class takes is looked for in all: a trigger may write a label
        models = plan.reading.models
        for root in models.roots(delete.sobject) or models.roots():
            want(root, delete.salesforce_id, ())
    return wanted


@lru_cache(maxsize=128)
def _lock(root: Table) -> Select[Any]:
    """Locks the roots alone, first. PostgreSQL, when it has waited for a row's lock, looks at that row again but not
    at what is joined to it: the tables below would be read as they were before the other message.
    """
    key = root.c.external_id
    wanted = or_(among(key, "keys", "postgresql"), among(root.c.salesforce_id, "ids", "postgresql"))
    return select(key).where(wanted).order_by(key).with_for_update()


@lru_cache(maxsize=128)
def _statement(tables: tuple[Table, ...], dialect: str) -> tuple[Select[Any], Places]:
    root = tables[0]
    wanted = or_(among(root.c.external_id, "keys", dialect), among(root.c.salesforce_id, "ids", dialect))
    statement, place = joined(tables)
    return statement.where(wanted).with_for_update(of=root), place


@lru_cache(maxsize=128)
def _gated(tables: tuple[Table, ...], dialect: str) -> tuple[Select[Any], Places]:
    """On PostgreSQL the gate is asked for in the same statement, when a record is missing; what it says comes last, in
    a row of its own if there is no other.
    """
    statement, place = _statement(tables, dialect)
    if dialect != "postgresql":
        return statement, place
    here = statement.cte("here")
    columns = list(here.c)
    wanted = among(columns[place["salesforce_id"]], "ids", dialect)
    there = select(func.count()).select_from(here).where(wanted).scalar_subquery()
    shared = func.pg_advisory_xact_lock_shared(*lock_name())
    gate = select(case((there < length_of("ids"), shared)).label("shared")).subquery("gate")
    return select(*columns, gate.c.shared).select_from(gate.outerjoin(here, true())), place


@lru_cache(maxsize=128)
def joined(tables: tuple[Table, ...]) -> tuple[Select[Any], Places]:
    """Root and everything below it, outer joined, by key; with where each column stands in a result."""
    root, below = tables[0], tables[1:]
    source: Any = root
    for table in below:
        source = source.outerjoin(table, table.c.external_id == root.c.external_id)
    columns = [column for table in tables for column in table.c]
    place: Places = {column: at for at, column in enumerate(columns)}
    statement = select(*columns).select_from(source).order_by(root.c.external_id)
    return statement, place | {column.name: place[column] for column in root.c}
