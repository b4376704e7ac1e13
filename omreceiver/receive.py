"""The way of a message, stage by stage. Each stage removes one kind of thing and passes a frozen value on.

message.read    element → Message      XML ends here
guard.vet       Message → nothing, or a refusal
plan.make       Message → Plan         text ends here: typed values, one row a record
store.apply     Plan    → Receipt      one transaction; SQL ends here
announce        Receipt → receivers of `committed`
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps

from lxml import etree
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from omreceiver.config import Settings
from omreceiver.door import guard, message
from omreceiver.records.models import Models
from omreceiver.schema.catalog import Catalog
from omreceiver.signals import Receiver, committed
from omreceiver.store import apply, plan
from omreceiver.store.apply import Receipt
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.saves import Save


@dataclass(frozen=True)
class Parts:
    """What stays put while messages flow."""

    settings: Settings
    catalog: Catalog
    models: Models
    engine: Engine
    field_lists: FieldLists


def receive(parts: Parts, element: etree._Element, wsdl: str | None, raw: bool) -> Receipt:
    """Take one notifications element, and return when everything in it is committed.

    Raises a Refusal for a message that may not enter, Unavailable for one that should come again.
    """
    arrived = message.read(element, wsdl=wsdl, raw=raw)
    guard.vet(arrived, parts.settings)
    selected = parts.field_lists.selected(arrived)
    sobject = parts.catalog.sobject_of(wsdl) if wsdl else None
    planned = plan.make(arrived, plan.Reading(parts.models, selected, parts.settings, sobject))
    receipt = apply.apply(planned, parts.engine)
    announce(receipt, parts.engine)
    return receipt


def announce(receipt: Receipt, engine: Engine) -> None:
    """Tell the receivers of `committed`, robustly: the records are stored, so nothing may undo the ack."""
    for save in receipt.saves:
        for receiver in committed.heard_by(save.layout.model):
            told = _in_its_own_session(receiver, save, receipt, engine)
            committed.call_robust(told, save.layout.model, {})


def _in_its_own_session(receiver: Receiver, save: Save, receipt: Receipt, engine: Engine) -> Receiver:
    """The receiver in a session that is committed when it returns and rolled back when it raises."""

    @wraps(receiver)
    def told(sender: type) -> None:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            receiver(sender, **apply.arguments(save, receipt.message, session))

    return told
