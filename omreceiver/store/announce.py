"""Tells receivers what was committed, robustly: the records are stored, so nothing here may undo the ack."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import wraps
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from omreceiver.records.models import Models
from omreceiver.schema.notification import Message
from omreceiver.signals import (
    Receiver,
    Signal,
    committed,
    message_received,
    named,
    notification_quarantined,
    reference_resolved,
)
from omreceiver.store import ledger
from omreceiver.store.apply import Receipt
from omreceiver.store.database import for_writing
from omreceiver.store.plan import Outcome
from omreceiver.store.saves import Save
from omreceiver.store.tell import arguments, is_heard
from omreceiver.store.waiting import Resolved, waiting

log = logging.getLogger(__name__)


def announce(receipt: Receipt, models: Models, engine: Engine, slow: timedelta) -> None:
    """`committed` for every record that was written or removed, then `notification_quarantined` for what was not
    stored, then `reference_resolved` for those that waited.
    """
    for change in receipt.changed:
        if is_heard(committed, change):
            raised = _tell(committed, change.layout.model, arguments(change, receipt.message), engine, slow)
            if raised:
                _note(receipt.message, change.notification.id, raised, engine)
    for settled in receipt.settled if notification_quarantined.receivers else ():
        if settled.outcome is Outcome.QUARANTINED:
            notification = settled.notification
            sent = {"notification": notification, "error": settled.error, **_of(receipt.message)}
            _tell(notification_quarantined, notification.sobject or "", sent, engine, slow)
    for resolved in _resolved(receipt, models, engine):
        sent = {
            "instance": resolved.instance,
            "reference": resolved.reference.name,
            "target": resolved.target,
            **_of(receipt.message),
        }
        _tell(reference_resolved, type(resolved.instance), sent, engine, slow)


def received(message: Message, slow: timedelta) -> None:
    """`message_received`, before anything of it is stored."""
    sender = message.sobject or ""
    for receiver in message_received.heard_by(sender):
        message_received.call_robust(receiver, sender, _of(message), slow)


def _of(message: Message) -> dict[str, Any]:
    return {"message": message, "raw": message.raw}


def _tell(signal: Signal, sender: type | str, sent: dict[str, Any], engine: Engine, slow: timedelta) -> dict[str, str]:
    """Call every receiver; gives what those that raised have raised."""
    results = [
        (receiver, signal.call_robust(_in_its_own_session(signal, receiver, engine), sender, sent, slow))
        for receiver in signal.heard_by(sender)
    ]
    return {named(each): f"{type(got).__name__}: {got}" for each, got in results if isinstance(got, Exception)}


def _note(message: Message, notification_id: str, raised: dict[str, str], engine: Engine) -> None:
    """In the ledger, for those who ask what ran; the log has the traceback already."""
    try:
        with for_writing(engine).begin() as connection:
            ledger.note_raised(connection, message, notification_id, raised)
    except SQLAlchemyError:
        log.exception("what a receiver raised is not in the ledger", extra={"action": "note_failed"})


def _in_its_own_session(signal: Signal, receiver: Receiver, engine: Engine) -> Receiver:
    """The receiver in a session that is committed when it returns and rolled back when it raises."""

    @wraps(receiver)
    def told(sender: type, **sent: Any) -> None:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            try:
                signal.call(receiver, sender, {**sent, "session": session})
            except BaseException:
                # a rollback would empty the instance, which the next receiver gets too
                session.expunge_all()
                raise

    return told


def _resolved(receipt: Receipt, models: Models, engine: Engine) -> list[Resolved]:
    """Nothing is looked for when nobody listens."""
    arrived: dict[str, set[str]] = {}
    for change in receipt.changed if reference_resolved.receivers else ():
        is_new = isinstance(change, Save) and change.is_new_here
        if is_new and (sobject := change.layout.model.__sobject__):
            arrived.setdefault(sobject, set()).add(change.salesforce_id)
    if not arrived:
        return []
    try:
        with Session(engine, expire_on_commit=False) as session:
            found = list(waiting(session, models, arrived, reference_resolved.has_receivers_for))
            session.expunge_all()
            return found
    except Exception:
        log.exception("the records that wait were not found", extra={"action": "reference_resolved_failed"})
        return []
