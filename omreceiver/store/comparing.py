"""Compares all records of a scratch with the class tables, some at a time, and finds what has to be deleted there.

A record that is fresher in the tables, or that a message has named meanwhile, is left alone; one that no kept message
names is only counted. A key that such a record holds is not taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Table, and_, func, or_, select

from omreceiver.records.models import Models
from omreceiver.store import differences, present, tables
from omreceiver.store.differences import Difference, What
from omreceiver.store.present import Present
from omreceiver.store.statements import in_parts

#: records that are compared at once
BATCH = 500
T = tables.tombstone.c
Family = tuple[Table, ...]


@dataclass
class Comparison:
    """What differs, and how many records do not or are left alone."""

    differences: list[Difference] = field(default_factory=list)
    equal: int = 0
    #: in the tables, or named by a message meanwhile
    fresher: int = 0
    #: by any kept message
    unnamed: int = 0


@dataclass(frozen=True)
class Deleted:
    """A record that is gone, as a tombstone tells."""

    salesforce_id: str
    organization_id: str
    deleted_at: datetime


@dataclass(frozen=True)
class Sides:
    """What is compared: the tables of the scratch and the real ones."""

    scratch: Connection
    real: Connection
    models: Models
    #: Salesforce ID → the fields that its messages select
    fields: Mapping[str, frozenset[str]]
    #: to be written: only these records, and none of them changes until the transaction ends
    only: Collection[str] | None = None

    def compare(self, newer: Callable[[], Set[str]]) -> Comparison:
        """Look at every record once. `newer` gives the records that messages have named meanwhile; it is asked in the
        end, when nothing changes any more that is to be written.
        """
        found = Comparison()
        for root in self.models.roots():
            family = self.models.tables_below(root)
            met = sum(self._compare(batch, family, found) for batch in self._rebuilt(family))
            met += sum(self._find_deleted(batch, family, found) for batch in self._deleted())
            found.unnamed += max(0, self._count(root) - met)
        _leave_alone(found, newer())
        _settle_keys(found)
        return found

    def _compare(self, batch: Sequence[Present], family: Family, found: Comparison) -> int:
        """Gives how many of the real records were met."""
        ids = {rebuilt.salesforce_id for rebuilt in batch}
        there = list(self._look(family, {rebuilt.key for rebuilt in batch}, ids))
        by_id, by_key = {each.salesforce_id: each for each in there}, {each.key: each for each in there}
        others = by_id.keys() - ids
        known = ids | self._in_scratch(family[0], others) | self._gone(others)
        met = 0
        for rebuilt in batch:
            mine, holder = by_id.get(rebuilt.salesforce_id), by_key.get(rebuilt.key)
            if mine is None and holder is not None and holder.salesforce_id not in known:
                # the record's own row, with an ID that no message gives
                mine = holder
            met += mine is not None
            self._judge(rebuilt, mine, None if holder is mine else holder, found)
        return met

    def _judge(self, rebuilt: Present, there: Present | None, holder: Present | None, found: Comparison) -> None:
        fields = self.fields.get(rebuilt.salesforce_id, frozenset())
        if there is None:
            found.differences.append(differences.missing(rebuilt, self.models, holder))
        elif differences.is_fresher(there, rebuilt, self.models.class_of(rebuilt.root, rebuilt.child_name)):
            found.fresher += 1
        elif differing := differences.differing(rebuilt, there, self.models, fields, holder):
            found.differences.append(differing)
        else:
            found.equal += 1

    def _find_deleted(self, batch: Sequence[Deleted], family: Family, found: Comparison) -> int:
        """Gives how many of the real records were met. What a class marks is not removed."""
        gone = {(each.salesforce_id, each.organization_id): each for each in batch}
        known = self._in_scratch(family[0], {each.salesforce_id for each in batch})
        met = 0
        for there in self._look(family, (), {each.salesforce_id for each in batch}):
            layout = self.models.class_of(there.root, there.child_name)
            told = gone.get((there.salesforce_id, there.value(family[0].c.organization_id)))
            if told is None or there.salesforce_id in known or layout.is_marked:
                continue
            if there.modstamp is None or there.modstamp <= told.deleted_at:
                found.differences.append(differences.deleted(there, layout))
                met += 1
        return met

    def _rebuilt(self, family: Family) -> Iterator[list[Present]]:
        """The records of the scratch, by key."""
        (statement, place), key = present.joined(family), family[0].c.external_id
        if self.only is not None:
            for ids in in_parts(sorted(self.only), BATCH):
                rows = self.scratch.execute(statement.where(family[0].c.salesforce_id.in_(ids)))
                yield [Present(family[0], tuple(row), place) for row in rows]
            return
        page = statement.limit(BATCH)
        while batch := [Present(family[0], tuple(row), place) for row in self.scratch.execute(page)]:
            yield batch
            page = statement.where(key > batch[-1].key).limit(BATCH)

    def _deleted(self) -> Iterator[list[Deleted]]:
        """The tombstones of the scratch."""
        statement = select(T.salesforce_id, T.organization_id, T.deleted_at).where(T.deleted_at.is_not(None))
        if self.only is not None:
            for ids in in_parts(sorted(self.only), BATCH):
                yield [Deleted(*row) for row in self.scratch.execute(statement.where(T.salesforce_id.in_(ids)))]
            return
        page = ordered = statement.order_by(T.salesforce_id, T.organization_id).limit(BATCH)
        while batch := [Deleted(*row) for row in self.scratch.execute(page)]:
            yield batch
            last = batch[-1]
            same = and_(T.salesforce_id == last.salesforce_id, T.organization_id > last.organization_id)
            page = ordered.where(or_(T.salesforce_id > last.salesforce_id, same))

    def _look(self, family: Family, keys: Collection[str], ids: Collection[str]) -> Iterable[Present]:
        """The real records that have one of these."""
        if self.only is not None:
            return present.look(self.real, family, keys, ids)
        (statement, place), root = present.joined(family), family[0]
        wanted = or_(root.c.external_id.in_(sorted(keys)), root.c.salesforce_id.in_(sorted(ids)))
        return (Present(root, tuple(row), place) for row in self.real.execute(statement.where(wanted)))

    def _in_scratch(self, root: Table, ids: Collection[str]) -> set[str]:
        if not ids:
            return set()
        return set(self.scratch.scalars(select(root.c.salesforce_id).where(root.c.salesforce_id.in_(sorted(ids)))))

    def _gone(self, ids: Collection[str]) -> set[str]:
        """Of these records those that were deleted, as a tombstone of the scratch tells."""
        told = select(T.salesforce_id).where(T.salesforce_id.in_(sorted(ids)), T.deleted_at.is_not(None))
        return set(self.scratch.scalars(told)) if ids else set()

    def _count(self, root: Table) -> int:
        return self.real.scalar(select(func.count()).select_from(root)) or 0


def _leave_alone(found: Comparison, newer: Set[str]) -> None:
    """Take out what messages have named meanwhile."""
    stays = [each for each in found.differences if newer.isdisjoint(each.ids())]
    found.fresher += len(found.differences) - len(stays)
    found.differences = stays


def _settle_keys(found: Comparison) -> None:
    """A record whose key is that of another one, which stays where it is, keeps its own; a missing one gets its
    Salesforce ID for a key, as when it arrives.
    """
    while blocked := [each for each in found.differences if each.is_blocked(_leaving(found))]:
        for each in blocked:
            each.holder = None
            if each.what is What.MISSING:
                each.key = each.values["external_id"] = each.layout.key.stored(each.salesforce_id)
            else:
                del each.values["external_id"]
    stays = [each for each in found.differences if each.what is not What.DIFFERS or each.columns()]
    found.equal += len(found.differences) - len(stays)
    found.differences = stays


def _leaving(found: Comparison) -> set[str]:
    """The real records whose keys will be free."""
    moving = (d for d in found.differences if d.what is What.DELETED or "external_id" in d.values)
    return {each.present.salesforce_id for each in moving if each.present is not None}
