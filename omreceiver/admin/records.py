"""Where a record is now: its class, tables, key and stamp, or when it was deleted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, select

from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.store import tables

T = tables.tombstone.c


@dataclass(frozen=True)
class RecordLine:
    """One record as the class tables hold it, without its values."""

    salesforce_id: str
    organization_id: str
    #: the leaf class, as the discriminator names it
    name: str
    sobject: str | None
    tables: tuple[str, ...]
    key: str
    modstamp: datetime | None
    #: for a class that marks what is deleted
    deleted_at: datetime | None


@dataclass(frozen=True)
class TombstoneLine:
    """What is remembered of a record that is not here any more."""

    salesforce_id: str
    organization_id: str
    deleted_at: datetime | None
    #: the stamp that it had when its row became another record's
    displaced_at: datetime | None
    #: when it was told here
    told_at: datetime


def by_id(connection: Connection, models: Models, ids: Collection[str]) -> list[RecordLine]:
    """The record of a Salesforce ID; one statement for each root."""
    return [line for root in models.roots() for line in _found(connection, models, root, root.c.salesforce_id.in_(ids))]


def by_key(connection: Connection, models: Models, key: str) -> list[RecordLine]:
    """The records with an external ID, of all roots."""
    return [line for root in models.roots() for line in _found(connection, models, root, root.c.external_id == key)]


def tombstones(connection: Connection, ids: Collection[str]) -> list[TombstoneLine]:
    """What is kept of a record that has gone."""
    columns = (T.salesforce_id, T.organization_id, T.deleted_at, T.displaced_at, T.told_at)
    return [TombstoneLine(*row) for row in connection.execute(select(*columns).where(T.salesforce_id.in_(ids)))]


def _found(connection: Connection, models: Models, root: Table, wanted: ColumnElement[bool]) -> list[RecordLine]:
    optional = [root.c[name] for name in ("child_name", "deleted_at") if name in root.c]
    needed: list[Column[Any]] = [root.c[n] for n in ("salesforce_id", "organization_id", "external_id", "modstamp")]
    return [_line(models, root, row) for row in connection.execute(select(*needed, *optional).where(wanted))]


def _line(models: Models, root: Table, row: Row[Any]) -> RecordLine:
    values = row._mapping
    name = values.get("child_name")
    layout = models.named(name, root) if name else next(each for each in models if each.root is root)
    return RecordLine(
        salesforce_id=values["salesforce_id"],
        organization_id=values["organization_id"],
        name=name or (layout.name if layout else root.name),
        sobject=layout.model.__sobject__ if layout else None,
        tables=_tables(layout, root),
        key=values["external_id"],
        modstamp=values["modstamp"],
        deleted_at=values.get("deleted_at"),
    )


def _tables(layout: Layout | None, root: Table) -> tuple[str, ...]:
    """A class that is no longer there has left its root."""
    return tuple(table.name for table in layout.tables) if layout else (root.name,)
