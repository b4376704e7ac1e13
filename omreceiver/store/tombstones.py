"""Remembers which records are deleted and since when, lest an older message bring them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, text

from omreceiver.records.columns import MYSQL
from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.statements import among

T = tables.tombstone.c
LOCK = "hashtext('omreceiver deletes'), hashtext(current_schema())"
#: (for those who create records, for those who delete): a lock that the first share and the second have alone
GATES = {
    "postgresql": (f"SELECT pg_advisory_xact_lock_shared({LOCK})", f"SELECT pg_advisory_xact_lock({LOCK})"),
    # a table that has one row always
    **dict.fromkeys(
        MYSQL,
        (
            "SELECT version_num FROM om_alembic_version LOCK IN SHARE MODE",
            "SELECT version_num FROM om_alembic_version FOR UPDATE",
        ),
    ),
}


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


def gate(connection: Connection, *, is_delete: bool) -> None:
    """Who deletes a record that is not here yet, and who creates it in the same moment, cannot see each other's rows:
    they go one after the other, until the commit. SQLite has one writer at a time anyhow.
    """
    if connection.dialect.name in GATES:
        connection.execute(text(GATES[connection.dialect.name][is_delete]))


def known(connection: Connection, message: Message, ids: Collection[str]) -> dict[str, Gone]:
    """What is remembered of these records."""
    if not ids:
        return {}
    parameters = {"organization_id": message.organization_id, "ids": sorted(ids)}
    found = connection.execute(_known(connection.dialect.name), parameters)
    return {row.salesforce_id: Gone(row.deleted_at, row.displaced_at) for row in found}


@cache
def _known(dialect: str) -> Select[str, datetime, datetime]:
    mine = T.organization_id == bindparam("organization_id")
    return select(T.salesforce_id, T.deleted_at, T.displaced_at).where(mine, among(T.salesforce_id, "ids", dialect))


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
