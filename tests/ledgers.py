"""What the store writes into the ledger, written by hand: details, deliveries, tombstones, settled quarantine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import insert, update

from omreceiver.app import parts_of
from omreceiver.store import tables
from omreceiver.testing.messages import ORGANIZATION


def at(second: int) -> datetime:
    return datetime(2026, 7, 1, 12, 0, second, tzinfo=UTC)


def tell(app: Flask, notification_id: str, **values: Any) -> None:
    """Set columns of a notification's line, such as `detail`."""
    mine = tables.notification.c.notification_id == notification_id
    with parts_of(app).engine.begin() as connection:
        assert connection.execute(update(tables.notification).where(mine).values(values)).rowcount == 1


def bury(app: Flask, salesforce_id: str, **stamps: datetime) -> None:
    """A tombstone, with `told_at`, and `deleted_at` or `displaced_at`."""
    row = {"salesforce_id": salesforce_id, "organization_id": ORGANIZATION}
    with parts_of(app).engine.begin() as connection:
        connection.execute(insert(tables.tombstone), {**row, **stamps})


def settle(app: Flask, number: int, outcome: str, settled_at: datetime) -> None:
    """An entry of quarantine that was tried once more, and left."""
    values = {"settled_at": settled_at, "outcome": outcome, "attempts": 1}
    with parts_of(app).engine.begin() as connection:
        connection.execute(update(tables.quarantine).where(tables.quarantine.c.id == number).values(values))


def deliver(app: Flask, notification_id: str, **receivers: dict[str, Any]) -> None:
    """An event of a notification, and how far each durable receiver is with it."""
    event = {"created_at": at(0), "message_id": 1, "notification_id": notification_id, "child_name": "Contact"}
    event |= {"external_id": "c-1", "created": True, "deleted": False, "raw": False, "changed": {}}
    with parts_of(app).engine.begin() as connection:
        [event_id] = connection.execute(insert(tables.event), event).inserted_primary_key or [None]
        for name, state in receivers.items():
            row = {"due_at": None, "delivered_at": None, "attempts": 1, "error": None, **state}
            connection.execute(insert(tables.delivery), {"event_id": event_id, "receiver": name, **row})
