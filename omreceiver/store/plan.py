"""Message → Plan: typed values, a row a notification, and what is told to be deleted. There is no database yet."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from omreceiver.errors import Unstorable
from omreceiver.records.tombstones import Tombstone
from omreceiver.records.values import read_boolean
from omreceiver.schema.notification import Message, Notification
from omreceiver.store.reading import LONG_AGO, STAMPS, Reading, Row, read_stamp, read_value, record_id

#: a tombstone's record may be stamped by its creation alone: it is made in the moment of the deletion
MOMENTS = (*STAMPS, "CreatedDate")
#: what every record has and no user can be kept from seeing: where it is selected and absent, there was no record
NEVER_BLANK = frozenset({*STAMPS, "CreatedDate", "CreatedById", "LastModifiedById", "IsDeleted"})


class Outcome(StrEnum):
    """What became of one notification. Every notification ends in exactly one."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    RETYPED = "retyped"
    REKEYED = "rekeyed"
    DELETED = "deleted"
    STALE = "stale"
    DUPLICATE = "duplicate"
    EMPTY = "empty"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Delete:
    """One record that was deleted in Salesforce. `sobject` is None where the message does not tell."""

    notification: Notification
    sobject: str | None
    salesforce_id: str
    deleted_at: datetime
    #: what becomes of it when no row is there: an empty notification tells of nothing then
    otherwise: Outcome = Outcome.DELETED


@dataclass(frozen=True, slots=True)
class Settled:
    """A notification whose outcome is known, with what kept it out of the tables if something did."""

    notification: Notification
    outcome: Outcome
    error: Unstorable | None = None
    #: what the ledger tells of it beside the outcome, as JSON; see store/detail.py
    detail: Mapping[str, Any] | None = None
    #: the Salesforce ID of the record that it is about, where that is not the one that it came with
    about: str | None = None

    @property
    def record_id(self) -> str | None:
        """The record whose story it belongs to: for a tombstone the one that is deleted."""
        return self.about or self.notification.record_id

    @property
    def traceback(self) -> str | None:
        if self.error is None or self.error.__cause__ is None:
            return None
        return "".join(traceback.format_exception(self.error.__cause__))


@dataclass(frozen=True)
class Plan:
    """What is to be done with a message: rows to store, records to delete, and notifications already settled."""

    message: Message
    reading: Reading
    rows: tuple[Row, ...] = ()
    deletes: tuple[Delete, ...] = ()
    settled: tuple[Settled, ...] = ()

    def notifications(self) -> list[Notification]:
        """Those whose outcome is not known yet."""
        return [*(row.notification for row in self.rows), *(delete.notification for delete in self.deletes)]

    def without(self, seen: Collection[str]) -> Plan:
        """The same without the notifications of these IDs."""
        rows = tuple(row for row in self.rows if row.notification.id not in seen)
        deletes = tuple(delete for delete in self.deletes if delete.notification.id not in seen)
        return replace(self, rows=rows, deletes=deletes) if seen else self

    @property
    def is_crowded(self) -> bool:
        """Whether a record is in it more than once."""
        ids = [*(row.salesforce_id for row in self.rows), *(delete.salesforce_id for delete in self.deletes)]
        return len(set(ids)) < len(ids)

    def newest(self) -> Plan:
        """The same with one row or delete a record, the freshest; the others are stale."""
        if not self.is_crowded:
            return self
        every: list[Row | Delete] = [*self.rows, *self.deletes]
        found = self.message.in_order(every)
        kept = {id(item) for item in _newest(found)}
        rows = tuple(row for row in self.rows if id(row) in kept)
        deletes = tuple(delete for delete in self.deletes if id(delete) in kept)
        outdone = [_outdone(item) for item in found if id(item) not in kept]
        return replace(self, rows=rows, deletes=deletes, settled=(*self.settled, *outdone))

    def each(self) -> list[Plan]:
        """One plan for each record, by ascending key, in which all others lock too: stored one after the other in the
        order of their messages, two messages would wait for each other for ever.
        """
        rows = sorted(self.rows, key=lambda row: (row.layout.root.name, row.key or "", row.salesforce_id))
        deletes = sorted(self.deletes, key=lambda delete: delete.salesforce_id)
        alone = [replace(self, rows=(), deletes=(delete,)) for delete in deletes]
        return alone + [replace(self, rows=(row,), deletes=()) for row in rows]


def make(message: Message, reading: Reading) -> Plan:
    """Read every value of a message. What cannot be read is settled as quarantined; this raises nothing."""
    rows: list[Row] = []
    deletes: list[Delete] = []
    settled: list[Settled] = []
    for notification in message.notifications:
        try:
            item = _read(notification, reading, message.moment(notification))
        except Unstorable as error:
            settled.append(Settled(notification, Outcome.QUARANTINED, error))
            continue
        if item is None:
            settled.append(Settled(notification, Outcome.EMPTY))
        elif isinstance(item, Row):
            rows.append(item)
        else:
            deletes.append(item)
    return Plan(message, reading, tuple(rows), tuple(deletes), tuple(settled))


def _read(notification: Notification, reading: Reading, came: datetime) -> Row | Delete | None:
    """What a notification asks for; None when it names no record. A delete without a stamp of its own counts from when
    it came. Raises Unstorable.
    """
    if notification.record_id is None and not notification.fields:
        return None
    tombstone = reading.models.tombstones.get(notification.sobject or "")
    if tombstone is not None:
        return _told_by(tombstone, notification, came)
    if not notification.fields and not NEVER_BLANK.isdisjoint(reading.selected):
        salesforce_id = record_id(notification.record_id)
        return Delete(notification, notification.sobject, salesforce_id, came, otherwise=Outcome.EMPTY)
    layout = reading.layout(notification)
    if not read_value(read_boolean, "IsDeleted", notification.fields.get("IsDeleted"), "true or false"):
        return reading.row(notification, layout)
    stamp = read_stamp(reading.stamp_field(notification.fields), notification.fields) or came
    if layout.is_marked:
        return replace(reading.row(notification, layout), deleted_at=stamp)
    return Delete(notification, notification.sobject, record_id(notification.record_id), stamp)


def _told_by(tombstone: Tombstone, notification: Notification, came: datetime) -> Delete:
    """The record that a tombstone names."""
    fields = notification.fields
    stamp = read_stamp(next((name for name in MOMENTS if fields.get(name)), None), fields)
    sobject = fields.get(tombstone.sobject) if tombstone.sobject else None
    return Delete(notification, sobject, record_id(fields.get(tombstone.record_id)), stamp or came)


def _newest(found: list[Row | Delete]) -> list[Row | Delete]:
    """One a record: the freshest; of equally fresh ones what deletes, as nobody saves a record that is gone, else the
    last.
    """
    by_record: dict[str, Row | Delete] = {}
    for item in found:
        other = by_record.get(item.salesforce_id)
        if other is None or _freshness(item) >= _freshness(other):
            by_record[item.salesforce_id] = item
    return list(by_record.values())


def _outdone(item: Row | Delete) -> Settled:
    note = "The same message held a newer one of this record."
    stamp = _freshness(item)[0]
    arrived = {"arrived": stamp.isoformat()} if stamp is not LONG_AGO else {}
    return Settled(item.notification, Outcome.STALE, detail={**arrived, "notes": [note]}, about=item.salesforce_id)


def _freshness(item: Row | Delete) -> tuple[datetime, bool]:
    if isinstance(item, Delete):
        return item.deleted_at, True
    return item.modstamp or LONG_AGO, item.deleted_at is not None
