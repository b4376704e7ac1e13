"""Pruning: raw messages leave after their time, a batch at a time, so that receiving goes on beside it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select, update

from omreceiver.store import tables
from omreceiver.store.database import for_writing

BATCH = 1000


def prune_bodies(engine: Engine, before: datetime) -> int:
    """Empty the body of every message received before a time; gives how many. The message's line stays."""
    total = 0
    while ids := _next_ids(engine, before):
        with for_writing(engine).begin() as connection:
            connection.execute(update(tables.message).where(tables.message.c.id.in_(ids)).values(body=None))
        total += len(ids)
    return total


def _next_ids(engine: Engine, before: datetime) -> list[int]:
    m = tables.message.c
    wanted = select(m.id).where(m.received_at < before, m.body.is_not(None)).order_by(m.id).limit(BATCH)
    with engine.connect() as connection:
        return list(connection.scalars(wanted))
