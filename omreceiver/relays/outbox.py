"""Delivers events to durable receivers: at least once, each receiver on its own, again after a failure.

A delivery is claimed by moving its `due_at` into the future (a lease), so that several relays share the work and none
holds a lock while a receiver runs; a relay that dies leaves its claim to run out. A receiver that raises is called
again after a pause that doubles each time with some jitter, up to a limit; then the delivery is parked: its error
stays and `due_at` is NULL.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row, Select, func, select, update
from sqlalchemy.orm import Session

from omreceiver.records.models import Models
from omreceiver.signals import Receiver, durable_receivers
from omreceiver.store import events, tables
from omreceiver.store.database import for_writing

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=2)
ATTEMPTS = 20

EVENT = tables.event.c
DELIVERY = tables.delivery.c


class Fate(StrEnum):
    """What became of one delivery."""

    DELIVERED = "delivered"
    FAILED = "failed"
    PARKED = "parked"


@dataclass(frozen=True)
class Status:
    """The backlog, for people."""

    waiting: int
    failing: int
    parked: int


def deliver_next(engine: Engine, models: Models) -> Fate | None:
    """Deliver the oldest event that is due to its receiver; None when nothing is due to a receiver known here."""
    claimed = _claim(engine)
    if claimed is None:
        return None
    receiver = durable_receivers.named(claimed.receiver)
    if receiver is None:
        raise LookupError(f"The durable receiver {claimed.receiver!r} was disconnected while the relay was running.")
    if claimed.attempts >= ATTEMPTS:
        _set(engine, claimed, due_at=None, error="The relay ended each time while the receiver ran.")
        return Fate.PARKED
    try:
        _call(receiver, engine, models, claimed)
    except Exception as error:
        log.exception("the durable receiver %s raised", claimed.receiver, extra={"action": "receiver_raised"})
        return _failed(engine, claimed, error)
    _set(engine, claimed, due_at=None, delivered_at=datetime.now(UTC), error=None)
    return Fate.DELIVERED


def _claim(engine: Engine) -> Row[Any] | None:
    """Take one due delivery; no other relay gets it before the lease has run out."""
    with for_writing(engine).begin() as connection:
        claimed = connection.execute(_due(datetime.now(UTC))).first()
        if claimed is not None:
            leased = {"due_at": datetime.now(UTC) + LEASE, "attempts": DELIVERY.attempts + 1}
            connection.execute(update(tables.delivery).where(*_same(claimed)).values(leased))
    return claimed


def _due(now: datetime) -> Select[Any]:
    joined = tables.delivery.join(tables.event, EVENT.id == DELIVERY.event_id)
    wanted = (DELIVERY.due_at <= now, DELIVERY.receiver.in_(durable_receivers.names()))
    statement = select(tables.delivery, tables.event).select_from(joined).where(*wanted)
    ordered = statement.order_by(DELIVERY.due_at, DELIVERY.event_id).limit(1)
    return ordered.with_for_update(skip_locked=True, of=tables.delivery)


def _call(receiver: Receiver, engine: Engine, models: Models, claimed: Row[Any]) -> None:
    """As `committed` calls its receivers; `instance` is the record as it is now, or None when it is gone."""
    layout = models.named(claimed.child_name)
    if layout is None:
        raise LookupError(f"There is no class {claimed.child_name} any more.")
    readers = {slot.attribute: slot.read for slot in layout.slots.values()}
    changed = events.changed_from(claimed.changed, readers)
    with Session(engine, expire_on_commit=False) as session, session.begin():
        receiver(
            layout.model,
            instance=session.get(layout.model, claimed.external_id),
            created=claimed.created,
            changed=changed,
            update_fields=frozenset(changed),
            raw=claimed.raw,
            message=None,
            session=session,
            event_id=claimed.event_id,
        )


def _failed(engine: Engine, claimed: Row[Any], error: Exception) -> Fate:
    attempts = claimed.attempts + 1
    is_parked = attempts >= ATTEMPTS
    pause = min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311 — jitter
    due_at = None if is_parked else datetime.now(UTC) + pause
    _set(engine, claimed, due_at=due_at, error=f"{type(error).__name__}: {error}")
    return Fate.PARKED if is_parked else Fate.FAILED


def _set(engine: Engine, claimed: Row[Any], **values: object) -> None:
    with for_writing(engine).begin() as connection:
        connection.execute(update(tables.delivery).where(*_same(claimed)).values(values))


def _same(claimed: Row[Any]) -> tuple[Any, Any]:
    return DELIVERY.event_id == claimed.event_id, DELIVERY.receiver == claimed.receiver


def status(engine: Engine) -> Status:
    """How many deliveries wait, how many of these have failed before, how many were given up."""
    open_ = DELIVERY.due_at.is_not(None)
    with engine.connect() as connection:

        def count(*wanted: Any) -> int:
            return connection.scalar(select(func.count()).select_from(tables.delivery).where(*wanted)) or 0

        return Status(
            waiting=count(open_),
            failing=count(open_, DELIVERY.error.is_not(None)),
            parked=count(DELIVERY.due_at.is_(None), DELIVERY.delivered_at.is_(None)),
        )
