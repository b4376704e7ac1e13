"""Remembers which records are deleted and since when, lest an older message bring them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
)

from omreceiver.records.columns import MYSQL
from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.batch import Batch
from omreceiver.store.prepared import prepared
from omreceiver.store.statements import among

T = tables.tombstone.c
#: a table that has one row always
GATE = table("om_alembic_version", column("version_num"))


@dataclass(frozen=True)
class Gone:
    """What is remembered of a record that is not here: since when it is deleted, and the stamp that it had when its
    place became another record's.
    """

    deleted_at: datetime | None = None
    displaced_at: datetime | None = None

    def joined(self, other: Gone) -> Gone:
        """Of two that are told of one record, the later times."""
        return Gone(_later(self.deleted_at, other.deleted_at), _later(self.displaced_at, other.displaced_at))

    def until(self, *, is_marked: bool) -> datetime | None:
        """Up to when a save is too old to make the record anew. Where deleted ones are marked, one that is older than
        the deletion makes a row that is marked.
        """
        return self.displaced_at if is_marked else _later(self.deleted_at, self.displaced_at)


NOTHING = Gone()


def _later(*stamps: datetime | None) -> datetime | None:
    return max(filter(None, stamps), default=None)


def close(connection: Connection) -> None:
    """Who deletes a record that is not here yet, and who creates it in the same moment, cannot see each other's rows:
    they go one after the other, until the commit. This is the gate of those who delete, which they have alone; SQLite
    has one writer at a time anyhow.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(*lock_name())))
    elif connection.dialect.name in MYSQL:
        connection.execute(select(GATE).with_for_update())


def lock_name() -> tuple[ColumnElement[int], ColumnElement[int]]:
    """What the gate is called on PostgreSQL; those who create records share it, see present.py."""
    return func.hashtext(literal_column("'omreceiver deletes'")), func.hashtext(func.current_schema())


def known(connection: Connection, message: Message, ids: Collection[str]) -> dict[str, Gone]:
    """What is remembered of these records. On MariaDB those who create records share the gate from here on."""
    if not ids:
        return {}
    found = prepared(_known(connection.dialect.name), connection).rows(connection, _parameters(message, ids))
    return {row[0]: Gone(row[1], row[2]) for row in found if row[0] is not None}


def doubt(batch: Batch, message: Message, ids: Collection[str]) -> None:
    """Nothing may be remembered of these records when the batch is sent, or it raises Doubted."""
    if ids:
        batch.doubt(_known(batch.connection.dialect.name), _parameters(message, ids))


def _parameters(message: Message, ids: Collection[str]) -> dict[str, Any]:
    return {"organization_id": message.organization_id, "ids": sorted(ids)}


@cache
def _known(dialect: str) -> Select[Any]:
    mine = (T.organization_id == bindparam("organization_id")) & among(T.salesforce_id, "ids", dialect)
    asked = select(T.salesforce_id, T.deleted_at, T.displaced_at)
    if dialect not in MYSQL:
        return asked.where(mine)
    # a locking read waits for the gate first, and then sees what was committed meanwhile
    return asked.select_from(GATE.outerjoin(tables.tombstone, mine)).with_for_update(read=True)


def remember(connection: Connection, message: Message, gone: Mapping[str, Gone]) -> None:
    """Keep that records are not here any more."""
    there = known(connection, message, gone)
    joined = {each: gone[each].joined(there.get(each, NOTHING)) for each in sorted(gone)}
    new = {each: told for each, told in joined.items() if told != there.get(each, NOTHING)}
    if not new:
        return
    forget(connection, message, new.keys() & there)
    told = {"organization_id": message.organization_id, "told_at": datetime.now(UTC)}
    connection.execute(insert(tables.tombstone), [{"salesforce_id": i, **asdict(g), **told} for i, g in new.items()])


def forget(connection: Connection, message: Message, ids: Collection[str]) -> None:
    """Of records that are back."""
    if ids:
        mine = (T.organization_id == message.organization_id) & T.salesforce_id.in_(sorted(ids))
        connection.execute(delete(tables.tombstone).where(mine))
