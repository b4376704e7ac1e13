"""The outbox: who may deliver which event now, and what became of it. Its statements, and nothing that calls.

A delivery is claimed by moving its `due_at` into the future (a lease, see lease.py), so that several relays share the
work and none holds a lock while a receiver runs. One that failed is due again after a pause that doubles each time with
some jitter, up to a limit; then it is parked: its error stays and `due_at` is NULL.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, or_, select, text, update

from omreceiver.relays import lease
from omreceiver.store import tables
from omreceiver.store.database import for_writing
from omreceiver.store.text import storable

log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=2)
ATTEMPTS = 20
#: letters of an error that are kept
LONGEST_ERROR = 10_000
#: what another process was told to deliver is told again when it has not begun by then: somebody lost it
HANDED_OVER = timedelta(hours=1)

EVENT = tables.event.c
DELIVERY = tables.delivery.c


@dataclass(frozen=True)
class Claim:
    """A delivery that is this process's until its lease runs out."""

    #: its columns, and those of its event
    event: Row[Any]
    #: how often its receiver was called, this time included
    attempts: int

    @property
    def is_last(self) -> bool:
        return self.attempts >= ATTEMPTS


def claim(
    engine: Engine,
    names: Collection[str],
    to_hand_over: Collection[str] = (),
    message_id: int | None = None,
    until: datetime | None = None,
) -> Claim | None:
    """Take the oldest delivery to one of these receivers that is due now, or was `until` then, of a message if one is
    given; no other process gets it before the lease has run out.

    One `to_hand_over` is for another process, which is told of it and claims it then: its receiver is not called yet.
    """
    return _take(engine, _due([*names, *to_hand_over], until or datetime.now(UTC), message_id), to_hand_over)


def claim_handed_over(engine: Engine, event_id: int, receiver: str, attempts: int) -> Claim | None:
    """Take a delivery that was handed over; None when somebody else has called its receiver since."""
    mine = (DELIVERY.event_id == event_id, DELIVERY.receiver == receiver, DELIVERY.attempts == attempts)
    return _take(engine, _deliveries(*mine, DELIVERY.due_at.is_not(None)))


def leased(engine: Engine, taken: Claim) -> AbstractContextManager[None]:
    """Keep it while the block runs. On SQLite one relay works, and nobody else asks."""
    if engine.dialect.name == "sqlite":
        return nullcontext()
    return lease.renewed(lambda: _set(engine, taken, due_at=datetime.now(UTC) + lease.LEASE), lease.LEASE / 3)


def delivered(engine: Engine, taken: Claim) -> None:
    _set(engine, taken, due_at=None, delivered_at=datetime.now(UTC), error=None)


def failed(engine: Engine, taken: Claim, error: str, pause: timedelta) -> None:
    """Due again after a pause, or parked after the last attempt."""
    _set(engine, taken, due_at=None if taken.is_last else datetime.now(UTC) + pause, error=_shown(error))


def give_back(engine: Engine, taken: Claim, error: str | None, *, called: bool) -> None:
    """Due as it was. Where nobody was `called` it does not count as an attempt."""
    attempts = taken.attempts if called else taken.event.attempts
    _set(engine, taken, due_at=taken.event.due_at, error=error and _shown(error), attempts=attempts)


def unpark(engine: Engine, receiver: str) -> int:
    """Have a receiver called again for what was given up; how many deliveries that are."""
    parked = (DELIVERY.receiver == receiver, DELIVERY.due_at.is_(None), DELIVERY.delivered_at.is_(None))
    values = {"due_at": datetime.now(UTC), "attempts": 0}
    with for_writing(engine).begin() as connection:
        return connection.execute(update(tables.delivery).where(*parked).values(values)).rowcount


def pause_after(attempts: int, longest: timedelta = LONGEST_PAUSE) -> timedelta:
    """How long a receiver that raised is left alone."""
    doubled: timedelta = min(FIRST_PAUSE * 2 ** (attempts - 1), longest)
    return doubled * random.uniform(0.5, 1)  # noqa: S311 — jitter


def _shown(error: str) -> str:
    return storable(error[:LONGEST_ERROR])


def _take(engine: Engine, wanted: Select[Any], to_hand_over: Collection[str] = ()) -> Claim | None:
    with for_writing(engine).begin() as connection:
        _in_order(connection)
        event = connection.execute(wanted.limit(1).with_for_update(skip_locked=True, of=tables.delivery)).first()
        if event is None:
            return None
        called, held = (0, HANDED_OVER) if event.receiver in to_hand_over else (1, lease.LEASE)
        taken = Claim(event, event.attempts + called)
        values = {"due_at": datetime.now(UTC) + held, "attempts": taken.attempts}
        connection.execute(update(tables.delivery).where(*_same(taken)).values(values))
    return taken


def _in_order(connection: Connection) -> None:
    """Take the first from the index of what is due. PostgreSQL, while it has no statistics of a table that has grown
    since, would look at everything that is due and sort it (measured: of a million, for 4 s).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL enable_sort = off"))


def _due(names: Collection[str], now: datetime, message_id: int | None) -> Select[Any]:
    """What is due, and has nothing of its record before it that its receiver has still to get."""
    earlier = tables.delivery.alias("earlier").c
    mine = (earlier.record_id == DELIVERY.record_id, earlier.receiver == DELIVERY.receiver)
    # a scalar, as PostgreSQL would join NOT EXISTS over all that waits, for the one that is wanted
    first = select(func.min(earlier.event_id)).where(*mine, earlier.due_at.is_not(None)).scalar_subquery()
    is_next = or_(DELIVERY.record_id.is_(None), DELIVERY.event_id == first)
    wanted = [DELIVERY.due_at <= now, DELIVERY.receiver.in_(names), is_next]
    if message_id is not None:
        wanted.append(EVENT.message_id == message_id)
    return _deliveries(*wanted).order_by(DELIVERY.due_at, DELIVERY.event_id)


def _deliveries(*wanted: ColumnElement[bool]) -> Select[Any]:
    joined = tables.delivery.join(tables.event, EVENT.id == DELIVERY.event_id)
    return select(tables.delivery, tables.event).select_from(joined).where(*wanted)


def _set(engine: Engine, taken: Claim, **values: object) -> None:
    """Write down what became of a delivery, unless its lease ran out and another relay has claimed it since."""
    mine = (*_same(taken), DELIVERY.attempts == taken.attempts, DELIVERY.delivered_at.is_(None))
    with for_writing(engine).begin() as connection:
        if not connection.execute(update(tables.delivery).where(*mine).values(values)).rowcount:
            told = {"action": "lease_lost", "receiver": taken.event.receiver, "event": taken.event.event_id}
            log.warning(
                "event %s for %s is another relay's by now", taken.event.event_id, taken.event.receiver, extra=told
            )


def _same(taken: Claim) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return DELIVERY.event_id == taken.event.event_id, DELIVERY.receiver == taken.event.receiver
