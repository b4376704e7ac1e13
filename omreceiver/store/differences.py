"""Compares one record as kept messages give it with the same record in the class tables.

Compared is what those messages tell: the fields that their actions select, the class and the key where these are among
them, and what is kept about a record. Columns of your own are not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import Table

from omreceiver.records.inheritance import SYSTEM
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.store import freshness
from omreceiver.store.present import Present
from omreceiver.store.reading import LONG_AGO

#: what may differ between two that are alike: which action brought what is no matter of the record
ASIDE = frozenset({"action_stamps"})


class What(StrEnum):
    """What is wrong with a record in the tables."""

    MISSING = "missing"
    DIFFERS = "differs"
    DELETED = "deleted"


@dataclass
class Difference:
    """One record that is not as the kept messages give it."""

    what: What
    layout: Layout
    salesforce_id: str
    #: its key, in the tables if it is there
    key: str
    #: as the tables hold it
    present: Present | None
    #: attribute → value of the columns that are there
    before: Mapping[str, Any]
    #: attribute → value as the messages give it, of the columns to be written
    values: dict[str, Any]
    #: the tables in which it has no row and should
    rows: tuple[Table, ...] = ()
    #: another record that has its key in the tables
    holder: Present | None = None

    def columns(self) -> list[tuple[str, Any, Any]]:
        """(column, there, rebuilt) of everything that differs."""
        rows = [(table.name, "no row", "a row") for table in self.rows]
        told = [(name, self.before.get(name), value) for name, value in self.values.items() if name not in ASIDE]
        return rows + [each for each in told if each[1] != each[2]]

    def ids(self) -> set[str]:
        """The Salesforce IDs that it goes by: as the messages give it, and in the tables."""
        return {self.salesforce_id} | ({self.present.salesforce_id} if self.present else set())

    def is_blocked(self, leaving: Collection[str]) -> bool:
        """Whether it wants a key that another record has in the tables and does not leave."""
        holder = self.holder if "external_id" in self.values else None
        return holder is not None and holder.salesforce_id not in leaving


def is_fresher(one: Present, other: Present, layout: Layout) -> bool:
    """Whether one has heard of something newer: a save, or that it was deleted where that is marked."""
    first, second = (max(each.modstamp or LONG_AGO, each.deleted_at(layout) or LONG_AGO) for each in (one, other))
    return first > second


def missing(rebuilt: Present, models: Models, holder: Present | None) -> Difference:
    """A record that is not in the tables."""
    layout = models.class_of(rebuilt.root, rebuilt.child_name)
    values = {name: value for name, value in rebuilt.attributes(layout).items() if name in _received(layout)}
    return Difference(What.MISSING, layout, rebuilt.salesforce_id, rebuilt.key, None, {}, values, holder=holder)


def deleted(there: Present, layout: Layout) -> Difference:
    """A record that is in the tables and should not be."""
    return Difference(What.DELETED, layout, there.salesforce_id, there.key, there, there.attributes(layout), {})


def differing(
    rebuilt: Present, there: Present, models: Models, fields: frozenset[str], holder: Present | None
) -> Difference | None:
    """What of a record differs from the one in the tables; None when nothing does. `fields` are those that its messages
    select.
    """
    given, here = models.class_of(rebuilt.root, rebuilt.child_name), models.class_of(there.root, there.child_name)
    is_known = models.discriminators(given.model.__sobject__) <= fields
    layout = models.kept(given if is_known else None, here) if here is not given else given
    before = there.attributes(layout)
    told = {**_system(rebuilt, there, layout, fields), **_values(rebuilt, given, layout, fields)}
    if "extra" in before:
        told["extra"] = _extra(rebuilt, before, layout, fields)
    values = {name: value for name, value in told.items() if value != before[name]}
    rows = tuple(table for table in layout.tables if not there.has(table))
    if not (values or rows):
        return None
    if "modstamp" in values:
        values |= _stamps(rebuilt, there, layout)
    return Difference(What.DIFFERS, layout, rebuilt.salesforce_id, there.key, there, before, values, rows, holder)


def _system(rebuilt: Present, there: Present, layout: Layout, fields: frozenset[str]) -> dict[str, Any]:
    """What is kept about a record and the messages tell."""
    is_keyed = layout.key_field is None or layout.key_field in fields
    system = {
        "external_id": rebuilt.key if is_keyed else there.key,
        "child_name": layout.name,
        "salesforce_id": rebuilt.salesforce_id,
        "organization_id": rebuilt.value(rebuilt.root.c.organization_id),
        "modstamp": rebuilt.modstamp or there.modstamp,
        "deleted_at": rebuilt.deleted_at(layout),
    }
    return {name: value for name, value in system.items() if name in layout.by_attribute and name in _received(layout)}


def _values(rebuilt: Present, given: Layout, layout: Layout, fields: frozenset[str]) -> dict[str, Any]:
    """The selected fields that the record's class maps. Those that only a class of yours below has came unmapped."""
    values, extra = rebuilt.attributes(given), rebuilt.value(rebuilt.root.c.extra) or {}
    found: dict[str, Any] = {}
    for name, slot in layout.slots.items():
        if name in fields and name in given.slots:
            found[slot.attribute] = values[slot.attribute]
        elif name in fields:
            found[slot.attribute] = slot.read(extra[name]) if name in extra else None
    return found


def _extra(
    rebuilt: Present, before: Mapping[str, Any], layout: Layout, fields: frozenset[str]
) -> dict[str, str] | None:
    """What is there and no message tells of, and what the messages tell."""
    told = rebuilt.value(rebuilt.root.c.extra) or {}
    left = {name: text for name, text in (before["extra"] or {}).items() if name not in fields}
    return left | {name: text for name, text in told.items() if name not in layout.slots} or None


def _stamps(rebuilt: Present, there: Present, layout: Layout) -> dict[str, Any]:
    """How fresh the record is by action, of both."""
    both = [freshness.stamps_of(each.attributes(layout)) for each in (there, rebuilt)]
    stamps = {name: max(each[name] for each in both if name in each) for name in {*both[0], *both[1]}}
    return freshness.stored(stamps)


@lru_cache(maxsize=512)
def _received(layout: Layout) -> frozenset[str]:
    """The attributes that the receiver writes; the others are the user's own."""
    kept = {"external_id", *SYSTEM, *(["deleted_at"] if layout.is_marked else [])}
    return frozenset(kept & layout.by_attribute.keys()).union(slot.attribute for slot in layout.slots.values())
