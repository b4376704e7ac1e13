"""Writes events for durable receivers, on the transaction that writes the records. No receiver, no row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, literal_column, select

from omreceiver.records.values import as_text
from omreceiver.schema.notification import Message
from omreceiver.signals import Change
from omreceiver.signals.durable import Via, durable_receivers
from omreceiver.store import tables
from omreceiver.store.batch import insert_rows
from omreceiver.store.plan import Outcome
from omreceiver.store.tell import Changed

#: how far the clock of who delivers may be behind this one's: an event is due when it is written
CLOCKS = timedelta(minutes=1)
#: what PostgreSQL's listeners listen to: a channel is the whole database's, in which each schema may be a receiver's.
#: Names end at 63 bytes, and a notification of a longer one is an error
CHANNEL: ColumnElement[str] = literal_column("left('omreceiver.' || current_schema(), 63)")
#: event IDs of up to 19 digits in one notification, whose text PostgreSQL limits to 8000 bytes
IDS_IN_ONE = 390


def write(connection: Connection, message: Message, message_id: int, changed: Iterable[Changed]) -> None:
    """One event a written record that a durable receiver hears, one delivery a receiver."""
    if not durable_receivers.names():
        return
    now = datetime.now(UTC)
    due_at = now - CLOCKS
    told = [(change, _hearing(change)) for change in changed]
    heard = [(change, names) for change, names in told if names]
    ids = _insert(connection, [_event_row(message, message_id, change, now) for change, _ in heard])
    deliveries = [
        {"event_id": event_id, "receiver": name, "record_id": change.salesforce_id, "due_at": due_at, "attempts": 0}
        for event_id, (change, names) in zip(ids, heard, strict=True)
        for name in names
    ]
    insert_rows(connection, tables.delivery, deliveries)
    _notify(connection, deliveries)


def _hearing(change: Changed) -> list[str]:
    return durable_receivers.names_for(change.layout.model, change.changes())


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> list[int]:
    """Write events; gives their IDs, in the same order."""
    if not rows:
        return []
    if connection.dialect.insert_executemany_returning_sort_by_parameter_order:
        wanted = insert(tables.event).returning(tables.event.c.id, sort_by_parameter_order=True)
        return list(connection.scalars(wanted, rows))
    # MySQL returns nothing
    return [connection.execute(insert(tables.event), row).lastrowid for row in rows]


def _notify(connection: Connection, deliveries: list[dict[str, Any]]) -> None:
    """Wake the listeners when this transaction commits, on PostgreSQL; elsewhere there are none."""
    if connection.dialect.name != "postgresql":
        return
    names = set(durable_receivers.names(Via.NOTIFY))
    ids = list(dict.fromkeys(str(each["event_id"]) for each in deliveries if each["receiver"] in names))
    for at in range(0, len(ids), IDS_IN_ONE):
        connection.execute(select(func.pg_notify(CHANNEL, ",".join(ids[at : at + IDS_IN_ONE]))))


def _event_row(message: Message, message_id: int, change: Changed, now: datetime) -> dict[str, Any]:
    return {
        "created_at": now,
        "message_id": message_id,
        "notification_id": change.notification.id,
        "child_name": change.layout.name,
        "external_id": change.key,
        "created": change.outcome is Outcome.CREATED,
        "deleted": change.outcome is Outcome.DELETED,
        "raw": message.raw,
        "changed": {name: [plain(value) for value in both] for name, both in change.changes().items()},
    }


def plain(value: Any) -> Any:
    """A value as JSON holds it: a field's as Salesforce would write it, `extra` as it is."""
    return value if value is None or isinstance(value, dict) else as_text(value)


def changed_from(stored: dict[str, list[Any]], readers: dict[str, Any]) -> dict[str, Change]:
    """The changes of an event, read back by the readers of the class's attributes."""
    return {
        name: Change(*(readers[name](value) if name in readers and value is not None else value for value in pair))
        for name, pair in stored.items()
    }
