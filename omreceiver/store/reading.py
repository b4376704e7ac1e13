"""Reads one notification into typed values for the class that its record belongs to. Text ends here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from omreceiver.config import USE_SALESFORCE_ID, Settings
from omreceiver.errors import (
    FromTheFuture,
    KeyTooLong,
    MissingExternalId,
    NoClass,
    NoRecordId,
    NoStamp,
    UnreadableValue,
)
from omreceiver.records.fields import KEY_LENGTH
from omreceiver.records.ids import to18
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.records.values import read_datetime
from omreceiver.schema.notification import Notification

#: what tells how fresh a record is, the better one first; both have a precision of one second
STAMPS = ("SystemModstamp", "LastModifiedDate")
#: when a record was saved of which no stamp tells
LONG_AGO = datetime.min.replace(tzinfo=UTC)
#: what the first action of an sObject is called where stamps are told apart by action
FIRST = "first"
#: (field, attribute, reader of its text) of the fields that a class maps
Mapped = list[tuple[str, str, Callable[[str], Any]]]
#: a stamp further ahead is wrong: it would shut out everything that follows
AHEAD = timedelta(days=1)


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
    #: when the record was deleted, for a class that marks it; its rows stay
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How the notifications of one message are read: all share an action, hence a field list."""

    models: Models
    #: a selected field that is absent is blank; a field that is not selected is left alone
    selected: frozenset[str]
    settings: Settings
    #: what the message's action is called where stamps are told apart by action
    action: str = FIRST

    def layout(self, notification: Notification) -> Layout:
        """The leaf class that a notification's record belongs to. Raises NoClass."""
        sobject = notification.sobject
        leaf = self.models.leaf(sobject, notification.fields) if sobject else None
        if leaf is None:
            raise NoClass(f"No mapped class takes {sobject or 'an sObject without xsi:type'}. {NoClass.cure}")
        return self.models.layouts[leaf]

    def row(self, notification: Notification, layout: Layout) -> Row:
        """The typed values of a notification for a class. Raises Unstorable."""
        fields, salesforce_id = notification.fields, record_id(notification.record_id)
        stamp = self.stamp_field(fields)
        mapped, unmapped = _sorted_out(layout, self.selected)
        return Row(
            notification=notification,
            layout=layout,
            key=self._key(layout, fields, salesforce_id),
            salesforce_id=salesforce_id,
            modstamp=read_stamp(stamp, fields),
            values=_values(mapped, fields, layout),
            extra={name: fields.get(name) for name in unmapped if name != stamp},
            is_leaf_known=self.models.discriminators(layout.model.__sobject__) <= self.selected,
        )

    def stamp_field(self, fields: Mapping[str, str | None]) -> str | None:
        """The field that says how fresh a record is; None where the action selects none. Raises NoStamp."""
        stamp = next((name for name in STAMPS if fields.get(name)), None)
        if stamp is None and not self.selected.isdisjoint(STAMPS):
            raise NoStamp(f"{NoStamp.__doc__} {NoStamp.cure}")
        return stamp

    def _key(self, layout: Layout, fields: Mapping[str, str | None], salesforce_id: str) -> str | None:
        """The record's key; None when the action does not select it and the record is known by its ID only."""
        name = layout.key_field
        if name is None:
            return salesforce_id
        if name not in self.selected:
            return None
        text = fields.get(name) or ""
        try:
            key = layout.key.fold(text)
        except ValueError as error:
            raise UnreadableValue(name, text, str(error)) from error
        if len(key) > KEY_LENGTH:
            raise KeyTooLong()
        if key:
            return key
        if self.settings.missing_external_id == USE_SALESFORCE_ID:
            return layout.key.stored(salesforce_id)
        raise MissingExternalId(f"{name} is blank. {MissingExternalId.cure}")


def record_id(text: str | None) -> str:
    """A record's ID in 18 characters. Raises NoRecordId."""
    try:
        return to18((text or "").strip())
    except ValueError as error:
        raise NoRecordId() from error


def read_stamp(name: str | None, fields: Mapping[str, str | None]) -> datetime | None:
    """What a field says of when its record was saved. Raises UnreadableValue, FromTheFuture."""
    if name is None:
        return None
    stamp: datetime | None = read_value(read_datetime, name, fields.get(name), "a dateTime")
    if stamp is not None and stamp > datetime.now(UTC) + AHEAD:
        raise FromTheFuture(f"{name} is {fields[name]}, more than a day ahead. {FromTheFuture.cure}")
    return stamp


def read_value(read: Callable[[str], Any], name: str, text: str | None, expected: str) -> Any:
    """The value of one field. Raises UnreadableValue, which names it."""
    if text is None:
        return None
    try:
        return read(text)
    except (ValueError, OverflowError) as error:
        raise UnreadableValue(name, text, expected) from error


@lru_cache(maxsize=512)
def _sorted_out(layout: Layout, selected: frozenset[str]) -> tuple[Mapped, list[str]]:
    """The selected fields that a class maps, and those that it does not map."""
    mapped = [(name, slot.attribute, slot.read) for name, slot in layout.slots.items() if name in selected]
    unmapped = selected - layout.slots.keys() - {layout.key_field, "SystemModstamp"}
    return mapped, sorted(unmapped)


def _values(mapped: Mapped, fields: Mapping[str, str | None], layout: Layout) -> dict[str, Any]:
    """Attribute → value, None for a blank field. Raises UnreadableValue, which names the first field that is."""
    told = fields.get
    try:
        return {attribute: None if (text := told(name)) is None else read(text) for name, attribute, read in mapped}
    except (ValueError, OverflowError):
        expected = {name: slot.expected for name, slot in layout.slots.items()}
        return {attribute: read_value(read, name, told(name), expected[name]) for name, attribute, read in mapped}
