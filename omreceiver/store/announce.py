"""Tells receivers what was committed, robustly: the records are stored, so nothing here may undo the ack."""

from __future__ import annotations

import logging
from functools import wraps
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from omreceiver.records.models import Models
from omreceiver.signals import Receiver, Signal, committed, reference_resolved
from omreceiver.store.apply import Receipt, arguments
from omreceiver.store.waiting import Resolved, waiting

log = logging.getLogger(__name__)


def announce(receipt: Receipt, models: Models, engine: Engine) -> None:
    """`committed` for every record that was written, then `reference_resolved` for those that waited for one."""
    for save in receipt.saves:
        if committed.has_receivers_for(save.layout.model):
            _tell(committed, save.layout.model, arguments(save, receipt.message), engine)
    for resolved in _resolved(receipt, models, engine):
        sent = {
            "instance": resolved.instance,
            "reference": resolved.reference.name,
            "target": resolved.target,
            "raw": receipt.message.raw,
            "message": receipt.message,
        }
        _tell(reference_resolved, type(resolved.instance), sent, engine)


def _tell(signal: Signal, sender: type, sent: dict[str, Any], engine: Engine) -> None:
    for receiver in signal.heard_by(sender):
        signal.call_robust(_in_its_own_session(receiver, engine), sender, sent)


def _in_its_own_session(receiver: Receiver, engine: Engine) -> Receiver:
    """The receiver in a session that is committed when it returns and rolled back when it raises."""

    @wraps(receiver)
    def told(sender: type, **sent: Any) -> None:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            receiver(sender, **sent, session=session)

    return told


def _resolved(receipt: Receipt, models: Models, engine: Engine) -> list[Resolved]:
    """Nothing is looked for when nobody listens."""
    arrived: dict[str, set[str]] = {}
    for save in receipt.saves if reference_resolved.receivers else ():
        if save.is_new_here and (sobject := save.layout.model.__sobject__):
            arrived.setdefault(sobject, set()).add(save.row.salesforce_id)
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
