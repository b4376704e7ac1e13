"""Message → Plan: typed values, one row a record. Text ends here; there is no database yet."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from omreceiver.config import Settings
from omreceiver.errors import KeyTooLong, MissingExternalId, NoClass, NoRecordId, UnreadableValue, Unstorable
from omreceiver.records.fields import KEY_LENGTH
from omreceiver.records.ids import to18
from omreceiver.records.layout import Layout, Slot
from omreceiver.records.models import Models
from omreceiver.records.values import read_datetime
from omreceiver.schema.notification import Message, Notification

#: what tells how fresh a record is, the better one first; both have a precision of one second
STAMPS = ("SystemModstamp", "LastModifiedDate")
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Outcome(StrEnum):
    """What became of one notification. Every notification ends in exactly one."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    RETYPED = "retyped"
    REKEYED = "rekeyed"
    STALE = "stale"
    DUPLICATE = "duplicate"
    EMPTY = "empty"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Row:
    """One record to be stored. `key` is None when the message does not select the external ID."""

    notification: Notification
    layout: Layout
    key: str | None
    salesforce_id: str
    modstamp: datetime | None
    #: attribute → value, for every selected field that the class maps
    values: Mapping[str, Any]
    #: API name → text, for every selected field that it does not map
    extra: Mapping[str, str | None]
    #: False when a field that `when` asks for is not selected: then an existing record keeps its class
    is_leaf_known: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """A notification whose outcome is known, with what kept it out of the tables if something did."""

    notification: Notification
    outcome: Outcome
    error: Unstorable | None = None

    @property
    def traceback(self) -> str | None:
        if self.error is None or self.error.__cause__ is None:
            return None
        return "".join(traceback.format_exception(self.error.__cause__))


@dataclass(frozen=True, slots=True)
class Reading:
    """How the notifications of one message are read: all share an action, hence a field list."""

    models: Models
    #: a selected field that is absent is blank; a field that is not selected is left alone
    selected: frozenset[str]
    settings: Settings
    #: the sObject of the WSDL that the URL names, for relays that lose xsi:type on the way
    sobject: str | None = None

    def layout(self, notification: Notification) -> Layout:
        """The leaf class that a notification's record belongs to. Raises NoClass."""
        sobject = notification.sobject or self.sobject
        leaf = self.models.leaf(sobject, notification.fields) if sobject else None
        if leaf is None:
            raise NoClass(f"No mapped class takes {sobject or 'an sObject without xsi:type'}. {NoClass.cure}")
        return self.models.layouts[leaf]

    def row(self, notification: Notification, layout: Layout) -> Row:
        """The typed values of a notification for a class. Raises Unstorable."""
        fields, salesforce_id = notification.fields, _record_id(notification)
        stamp = next((name for name in STAMPS if fields.get(name)), None)
        mapped, unmapped = _sorted_out(layout, self.selected)
        return Row(
            notification=notification,
            layout=layout,
            key=self._key(layout, fields, salesforce_id),
            salesforce_id=salesforce_id,
            modstamp=_value(read_datetime, stamp, fields[stamp], "a dateTime") if stamp else None,
            values=_values(mapped, fields),
            extra={name: fields.get(name) for name in unmapped if name != stamp},
            is_leaf_known=self.models.discriminators(layout.model.__sobject__) <= self.selected,
        )

    def _key(self, layout: Layout, fields: Mapping[str, str | None], salesforce_id: str) -> str | None:
        """The record's key; None when the action does not select it and the record is known by its ID only."""
        name = layout.key_field
        if name is None:
            return salesforce_id
        text = fields.get(name) or ""
        try:
            key = layout.key.fold(text)
        except ValueError as error:
            raise UnreadableValue(name, text, str(error)) from error
        if len(key) > KEY_LENGTH:
            raise KeyTooLong()
        if key or name not in self.selected:
            return key or None
        if self.settings.missing_external_id == "use-salesforce-id":
            return layout.key.stored(salesforce_id)
        raise MissingExternalId(f"{name} is blank. {MissingExternalId.cure}")


@dataclass(frozen=True)
class Plan:
    """What is to be done with a message: rows to store, and notifications already settled."""

    message: Message
    reading: Reading
    rows: tuple[Row, ...]
    settled: tuple[Settled, ...]


def make(message: Message, reading: Reading) -> Plan:
    """Read every value of a message. What cannot be read is settled as quarantined; this raises nothing."""
    rows: list[Row] = []
    settled: list[Settled] = []
    for notification in message.notifications:
        if notification.record_id is None and not notification.fields:
            settled.append(Settled(notification, Outcome.EMPTY))
            continue
        try:
            rows.append(reading.row(notification, reading.layout(notification)))
        except Unstorable as error:
            settled.append(Settled(notification, Outcome.QUARANTINED, error))
    newest = _newest(rows)
    kept = {id(row) for row in newest}
    settled.extend(Settled(row.notification, Outcome.STALE) for row in rows if id(row) not in kept)
    return Plan(message, reading, tuple(newest), tuple(settled))


@lru_cache(maxsize=512)
def _sorted_out(layout: Layout, selected: frozenset[str]) -> tuple[list[tuple[str, Slot]], list[str]]:
    """The selected fields that a class maps, each with its slot, and those that it does not map."""
    mapped = [(name, slot) for name, slot in layout.slots.items() if name in selected]
    unmapped = selected - layout.slots.keys() - {layout.key_field, "SystemModstamp"}
    return mapped, sorted(unmapped)


def _values(mapped: list[tuple[str, Slot]], fields: Mapping[str, str | None]) -> dict[str, Any]:
    """Attribute → value, None for a blank field. Raises UnreadableValue, which names the first field that is."""
    try:
        return {s.attribute: None if (text := fields.get(name)) is None else s.read(text) for name, s in mapped}
    except (ValueError, OverflowError):
        return {slot.attribute: _value(slot.read, name, fields.get(name), slot.expected) for name, slot in mapped}


def _value(read: Callable[[str], Any], name: str, text: str | None, expected: str) -> Any:
    if text is None:
        return None
    try:
        return read(text)
    except (ValueError, OverflowError) as error:
        raise UnreadableValue(name, text, expected) from error


def _record_id(notification: Notification) -> str:
    try:
        return to18((notification.record_id or "").strip())
    except ValueError as error:
        raise NoRecordId() from error


def _newest(rows: list[Row]) -> list[Row]:
    """One row a record and one a key, in the order of the message: the freshest, of equally fresh ones the last."""
    taken: set[str] = set()
    kept: list[int] = []
    freshest = sorted(range(len(rows)), key=lambda at: (rows[at].modstamp or LONG_AGO, at), reverse=True)
    for at in freshest:
        names = {rows[at].salesforce_id, f"key {rows[at].key}"} - {"key None"}
        if not taken & names:
            kept.append(at)
            taken |= names
    return [rows[at] for at in sorted(kept)]
