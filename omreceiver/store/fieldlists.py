"""Field lists: which fields an action selects. Blank fields are not on the wire, so this alone tells NULL from absent.

Its sources, in order: the WSDL that the URL names; the WSDL or outbound-message definition that OMRECEIVER_ACTIONS
binds to the ActionId; the only WSDL for the sObject; the fields that the action has ever sent.

om_action has a row for every action that has sent something, with the fields that it has sent so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, insert, select, update

from omreceiver.config import Settings
from omreceiver.records.prefixes import LONGEST_NAME
from omreceiver.schema.catalog import Catalog
from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.deadline import Deadline, persist
from omreceiver.store.reading import FIRST

A = tables.action.c


@dataclass(frozen=True)
class Known:
    """What om_action holds of an action."""

    #: its ActionId, or FIRST
    name: str
    wsdl: str | None
    fields: frozenset[str]

    def covers(self, message: Message, sent: frozenset[str]) -> bool:
        """Whether a message tells nothing new."""
        return sent <= self.fields and message.wsdl == self.wsdl


@dataclass(frozen=True)
class Selection:
    """The field list in force for a message, and the name of its action where stamps are told apart."""

    action: str
    fields: frozenset[str]


@dataclass(frozen=True)
class FieldLists:
    """Knows the field list of each action, from files or from what it sent before."""

    catalog: Catalog
    settings: Settings
    engine: Engine
    #: (organization, action, sObject) → what this process knows to be in om_action
    known: dict[tuple[str, str, str], Known] = field(default_factory=dict)

    def selected(self, message: Message, deadline: Deadline) -> Selection:
        """The fields that the message's action selects. What the message carries is selected in any case:
        all its notifications share one action. Raises Unavailable when the database is needed and away.
        """
        sent = message.sent_fields()
        name = self.source(message.sobject, message.action_id, message.wsdl)
        listed = self.catalog.fields_of(name) if name else None
        known = self._known(message, sent, deadline, is_listed=listed is not None)
        return Selection(known.name, sent | (known.fields if listed is None else listed))

    def source(self, sobject: str | None, action_id: str, wsdl: str | None) -> str | None:
        """The WSDL or outbound-message definition in force, or None when only experience tells."""
        bound = {action[:15]: name for action, name in self.settings.actions.items()}
        candidates = (wsdl, bound.get(action_id[:15]), self.catalog.only_wsdl(sobject or ""))
        return next((name for name in candidates if name and self._fits(name, sobject)), None)

    def _fits(self, name: str, sobject: str | None) -> bool:
        """A WSDL of another sObject says nothing about this message."""
        known = self.catalog.sobject_of(name)
        return known is not None and sobject in (known, None)

    def of_all(self, connection: Connection, message: Message) -> Mapping[str, frozenset[str]]:
        """The field lists of all actions of a message's sObject, by the names that stamps are told apart by."""
        found = connection.execute(select(tables.action).where(_same(message)))
        return {_name(row): self._list(row) for row in found}

    def _list(self, row: Row[Any]) -> frozenset[str]:
        name = self.source(row.sobject, row.action_id, row.wsdl)
        listed = self.catalog.fields_of(name) if name else None
        return frozenset(row.fields) | (listed or frozenset())

    def _known(self, message: Message, sent: frozenset[str], deadline: Deadline, *, is_listed: bool) -> Known:
        """What is in om_action of the message's action, with what this message adds to it."""
        if not 0 < len(message.sobject or "") <= LONGEST_NAME:
            return Known(message.action_id, message.wsdl, frozenset())
        here = (message.organization_id, message.action_id, message.sobject or "")
        known = self.known.get(here)
        # where experience is the list, another process may have learned more of it
        if known is None or not is_listed or not known.covers(message, sent):
            # another process may see this action, or the first of this sObject, in the same moment
            known = persist(self.engine, deadline, lambda connection: _remember(connection, message, sent))
            self.known[here] = known
        return known


def _name(row: Row[Any]) -> str:
    return FIRST if row.first else str(row.action_id)


def _remember(connection: Connection, message: Message, sent: frozenset[str]) -> Known:
    mine = _same(message) & (A.action_id == message.action_id)
    row = connection.execute(select(tables.action).where(mine).with_for_update()).first()
    everything = sent.union(row.fields if row else ())
    values = {"wsdl": message.wsdl, "fields": sorted(everything), "seen_at": datetime.now(UTC)}
    if row is None:
        first = _is_first(connection, message)
        ids = {"organization_id": message.organization_id, "action_id": message.action_id, "sobject": message.sobject}
        connection.execute(insert(tables.action), {**ids, **values, "first": first or None})
        return Known(FIRST if first else message.action_id, message.wsdl, everything)
    if everything > set(row.fields) or message.wsdl != row.wsdl:
        connection.execute(update(tables.action).where(mine), values)
    return Known(_name(row), message.wsdl, everything)


def _is_first(connection: Connection, message: Message) -> bool:
    """Whether nobody has sent this sObject before; of two that ask in one moment the unique key lets one win."""
    return connection.scalar(select(A.action_id).where(_same(message)).limit(1)) is None


def _same(message: Message) -> ColumnElement[bool]:
    """The actions of a message's organization and sObject."""
    return (A.organization_id == message.organization_id) & (A.sobject == message.sobject)
