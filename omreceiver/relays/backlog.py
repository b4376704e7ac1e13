"""What durable receivers are still to hear, for people: one statement, over what is not delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from omreceiver.store import tables

E, D = tables.event.c, tables.delivery.c


@dataclass(frozen=True)
class Backlog:
    """The deliveries of one durable receiver that are not done."""

    receiver: str
    waiting: int
    #: of these, those that have failed, or were held up by a broker that was away
    failing: int
    #: given up after the last attempt
    parked: int
    #: when the oldest that waits was written
    oldest: datetime | None
    #: of the oldest that is failing or parked
    error: str | None


def backlogs(connection: Connection) -> list[Backlog]:
    """One for each receiver that has any, by name."""
    waits = D.due_at.is_not(None)
    fails, parked = waits & D.error.is_not(None), D.due_at.is_(None)
    counted = [func.count(case((each, 1))).label(str(at)) for at, each in enumerate((waits, fails, parked))]
    oldest = func.min(case((waits, D.event_id))).label("oldest")
    erring = func.min(case((D.error.is_not(None), D.event_id))).label("erring")
    lines = select(D.receiver, *counted, oldest, erring).where(D.delivered_at.is_(None)).group_by(D.receiver)
    open_ = lines.subquery()
    *told, waiting_id, erring_id = open_.c
    failed = tables.delivery.alias("failed")
    joined = open_.outerjoin(tables.event, E.id == waiting_id).outerjoin(
        failed, and_(failed.c.event_id == erring_id, failed.c.receiver == open_.c.receiver)
    )
    wanted = select(*told, E.created_at, failed.c.error).select_from(joined)
    return [Backlog(*tuple[Any, ...](row)) for row in connection.execute(wanted.order_by(open_.c.receiver))]
