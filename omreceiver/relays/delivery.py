"""Delivers events to durable receivers: at least once, each receiver on its own, again after a failure, and those of
one record in their order. outbox.py says which; here receivers are called, or a Celery worker is told to.
"""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row, select
from sqlalchemy.orm import Session

from omreceiver.errors import BrokerAway
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.records.record import RecordMixin
from omreceiver.records.values import read_datetime
from omreceiver.relays import celery, outbox
from omreceiver.relays.outbox import Claim
from omreceiver.signals import committed
from omreceiver.signals.durable import Via, durable_receivers
from omreceiver.store import events
from omreceiver.store.deadline import Deadline

log = logging.getLogger(__name__)

#: how long this process leaves a receiver alone whose broker is away
REST = timedelta(seconds=5)
#: until when, in seconds of time.monotonic(), by the receiver's name
_resting: dict[str, float] = {}


class Fate(StrEnum):
    """What became of one delivery."""

    DELIVERED = "delivered"
    #: a Celery worker will call the receiver
    HANDED_OVER = "handed over"
    FAILED = "failed"
    PARKED = "parked"
    #: its broker is away; it waits, and that is no attempt
    AWAY = "away"


def deliver_next(
    engine: Engine, models: Models, message_id: int | None = None, until: datetime | None = None
) -> Fate | None:
    """Deliver the oldest event that is due now, or was `until` then, of a message if one is given, to its receiver;
    None when nothing is due to a receiver known here.
    """
    called, handed_over = _awake(Via.RELAY), _awake(Via.CELERY)
    taken = outbox.claim(engine, called, handed_over, message_id, until) if called or handed_over else None
    if taken is None:
        return None
    if taken.event.receiver in handed_over:
        return _hand_over(engine, taken)
    return deliver(engine, models, taken, outbox.pause_after(taken.attempts))


def deliver_inline(engine: Engine, models: Models, message_id: int, deadline: Deadline) -> None:
    """Deliver what a message has just left, and as much of what is due from before, in the process that took it, while
    the message has time. What goes wrong is logged: the record is stored, and the event waits.
    """
    # what fails now is not due again now
    began, delivered = datetime.now(UTC), 0
    try:
        while deadline.left > 0 and deliver_next(engine, models, message_id, began):
            delivered += 1
        while deadline.left > 0 and delivered > 0 and deliver_next(engine, models, None, began):
            delivered -= 1
    except Exception:
        log.exception("events are not delivered now", extra={"action": "inline_relay_failed"})


def deliver(engine: Engine, models: Models, taken: Claim, pause: timedelta) -> Fate:
    """Call the receiver of a delivery that was claimed; when it raises, it is due again after the pause."""
    name = taken.event.receiver
    if taken.attempts > outbox.ATTEMPTS:
        outbox.failed(engine, taken, "The relay ended each time while the receiver ran.", pause)
        return Fate.PARKED
    try:
        with outbox.leased(engine, taken):
            _call(engine, models, taken.event)
    except BrokerAway as error:
        return _postpone(engine, taken, error)
    except (Exception, CancelledError, SystemExit) as error:
        # one that was cancelled, or that wants to end its process, has failed as any other
        log.exception("the durable receiver %s raised", name, extra={"action": "receiver_raised"})
        outbox.failed(engine, taken, f"{type(error).__name__}: {error}", pause)
        return Fate.PARKED if taken.is_last else Fate.FAILED
    outbox.delivered(engine, taken)
    return Fate.DELIVERED


def get_ready() -> None:
    """Settle which Celery app is told, on the thread where it was made. Raises ConfigurationError when a receiver needs
    Celery, and it is not installed.
    """
    if durable_receivers.names(Via.CELERY):
        celery.app()


def _awake(via: Via) -> list[str]:
    return [name for name in durable_receivers.names(via) if _resting.get(name, 0) <= time.monotonic()]


def _hand_over(engine: Engine, taken: Claim) -> Fate:
    try:
        celery.send(taken)
    except BrokerAway as error:
        return _postpone(engine, taken, error)
    return Fate.HANDED_OVER


def _postpone(engine: Engine, taken: Claim, error: BrokerAway) -> Fate:
    name = taken.event.receiver
    log.warning("events for %s wait: %s", name, error, extra={"action": "broker_away", "receiver": name})
    _resting[name] = time.monotonic() + REST.total_seconds()
    outbox.give_back(engine, taken, str(error), called=False)
    return Fate.AWAY


def _call(engine: Engine, models: Models, event: Row[Any]) -> None:
    """As `committed` calls its receivers; `instance` is the record as it is now, or None when it is gone."""
    connected, layout = durable_receivers.named(event.receiver), models.named(event.child_name)
    if connected is None or layout is None:
        what = f"class {event.child_name}" if layout is None else f"durable receiver {event.receiver!r}"
        raise LookupError(f"There is no {what} in this process. Does OMRECEIVER_MODELS name the same modules here?")
    readers = {slot.attribute: slot.read for slot in layout.slots.values()} | {"deleted_at": read_datetime}
    changed = events.changed_from(event.changed, readers)
    with Session(engine, expire_on_commit=False) as session, session.begin():
        sent = {
            "instance": _record(session, layout, event),
            "created": event.created,
            "deleted": event.deleted,
            "changed": changed,
            "update_fields": frozenset(changed),
            "raw": event.raw,
            "message": None,
            "session": session,
            "event_id": event.event_id,
            "event_at": event.created_at,
            "key": event.external_id,
            "salesforce_id": event.record_id,
        }
        committed.call(connected.receiver, layout.model, sent)


def _record(session: Session, layout: Layout, event: Row[Any]) -> RecordMixin | None:
    """The record under whatever key and in whatever class it is by now; the one of its key where it was recreated."""
    root: Any = layout.mapper.base_mapper.class_
    found: RecordMixin | None = None
    if event.record_id is not None:
        found = session.scalars(select(root).where(root.salesforce_id == event.record_id)).first()
    return found or session.get(root, event.external_id)
