"""Writes what was decided, table by table: a constant number of statements, whatever the number of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from omreceiver.records.layout import Layout
from omreceiver.store import statements
from omreceiver.store.batch import Batch
from omreceiver.store.claims import Move
from omreceiver.store.saves import Save

#: (the key before, the key after, the Salesforce ID of the record)
Rekey = tuple[str, str, str]


def write(batch: Batch, saves: Iterable[Save], moves: Iterable[Move], tables: tuple[Table, ...]) -> None:
    """Bring the tables of one root to the values of the saves, when the batch is sent; records that must make room for
    them leave first, at once.
    """
    written = [save for save in saves if (save.is_written or save.moves_on) and not save.is_dropped]
    rekeyed = [(s.before["external_id"], s.key, s.before["salesforce_id"]) for s in written if _is_rekeyed(s)]
    moved = [(move.present.key, move.new_key, move.present.salesforce_id) for move in moves]
    _rekey(batch.connection, tables[0], [*moved, *rekeyed])
    retyped = [save for save in written if "child_name" in save.touched]
    for table in reversed(tables) if retyped else ():
        left = [save.key for save in retyped if _has_left(save, table)]
        statements.delete_rows(batch.connection, table, left)
    for table in tables:
        here = [save for save in written if table in save.layout.tables]
        new = [save for save in here if save.present is None or not save.present.has(table)]
        old = [save for save in here if save.present is not None and save.present.has(table)]
        batch.insert(table, _rows(table, new, _default))
        changed = [save for save in old if _differs(save, table)]
        batch.update(table, _rows(table, changed, _unchanged))


def _rekey(connection: Connection, root: Table, rekeys: Sequence[Rekey]) -> None:
    """Move keys. Those that somebody holds, who moves too, are reached by way of a key that nobody has: a unique key
    is looked at row by row.
    """
    held = {before for before, _, _ in rekeys}
    swapped = [rekey for rekey in rekeys if rekey[1] in held]
    straight = [rekey for rekey in rekeys if rekey[1] not in held]
    away = [(before, f"~{salesforce_id}") for before, _, salesforce_id in swapped]
    back = [(f"~{salesforce_id}", after) for _, after, salesforce_id in swapped]
    statements.rekey_rows(connection, root, [*away, *((before, after) for before, after, _ in straight), *back])


def _is_rekeyed(save: Save) -> bool:
    return "external_id" in save.touched


def _has_left(save: Save, table: Table) -> bool:
    """Only a record that is retyped leaves a table: a row of yours in a class of yours is yours."""
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
    wanted = _wanted(table, frozenset(save.layout for save in saves), frozenset().union(*(s.values for s in saves)))
    return [
        {name: save.values[each] if each in save.values else other(save, each) for each, name in wanted}
        for save in sorted(saves, key=lambda save: save.key)
    ]


@lru_cache(maxsize=512)
def _wanted(table: Table, layouts: frozenset[Layout], given: frozenset[str]) -> list[tuple[str, str]]:
    """(attribute, column) of those columns of a table that some save gives, and of those that must not be NULL."""
    columns = {attribute: column for layout in layouts for attribute, column in layout.columns[table].items()}
    return [
        (attribute, column.name)
        for attribute, column in columns.items()
        if attribute in given or column.default or not (column.nullable or column.server_default)
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
