"""What is in quarantine or has been, as values, without the XML: open entries and settled ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from omreceiver.store import tables

Q = tables.quarantine.c


@dataclass(frozen=True)
class Held:
    """One notification that could not be stored, and what became of it later."""

    number: int
    quarantined_at: datetime
    organization_id: str
    notification_id: str
    message_id: int
    sobject: str | None
    record_id: str | None
    error: str
    reason: str
    attempts: int
    #: None while it is open
    settled_at: datetime | None
    outcome: str | None


COLUMNS = (
    *(Q.id, Q.quarantined_at, Q.organization_id, Q.notification_id, Q.message_id, Q.sobject, Q.record_id),
    *(Q.error, Q.reason, Q.attempts, Q.settled_at, Q.outcome),
)


def held_of(connection: Connection, notification_ids: Collection[str]) -> list[Held]:
    """The entries of some notifications, newest first."""
    if not notification_ids:
        return []
    wanted = select(*COLUMNS).where(Q.notification_id.in_(sorted(notification_ids))).order_by(Q.id.desc())
    return [Held(*tuple(row)) for row in connection.execute(wanted)]


def held(connection: Connection, *, settled: bool, limit: int, before: int | None = None) -> list[Held]:
    """The open entries, or the settled ones, newest first."""
    state = Q.settled_at.is_not(None) if settled else Q.settled_at.is_(None)
    wanted = select(*COLUMNS).where(state).order_by(Q.id.desc()).limit(limit)
    found = connection.execute(wanted if before is None else wanted.where(Q.id < before))
    return [Held(*tuple(row)) for row in found]
