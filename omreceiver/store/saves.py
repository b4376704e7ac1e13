"""Save: one record on its way into the tables, compared with what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omreceiver.records.layout import Layout
from omreceiver.records.record import RecordMixin
from omreceiver.schema.notification import Notification
from omreceiver.signals import Change
from omreceiver.store.plan import Outcome
from omreceiver.store.present import Present
from omreceiver.store.reading import Row

#: kept about a record, but no change that a receiver asked for
BOOKKEEPING = frozenset({"modstamp", "action_stamps", "organization_id"})
#: a change of these is one (rekeyed, retyped, recreated); that a new record has them is none
IDENTITY = frozenset({"external_id", "child_name", "salesforce_id"})


@dataclass
class Save:
    """One record on its way into the tables."""

    row: Row
    present: Present | None
    #: attribute → value now in the tables; empty for a new record
    before: dict[str, Any]
    #: attribute → value that the tables shall hold
    values: dict[str, Any] = field(default_factory=dict)
    is_stale: bool = False
    #: it is deleted and its key is another's: its rows go, in a class that marks too
    is_dropped: bool = False
    outcome: Outcome = Outcome.CREATED
    #: the attributes of a record that is there whose values differ
    touched: set[str] = field(default_factory=set)
    #: the fields that were not applied, as another action has set them later
    kept: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    #: signal → names of the receivers that ran
    receivers: dict[str, list[str]] = field(default_factory=dict)
    instance: RecordMixin | None = None
    _changes: Mapping[str, Change] | None = field(default=None, repr=False)

    @property
    def layout(self) -> Layout:
        return self.row.layout

    @property
    def notification(self) -> Notification:
        return self.row.notification

    @property
    def salesforce_id(self) -> str:
        return self.row.salesforce_id

    @property
    def key(self) -> str:
        """The external ID afterwards; empty for a row that is stale and of no record here."""
        return str(self.values.get("external_id", ""))

    @property
    def deleted_at(self) -> datetime | None:
        """Since when the record is marked as deleted; None for one that lives, and where nothing is marked."""
        stamp: datetime | None = self.values["deleted_at"] if self.layout.is_marked else None
        return stamp

    @property
    def is_written(self) -> bool:
        return self.outcome not in (Outcome.STALE, Outcome.UNCHANGED)

    @property
    def is_told(self) -> bool:
        """Whether receivers hear of it: not of the deletion of what was never here."""
        return self.is_written and not (self.outcome is Outcome.DELETED and self.present is None)

    @property
    def is_of_another(self) -> bool:
        """Whether the record that is there has another Salesforce ID."""
        return self.present is not None and self.present.salesforce_id != self.salesforce_id

    @property
    def moves_on(self) -> bool:
        """Equal but newer: the row must know, or an older message could still overwrite it."""
        return self.outcome is Outcome.UNCHANGED and bool(self.touched)

    @property
    def is_new_here(self) -> bool:
        """Whether nothing had this Salesforce ID before."""
        return self.present is None or self.is_of_another

    @property
    def is_here_again(self) -> bool:
        """Whether a record that was not here, or not under this Salesforce ID, is from now on."""
        return self.is_new_here and not (self.is_stale or self.is_dropped)

    @property
    def held(self) -> datetime | None:
        """The stamp of the row before, with which the message's was compared."""
        held: datetime | None = self.before.get("modstamp")
        return held

    def compare(self) -> None:
        """Find what differs, and with it the outcome."""
        self._changes = None
        if self.present is not None:
            before = self.before
            self.touched = {name for name, value in self.values.items() if before.get(name) != value}
        self.outcome = self._outcome()

    def _outcome(self) -> Outcome:
        if self.is_stale:
            return Outcome.STALE
        if self.row.deleted_at and self.deleted_at and not self.before.get("deleted_at"):
            return Outcome.DELETED
        if self.is_dropped:
            return Outcome.STALE
        if self.present is None:
            return Outcome.CREATED
        if "child_name" in self.touched:
            return Outcome.RETYPED
        if "external_id" in self.touched:
            return Outcome.REKEYED
        return Outcome.UPDATED if self.touched - BOOKKEEPING else Outcome.UNCHANGED

    def changes(self) -> Mapping[str, Change]:
        """What receivers hear of: attribute → old and new value. Every signal asks; it is found out once."""
        if self._changes is None:
            self._changes = self._found()
        return self._changes

    def _found(self) -> Mapping[str, Change]:
        if self.present is not None:
            return {name: Change(self.before.get(name), self.values[name]) for name in self.touched - BOOKKEEPING}
        silent = BOOKKEEPING | IDENTITY
        return {n: Change(None, value) for n, value in self.values.items() if value is not None and n not in silent}
