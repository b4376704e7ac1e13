"""Decides what becomes of each row of a message: which record it is, how fresh, under which key.

A record is known by its Salesforce ID. A row whose ID is not here but whose key is, is a record that was created anew
or merged: it takes the row over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from omreceiver.errors import ConstraintViolated, MissingExternalId, Unstorable
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.store import claims, extra, freshness
from omreceiver.store.claims import Claims
from omreceiver.store.freshness import Stamps
from omreceiver.store.plan import Outcome, Settled
from omreceiver.store.present import Found, Present
from omreceiver.store.reading import Reading, Row
from omreceiver.store.saves import Save
from omreceiver.store.situation import Situation
from omreceiver.store.tombstones import NOTHING, Gone


@dataclass
class Decided:
    """What becomes of the rows, and who must make room for them."""

    saves: list[Save] = field(default_factory=list)
    rejected: list[Settled] = field(default_factory=list)
    claims: Claims = field(default_factory=Claims)

    def gone(self) -> dict[str, Gone]:
        """What is to be remembered of records that have lost their rows, or never had any."""
        told = dict(self.claims.gone)
        for save in self.saves:
            if save.present is None or not save.is_of_another:
                continue
            if save.is_stale:
                told[save.salesforce_id] = Gone(save.row.deleted_at, save.row.modstamp)
            elif save.held:
                told[save.present.salesforce_id] = Gone(save.present.deleted_at(save.layout), save.held)
        return told


def decide(rows: Iterable[Row], situation: Situation) -> Decided:
    """What becomes of each row. Raises ConstraintViolated when two rows claim one record: then the records of the
    message must be stored one after the other.
    """
    decided = Decided()
    # those that are here first: a key that they leave is free for others
    for row in sorted(rows, key=lambda row: situation.found.of(row) is None):
        try:
            decided.saves.append(_save(row, situation, decided.saves))
        except Unstorable as error:
            decided.rejected.append(Settled(row.notification, Outcome.QUARANTINED, error))
    live = [save for save in decided.saves if not save.is_stale]
    claimed = [id(save.present) for save in live if save.present is not None]
    if len(set(claimed)) < len(claimed):
        raise ConstraintViolated("Two records of the message claim one row.")
    decided.claims = claims.settle(live, situation)
    decided.saves = situation.plan.message.in_order(decided.saves)
    return decided


def _save(row: Row, situation: Situation, earlier: list[Save]) -> Save:
    present, is_recreated = _present(row, situation.found, earlier)
    until = _gone_until(row, situation)
    if until is not None and row.modstamp is not None and row.modstamp <= until:
        return _stale(row, present, "The record was deleted, or its row became another record's, after that.")
    if present is None:
        if row.key is None:
            name = row.layout.key_field
            raise MissingExternalId(f"The action does not send {name}, and the record is new. Select {name}.")
        return _compared(Save(row, None, {}), _stamps_again(row, situation), situation)
    if is_recreated:
        return _taken_over(row, present, situation)
    return _updated(row, present, situation)


def _gone_until(row: Row, situation: Situation) -> datetime | None:
    return situation.gone.get(row.salesforce_id, NOTHING).until(is_marked=row.layout.is_marked)


def _stamps_again(row: Row, situation: Situation) -> Stamps:
    """What a record begins with that is back: what was sent before it went is stale, by whatever action."""
    until = _gone_until(row, situation)
    return {} if until is None else dict.fromkeys(situation.lists(), until)


def _present(row: Row, found: Found, earlier: list[Save]) -> tuple[Present | None, bool]:
    """The record that a row is of, and whether it is the one of its key, which had another Salesforce ID."""
    mine, holder = found.of(row), found.holder(row)
    if mine is not None or holder is None:
        return mine, False
    leaving = any(s.present is holder and not s.is_stale and s.key != row.key for s in earlier)
    return (None, False) if leaving else (holder, True)


def _taken_over(row: Row, present: Present, situation: Situation) -> Save:
    """A record created anew, or merged, under the key of another: the row is its own from now on."""
    placed = _in_its_class(row, present, situation.plan.reading)
    save = Save(placed, present, present.attributes(placed.layout))
    save.values = _values(save, _stamps_again(row, situation), situation)
    if claims.is_late(save, present, situation.lists):
        return _stale(row, present, f"The key is that of {present.salesforce_id} since later.")
    save.notes.append(f"The record was {present.salesforce_id} before.")
    save.compare()
    return save


def _updated(row: Row, present: Present, situation: Situation) -> Save:
    if row.deleted_at and present.modstamp and row.deleted_at < present.modstamp:
        return _stale(row, present, "The record was saved after that.")
    reading, before = situation.plan.reading, present.attributes(row.layout)
    stamps, kept = freshness.stamps_of(before), frozenset[str]()
    if present.modstamp is not None and row.modstamp is not None and row.modstamp < present.modstamp:
        kept = freshness.set_later(row.modstamp, stamps, reading.action, reading.selected, situation.lists)
        reading = replace(reading, selected=reading.selected - kept)
        row = replace(reading.row(row.notification, row.layout), deleted_at=row.deleted_at)
        if not (row.values or row.extra or row.layout.key_field in reading.selected):
            return _stale(row, present)
    placed = _in_its_class(row, present, reading)
    if placed is not row:
        row, before = placed, present.attributes(placed.layout)
    return _compared(Save(row, present, before, kept=kept), stamps, situation)


def _stale(row: Row, present: Present | None, *notes: str) -> Save:
    before = present.attributes(row.layout) if present else {}
    save = Save(row, present, before, dict(before), is_stale=True, notes=list(notes))
    save.compare()
    return save


def _compared(save: Save, stamps: Stamps, situation: Situation) -> Save:
    save.values = _values(save, stamps, situation)
    save.compare()
    return save


def _in_its_class(row: Row, present: Present, reading: Reading) -> Row:
    """A record stays in the class it is in when the action does not send what `when` asks for, and in one of yours
    below the class that takes it.
    """
    here = _other_class(row, present, reading.models)
    if here is None:
        return row
    layout = reading.models.kept(row.layout if row.is_leaf_known else None, here)
    return row if layout is row.layout else replace(reading.row(row.notification, layout), deleted_at=row.deleted_at)


def _other_class(row: Row, present: Present, models: Models) -> Layout | None:
    """The class that the record is in, where it is not that of the row."""
    name = present.child_name
    return models.named(name, row.layout.root) if name and name != row.layout.name else None


def _values(save: Save, stamps: Stamps, situation: Situation) -> dict[str, Any]:
    row, present, before, reading = save.row, save.present, save.before, situation.plan.reading
    here = _other_class(row, present, reading.models) if present else None
    left = extra.left_by(present, here, row.layout) if present and here else {}
    values = {
        "external_id": before["external_id"] if row.key is None else row.key,
        "salesforce_id": row.salesforce_id,
        "organization_id": situation.plan.message.organization_id,
        **freshness.remembered(row, stamps, reading.action),
        **extra.settle(row, before, left),
        **row.values,
    }
    if "child_name" in row.layout.by_attribute:
        values["child_name"] = row.layout.name
    if row.layout.is_marked:
        values["deleted_at"] = _deleted_at(row, before, situation)
    return values


def _deleted_at(row: Row, before: Mapping[str, Any], situation: Situation) -> datetime | None:
    """What a class that marks says of a record: deleted until something newer tells that it lives."""
    is_same = before.get("salesforce_id") == row.salesforce_id
    known = before.get("deleted_at") if is_same else situation.gone.get(row.salesforce_id, NOTHING).deleted_at
    told = max(filter(None, (known, row.deleted_at)), default=None)
    lives = row.deleted_at is None and (row.modstamp is None or told is None or row.modstamp > told)
    return None if lives else told
