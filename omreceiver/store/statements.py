"""Set-based statements by key, alike on all databases; rows go in by a batch, see batch.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Delete,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    cast,
    delete,
    func,
    select,
    update,
)

from omreceiver.store.texts import Texts

KEY = "external_id"
#: an execution option: root → all tables of its records, where no foreign key holds them together
LOOSE = "omreceiver_loose"
T = TypeVar("T")


def in_parts(found: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The same, some at a time."""
    return (found[start : start + size] for start in range(0, len(found), size))


def among(of: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Whether a column is one of a list of texts: one parameter, whatever its length."""
    texts = bindparam(name, type_=Texts())
    if dialect == "postgresql":
        return of == any_(_array(name))
    if dialect == "sqlite":
        return of.in_(select(func.json_each(texts).table_valued("value").c.value))
    return of.op("IN", is_comparison=True)(texts)


def length_of(name: str) -> ColumnElement[int]:
    """How many texts are in such a parameter, on PostgreSQL."""
    return func.cardinality(_array(name))


def _array(name: str) -> ColumnElement[Any]:
    return cast(bindparam(name, type_=Texts()), ARRAY(Text()))


def delete_rows(connection: Connection, table: Table, keys: Sequence[str]) -> None:
    if keys:
        connection.execute(_delete(table), {"keys": list(keys)})


def rekey_rows(connection: Connection, table: Table, keys: Sequence[tuple[str, str]]) -> None:
    """Move keys (old, new) in a root; ON UPDATE CASCADE carries them through every table below, or this where there is
    none.
    """
    if keys:
        loose = connection.get_execution_options().get(LOOSE, {})
        for each in loose.get(table, (table,)):
            connection.execute(_rekey(each), [{"old_key": old, "new_key": new} for old, new in keys])


@lru_cache(maxsize=512)
def _delete(table: Table) -> Delete:
    return delete(table).where(table.c[KEY].in_(bindparam("keys", expanding=True)))


@lru_cache(maxsize=512)
def _rekey(table: Table) -> Update:
    return update(table).values({KEY: bindparam("new_key")}).where(table.c[KEY] == bindparam("old_key"))
