"""Removal: one record that was deleted in Salesforce on its way out of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table

from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.records.record import RecordMixin
from omreceiver.schema.notification import Notification
from omreceiver.signals import Change
from omreceiver.store import statements
from omreceiver.store.plan import Delete, Outcome, Plan, Settled
from omreceiver.store.present import Found, Present
from omreceiver.store.reading import Row
from omreceiver.store.saves import BOOKKEEPING
from omreceiver.store.tombstones import Gone


@dataclass
class Removal:
    """A record whose rows go. It answers to the same questions as a Save."""

    delete: Delete
    present: Present
    layout: Layout
    notes: list[str] = field(default_factory=list)
    receivers: dict[str, list[str]] = field(default_factory=dict)
    instance: RecordMixin | None = None
    outcome: Outcome = Outcome.DELETED
    is_told: bool = True

    @property
    def notification(self) -> Notification:
        return self.delete.notification

    @property
    def salesforce_id(self) -> str:
        return self.delete.salesforce_id

    @property
    def key(self) -> str:
        return self.present.key

    @property
    def held(self) -> datetime | None:
        held: datetime | None = self.present.modstamp
        return held

    def changes(self) -> Mapping[str, Change]:
        """The last values, and None instead of them."""
        last: dict[str, Any] = self.present.attributes(self.layout)
        return {n: Change(value, None) for n, value in last.items() if value is not None and n not in BOOKKEEPING}


@dataclass
class Judged:
    """What becomes of the deletes of a message."""

    removals: list[Removal] = field(default_factory=list)
    #: records of classes that mark: the rows to store
    marks: list[Row] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    #: what is remembered of records that leave no row behind to tell it
    gone: dict[str, Gone] = field(default_factory=dict)


def judge(plan: Plan, found: Found) -> Judged:
    """Which records go, which are marked, and which deletes tell nothing new."""
    judged = Judged()
    for delete in plan.deletes:
        there = [found.by_id[at] for at in found.by_id if at[1] == delete.salesforce_id]
        for present in there:
            _judge(delete, present, plan.reading.models, judged)
        if not there:
            told = {"arrived": delete.deleted_at.isoformat(), "notes": ["There was no such record here."]}
            judged.settled.append(Settled(delete.notification, delete.otherwise, None, told, delete.salesforce_id))
            judged.gone[delete.salesforce_id] = Gone(delete.deleted_at)
    return judged


def _judge(delete: Delete, present: Present, models: Models, judged: Judged) -> None:
    layout = models.class_of(present.root, present.child_name)
    if layout.is_marked and present.deleted_at(layout) and delete.otherwise is Outcome.EMPTY:
        note = {"notes": ["The record is marked as deleted already."]}
        judged.settled.append(Settled(delete.notification, Outcome.EMPTY, None, note, delete.salesforce_id))
    elif layout.is_marked:
        row = Row(delete.notification, layout, None, delete.salesforce_id, None, {}, {}, False, delete.deleted_at)
        judged.marks.append(row)
    elif present.modstamp is not None and present.modstamp > delete.deleted_at:
        told = {"arrived": delete.deleted_at.isoformat(), "held": present.modstamp.isoformat()}
        judged.settled.append(Settled(delete.notification, Outcome.STALE, None, told, delete.salesforce_id))
    else:
        judged.removals.append(Removal(delete, present, layout))
        judged.gone[delete.salesforce_id] = Gone(delete.deleted_at)


def remove(connection: Connection, leaving: Iterable[Present], models: Models) -> None:
    """Take the rows out of every class table, children first: one statement a table."""
    by_root: dict[Table, list[str]] = {}
    for present in leaving:
        by_root.setdefault(present.root, []).append(present.key)
    for root, keys in by_root.items():
        for table in reversed(models.tables_below(root)):
            statements.delete_rows(connection, table, sorted(keys))
