"""What a test does with deliveries: has them made, makes them due, counts them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import Engine, select, update

from omreceiver.app import parts_of
from omreceiver.relays import delivery
from omreceiver.relays.backlog import Backlog, backlogs
from omreceiver.relays.delivery import Fate
from omreceiver.store import tables


def deliver_all(app: Flask) -> list[Fate]:
    """What a relay does until nothing is due."""
    parts = parts_of(app)
    return list(iter(lambda: delivery.deliver_next(parts.engine, parts.models), None))


def make_due(app: Flask) -> None:
    """The pause is over."""
    with parts_of(app).engine.begin() as connection:
        waits = tables.delivery.c.due_at.is_not(None)
        connection.execute(update(tables.delivery).where(waits).values(due_at=datetime(2026, 1, 1, tzinfo=UTC)))


def waiting(engine: Engine) -> list[Backlog]:
    with engine.connect() as connection:
        return backlogs(connection)


def status(app: Flask) -> tuple[int, int, int]:
    """How many wait, how many of these have failed, how many are given up."""
    lines = waiting(parts_of(app).engine)
    return sum(x.waiting for x in lines), sum(x.failing for x in lines), sum(x.parked for x in lines)


def last_error(app: Flask) -> str:
    """Of the only delivery."""
    with parts_of(app).engine.connect() as connection:
        return connection.scalar(select(tables.delivery.c.error)) or ""


def attempts(app: Flask) -> list[int]:
    with parts_of(app).engine.connect() as connection:
        return list(connection.scalars(select(tables.delivery.c.attempts).order_by(tables.delivery.c.event_id)))


def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)
