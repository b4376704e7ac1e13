"""The way of a message, stage by stage. Each stage removes one kind of thing and passes a frozen value on.

message.read    element → Message      XML ends here
guard.vet       Message → nothing, or a refusal
plan.make       Message → Plan         text ends here: typed values, one row a record
store.apply     Plan    → Receipt      one transaction; SQL ends here
announce        Receipt → receivers of `committed` and `reference_resolved`
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree
from sqlalchemy import Engine

from omreceiver.config import Settings
from omreceiver.door import guard, message
from omreceiver.records.models import Models
from omreceiver.schema.catalog import Catalog
from omreceiver.store import apply, plan
from omreceiver.store.announce import announce
from omreceiver.store.apply import Receipt
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.prefixes import KeyPrefixes


@dataclass(frozen=True)
class Parts:
    """What stays put while messages flow."""

    settings: Settings
    catalog: Catalog
    models: Models
    engine: Engine
    field_lists: FieldLists
    key_prefixes: KeyPrefixes


def receive(parts: Parts, element: etree._Element, wsdl: str | None, raw: bool) -> Receipt:
    """Take one notifications element, and return when everything in it is committed.

    Raises a Refusal for a message that may not enter, Unavailable for one that should come again.
    """
    arrived = message.read(element, wsdl=wsdl, raw=raw)
    guard.vet(arrived, parts.settings)
    parts.key_prefixes.learn(arrived)
    selected = parts.field_lists.selected(arrived)
    sobject = parts.catalog.sobject_of(wsdl) if wsdl else None
    planned = plan.make(arrived, plan.Reading(parts.models, selected, parts.settings, sobject))
    receipt = apply.apply(planned, parts.engine)
    announce(receipt, parts.models, parts.engine)
    return receipt
