"""Decides what becomes of each row, by comparing it with what is there; then writes what differs, table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from omreceiver.errors import ConstraintViolated, MissingExternalId
from omreceiver.records.layout import Layout
from omreceiver.records.record import RecordMixin
from omreceiver.signals import Change
from omreceiver.store import statements
from omreceiver.store.plan import Outcome, Plan, Row
from omreceiver.store.present import Found, Present

#: kept about a record, but no change that a receiver asked for
BOOKKEEPING = frozenset({"modstamp", "organization_id"})
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
    values: dict[str, Any]
    outcome: Outcome = Outcome.CREATED
    #: the attributes of a record that is there whose values differ
    touched: set[str] = field(default_factory=set)
    instance: RecordMixin | None = None

    @property
    def layout(self) -> Layout:
        return self.row.layout

    @property
    def key(self) -> str:
        return str(self.values["external_id"])

    @property
    def is_written(self) -> bool:
        return self.outcome not in (Outcome.STALE, Outcome.UNCHANGED)

    @property
    def is_new_here(self) -> bool:
        """Whether nothing had this Salesforce ID before."""
        return self.present is None or "salesforce_id" in self.touched

    def compare(self) -> None:
        """Find what differs, and with it the outcome."""
        if self.present is not None:
            before = self.before
            self.touched = {name for name, value in self.values.items() if before.get(name) != value}
            self.outcome = self._outcome()

    def _outcome(self) -> Outcome:
        if self._is_older():
            return Outcome.STALE
        if "child_name" in self.touched:
            return Outcome.RETYPED
        if "external_id" in self.touched:
            return Outcome.REKEYED
        return Outcome.UPDATED if self.touched - BOOKKEEPING else Outcome.UNCHANGED

    def _is_older(self) -> bool:
        """Equal stamps are applied: they have a precision of one second."""
        known, arrived = self.before["modstamp"], self.row.modstamp
        return known is not None and arrived is not None and bool(arrived < known)

    def changes(self) -> dict[str, Change]:
        """What receivers hear of: attribute → old and new value."""
        if self.present is not None:
            return {name: Change(self.before.get(name), self.values[name]) for name in self.touched - BOOKKEEPING}
        silent = BOOKKEEPING | IDENTITY
        return {n: Change(None, value) for n, value in self.values.items() if value is not None and n not in silent}


def decide(row: Row, found: Found, plan: Plan) -> Save:
    """What becomes of a row. Raises Unstorable when it contradicts what is there."""
    present = _present(row, found)
    if present is not None:
        row = _in_its_class(row, present, plan)
    before = present.attributes(row.layout) if present else {}
    save = Save(row, present, before, _values(row, before, plan))
    save.compare()
    return save


def _present(row: Row, found: Found) -> Present | None:
    by_id = found.by_id.get(row.salesforce_id)
    by_key = found.by_key.get(row.key) if row.key is not None else by_id
    if by_id and by_key and by_id is not by_key:
        raise ConstraintViolated(f"Record {row.salesforce_id} and the record with key {row.key} are two rows here.")
    if row.key is None and by_id is None:
        field_name = row.layout.key_field
        raise MissingExternalId(f"The action does not send {field_name}, and the record is new. Select {field_name}.")
    return by_key or by_id


def _in_its_class(row: Row, present: Present, plan: Plan) -> Row:
    """A record stays in the class it is in when the action does not send what `when` asks for, and in one of yours
    below the class that takes it.
    """
    root, models = row.layout.root, plan.reading.models
    name = present.value(root.c.child_name) if "child_name" in root.c else row.layout.name
    here = models.named(name, root) if name != row.layout.name else None
    if here is None:
        return row
    layout = models.kept(row.layout if row.is_leaf_known else None, here)
    return row if layout is row.layout else plan.reading.row(row.notification, layout)


def _values(row: Row, before: dict[str, Any], plan: Plan) -> dict[str, Any]:
    system = {
        "external_id": before["external_id"] if row.key is None else row.key,
        "child_name": row.layout.name,
        "salesforce_id": row.salesforce_id,
        "organization_id": plan.message.organization_id,
        "modstamp": row.modstamp or before.get("modstamp"),
    }
    if "child_name" not in row.layout.by_attribute:
        del system["child_name"]
    extra = _merged(before.get("extra"), row) if row.extra or before.get("extra") else None
    return {**system, "extra": extra, **row.values}


def _merged(before: dict[str, str] | None, row: Row) -> dict[str, str] | None:
    """What arrived and is not mapped, over what arrived earlier; a blank field leaves it, and one mapped by now."""
    merged = {**(before or {}), **row.extra}
    slots = {name: row.layout.slots[name].attribute for name in merged if name in row.layout.slots}
    gone = {name for name, attribute in slots.items() if attribute in row.values}
    return {name: text for name, text in merged.items() if text is not None and name not in gone} or None


def write(connection: Connection, saves: Iterable[Save], tables: tuple[Table, ...]) -> None:
    """Bring the tables to the values of the saves: a constant number of statements, whatever their number."""
    written = [save for save in saves if save.is_written or _moves_on(save)]
    rekeyed = [(save.before["external_id"], save.key) for save in written if _is_rekeyed(save)]
    statements.rekey_rows(connection, tables[0], rekeyed)
    for table in reversed(tables):
        left = [save.key for save in written if save.present and _has_left(save, table)]
        statements.delete_rows(connection, table, left)
    for table in tables:
        here = [save for save in written if table in save.layout.tables]
        new = [save for save in here if save.present is None or not save.present.has(table)]
        old = [save for save in here if save.present is not None and save.present.has(table)]
        statements.insert_rows(connection, table, _rows(table, new, _default))
        changed = [save for save in old if _differs(save, table)]
        statements.update_rows(connection, table, _rows(table, changed, _unchanged))


def _moves_on(save: Save) -> bool:
    """Equal but newer: the row must know, or an older message could still overwrite it."""
    return save.outcome is Outcome.UNCHANGED and "modstamp" in save.touched


def _is_rekeyed(save: Save) -> bool:
    return "external_id" in save.touched


def _has_left(save: Save, table: Table) -> bool:
    """Only a record that is retyped leaves a table: a row of yours in a class of yours is yours."""
    if "child_name" not in save.touched:
        return False
    return table not in save.layout.tables and save.present is not None and save.present.has(table)


def _differs(save: Save, table: Table) -> bool:
    """A key that moves has been carried through every table already."""
    return not (save.touched - {"external_id"}).isdisjoint(save.layout.columns[table])


def _rows(table: Table, saves: list[Save], other: Callable[[Save, str], Any]) -> list[dict[str, Any]]:
    """Rows with the same columns each: all that any of the saves holds a value for, and what must not be NULL.

    In order of the key, so that two messages insert in one order and never wait for each other.
    """
    if not saves:
        return []
    columns = {name: column for save in saves for name, column in save.layout.columns[table].items()}
    wanted = {
        name
        for name, column in columns.items()
        if any(name in save.values for save in saves)
        or column.default
        or not (column.nullable or column.server_default)
    }
    return [
        {columns[name].name: save.values[name] if name in save.values else other(save, name) for name in wanted}
        for save in sorted(saves, key=lambda save: save.key)
    ]


def _unchanged(save: Save, name: str) -> Any:
    return save.before[name]


#: SQLAlchemy wraps the functions given as defaults so that they take a context, and ignores it if they want none
_NO_CONTEXT: Any = None


def _default(save: Save, name: str) -> Any:
    """The column's own default in Python, evaluated for each row."""
    default = save.layout.by_attribute[name].default
    if isinstance(default, CallableColumnDefault):
        return default.arg(_NO_CONTEXT)
    return default.arg if isinstance(default, ScalarElementColumnDefault) else None
