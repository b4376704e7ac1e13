"""Writes events for durable receivers, on the transaction that writes the records. No receiver, no row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from omreceiver.records.values import as_text
from omreceiver.schema.notification import Message
from omreceiver.signals import Change, durable_receivers
from omreceiver.store import tables
from omreceiver.store.plan import Outcome
from omreceiver.store.saves import Save
from omreceiver.store.statements import insert_rows


def write(connection: Connection, message: Message, message_id: int, saves: Iterable[Save]) -> None:
    """One event a written record that a durable receiver hears, one delivery a receiver."""
    now = datetime.now(UTC)
    heard = [(s, names) for s in saves if s.is_written and (names := durable_receivers.names_for(s.layout.model))]
    deliveries: list[dict[str, Any]] = []
    for save, names in heard:
        inserted = connection.execute(insert(tables.event), _event_row(message, message_id, save, now))
        event_id = inserted.inserted_primary_key[0] if inserted.inserted_primary_key else None
        deliveries += [{"event_id": event_id, "receiver": n, "due_at": now, "attempts": 0} for n in names]
    insert_rows(connection, tables.delivery, deliveries)


def _event_row(message: Message, message_id: int, save: Save, now: datetime) -> dict[str, Any]:
    return {
        "created_at": now,
        "message_id": message_id,
        "notification_id": save.row.notification.id,
        "child_name": save.layout.name,
        "external_id": save.key,
        "created": save.outcome is Outcome.CREATED,
        "raw": message.raw,
        "changed": {name: [_plain(value) for value in change] for name, change in save.changes().items()},
    }


def _plain(value: Any) -> Any:
    """A value as JSON holds it: a field's as Salesforce would write it, `extra` as it is."""
    return value if value is None or isinstance(value, dict) else as_text(value)


def changed_from(stored: dict[str, list[Any]], readers: dict[str, Any]) -> dict[str, Change]:
    """The changes of an event, read back by the readers of the class's attributes."""
    return {
        name: Change(*(readers[name](value) if name in readers and value is not None else value for value in pair))
        for name, pair in stored.items()
    }
