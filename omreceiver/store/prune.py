"""Pruning: what is older than it has to be goes, a batch in a transaction, so that receiving goes on beside it.

Raw messages go first. The ledger outlives them: its lines go with their messages, and so do what was settled in
quarantine, tombstones, and events that every durable receiver has had. What is open in quarantine stays, and with it
its message and that message's lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Delete, Engine, Update, delete, exists, func, select, update

from omreceiver.config import Settings
from omreceiver.store import tables
from omreceiver.store.database import for_writing
from omreceiver.store.insist import insist
from omreceiver.store.partitions import parted

M = tables.message.c
N = tables.notification.c
Q = tables.quarantine.c
T = tables.tombstone.c
E = tables.event.c
D = tables.delivery.c

#: what is removed, in this order
KINDS = ("bodies", "messages", "notifications", "quarantined", "tombstones", "events")
#: of these whole months go where the table is parted, and the lines of the ledger, or deliveries, with them
BY_MONTH = {"messages": tables.message.name, "events": tables.event.name}
#: rows whose number is chosen at once; a message may have a hundred lines in the ledger
BATCH = 500
Columns = tuple[ColumnElement[Any], tuple[ColumnElement[bool], ...]]


@dataclass(frozen=True)
class Limits:
    """What is older than these goes."""

    bodies: datetime
    ledger: datetime

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> Limits:
        return cls(bodies=now - settings.keep_messages, ledger=now - settings.keep_ledger)

    def wanted(self, kind: str) -> Columns:
        """By which column, and under which conditions, the rows of a kind are found."""
        delivery = exists().where(D.event_id == E.id, D.delivered_at.is_(None))
        found: dict[str, Columns] = {
            "bodies": (M.id, (M.received_at < self.bodies, M.body.is_not(None))),
            "messages": (M.id, (M.received_at < self.ledger, M.id.not_in(_held()))),
            "quarantined": (Q.id, (Q.settled_at < self.ledger,)),
            "tombstones": (T.salesforce_id, (T.told_at < self.ledger,)),
            "events": (E.id, (E.created_at < self.ledger, ~delivery)),
        }
        return found[kind]


def _held() -> Any:
    """The messages that something open in quarantine came with."""
    return select(Q.message_id).where(Q.settled_at.is_(None))


def due(engine: Engine, limits: Limits) -> int:
    """How many rows there are to go, lines of the ledger not counted."""
    total = 0
    with engine.connect() as connection:
        for kind in _row_by_row(engine):
            if kind != "notifications":
                column, conditions = limits.wanted(kind)
                total += connection.scalar(select(func.count(column)).where(*conditions)) or 0
    return total


def prune(engine: Engine, limits: Limits) -> Iterator[Counter[str]]:
    """Remove it, and tell after each transaction how many of what have gone. Raises Unavailable.

    Of tables that are parted by month, whole months go, by `omreceiver db partition`.
    """
    kinds = _row_by_row(engine)
    for ids in _batches(engine, limits, "bodies"):
        yield _remove(engine, {"bodies": update(tables.message).where(M.id.in_(ids)).values(body=None)})
    for ids in _batches(engine, limits, "messages") if "messages" in kinds else ():
        lines = delete(tables.notification).where(N.message_id.in_(ids))
        yield _remove(engine, {"notifications": lines, "messages": delete(tables.message).where(M.id.in_(ids))})
    for ids in _batches(engine, limits, "quarantined"):
        yield _remove(engine, {"quarantined": delete(tables.quarantine).where(Q.id.in_(ids))})
    for ids in _batches(engine, limits, "tombstones"):
        old = delete(tables.tombstone).where(T.salesforce_id.in_(ids), T.told_at < limits.ledger)
        yield _remove(engine, {"tombstones": old})
    for ids in _batches(engine, limits, "events") if "events" in kinds else ():
        deliveries = delete(tables.delivery).where(D.event_id.in_(ids))
        yield _remove(engine, {"deliveries": deliveries, "events": delete(tables.event).where(E.id.in_(ids))})


def _row_by_row(engine: Engine) -> list[str]:
    """The kinds whose rows do not go with their month."""
    with engine.connect() as connection:
        whole = parted(connection)
    return [kind for kind in KINDS if BY_MONTH.get(kind) not in whole]


def _batches(engine: Engine, limits: Limits, kind: str) -> Iterator[list[Any]]:
    """What identifies the rows of a kind, some at a time, in order."""
    column, conditions = limits.wanted(kind)
    after: list[ColumnElement[bool]] = []
    while True:
        statement = select(column).where(*conditions, *after).order_by(column).limit(BATCH)
        with engine.connect() as connection:
            found = list(connection.scalars(statement))
        if found:
            yield found
        if len(found) < BATCH:
            return
        after = [column > found[-1]]


def _remove(engine: Engine, statements: Mapping[str, Update | Delete]) -> Counter[str]:
    """One transaction. Raises Unavailable."""

    def remove() -> Counter[str]:
        with for_writing(engine).begin() as connection:
            return Counter({kind: connection.execute(each).rowcount for kind, each in statements.items()})

    return insist(remove, "The database cannot prune now")
