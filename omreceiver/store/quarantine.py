"""Reads the quarantine. What goes in is written with the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, Select, select

from omreceiver.store import tables


@dataclass(frozen=True)
class Entry:
    """One notification that could not be stored, kept whole."""

    number: int
    quarantined_at: datetime
    organization_id: str
    notification_id: str
    message_id: int
    action_id: str
    sobject: str | None
    record_id: str | None
    error: str
    reason: str
    traceback: str | None
    fragment: str


def entries(engine: Engine) -> list[Entry]:
    """Everything in quarantine, newest first."""
    with engine.connect() as connection:
        return [Entry(*row) for row in connection.execute(_statement().order_by(tables.quarantine.c.id.desc()))]


def entry(engine: Engine, number: int) -> Entry | None:
    """The entry of a number, if there is one."""
    with engine.connect() as connection:
        row = connection.execute(_statement().where(tables.quarantine.c.id == number)).first()
        return _entry(row) if row else None


def _statement() -> Select[Any]:
    return select(*tables.quarantine.columns)


def _entry(row: Row[Any]) -> Entry:
    values = dict(row._mapping)
    return Entry(number=values.pop("id"), **values)
