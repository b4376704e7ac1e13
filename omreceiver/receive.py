"""The way of a message, stage by stage. Each stage removes one kind of thing and passes a frozen value on.

message.read    element → Message      XML ends here
guard.vet       Message → nothing, or a refusal
received        Message → receivers of `message_received`
learn, selected Message → which fields its action selects; key prefixes and field lists are remembered
plan.make       Message → Plan         text ends here: typed values, one row a record
store.apply     Plan    → Receipt      one transaction; SQL ends here
announce        Receipt → receivers of `committed`, `notification_quarantined` and `reference_resolved`
deliver_inline  the events of the message → durable receivers, where a setting says so
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from lxml import etree
from sqlalchemy import Engine

from omreceiver.config import INLINE, Settings
from omreceiver.door import guard, message
from omreceiver.records.models import Models
from omreceiver.relays import delivery
from omreceiver.schema.catalog import Catalog
from omreceiver.store import apply, plan
from omreceiver.store.announce import announce, received
from omreceiver.store.apply import Receipt
from omreceiver.store.database import for_writing
from omreceiver.store.deadline import Deadline
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.prefixes import KeyPrefixes
from omreceiver.store.reading import Reading


@dataclass(frozen=True)
class Parts:
    """What stays put while messages flow."""

    settings: Settings
    catalog: Catalog
    models: Models
    engine: Engine
    field_lists: FieldLists
    key_prefixes: KeyPrefixes

    @cached_property
    def writing(self) -> Engine:
        """The engine for transactions that write."""
        return for_writing(self.engine)


def receive(
    parts: Parts, element: etree._Element, wsdl: str | None, raw: bool, came: Callable[[str], datetime] | None = None
) -> Receipt:
    """Take one notifications element, and return when everything in it is committed. `came` is for one that was
    kept here, and gives when each of its notifications came first, by ID: it is no duplicate of itself.

    Raises a Refusal for a message that may not enter, Unavailable for one that should come again.
    """
    sobject = parts.catalog.sobject_of(wsdl)
    arrived = message.read(element, wsdl=wsdl, sobject=sobject, raw=raw, came=came)
    guard.vet(arrived, parts.settings)
    deadline = Deadline.of(arrived, parts.settings.time_limit, parts.settings.slow_receiver)
    received(arrived, parts.settings.slow_receiver)
    parts.key_prefixes.learn(arrived, deadline)
    selected = parts.field_lists.selected(arrived, deadline)
    reading = Reading(parts.models, selected.fields, parts.settings, selected.action)
    receipt = apply.apply(plan.make(arrived, reading), parts.writing, parts.field_lists, deadline)
    announce(receipt, parts.models, parts.engine, parts.settings.slow_receiver)
    if parts.settings.relay == INLINE:
        delivery.deliver_inline(parts.engine, parts.models, receipt.message_id, deadline)
    return receipt
