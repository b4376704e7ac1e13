"""Layout: one mapped class as the store needs it: which field goes where, which column lies in which table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import Mapper

from omreceiver.errors import DeclarationError
from omreceiver.records.fields import Key, SalesforceField, salesforce_field
from omreceiver.records.inheritance import MARK
from omreceiver.records.record import RecordMixin

Model = type[RecordMixin]


@dataclass(frozen=True)
class Slot:
    """Where one Salesforce field goes: the attribute, the reader of its text, and what that reader expects."""

    attribute: str
    read: Callable[[str], Any]
    expected: str


class Layout:
    """One mapped class, its tables and its fields."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.mapper: Mapper[Any] = inspect(model, raiseerr=True)
        line = (mapper.local_table for mapper in reversed([*self.mapper.iterate_to_root()]))
        #: root first
        self.tables: tuple[Table, ...] = tuple(table for table in line if isinstance(table, Table))

    @property
    def root(self) -> Table:
        return self.tables[0]

    @property
    def is_marked(self) -> bool:
        """Whether a record that is deleted keeps its rows, with `deleted_at` in the root."""
        return self.model.__on_delete__ == MARK

    @property
    def name(self) -> str:
        """What the discriminator says of a record of this class."""
        return self.model.__name__

    @cached_property
    def columns(self) -> dict[Table, dict[str, Column[Any]]]:
        """For each table its columns by attribute; external_id stands in all of them."""
        laid: dict[Table, dict[str, Column[Any]]] = {table: {} for table in self.tables}
        for attribute in self.mapper.column_attrs:
            for column in attribute.columns:
                if isinstance(column, Column):
                    laid[column.table][attribute.key] = column
        return laid

    @cached_property
    def by_attribute(self) -> dict[str, Column[Any]]:
        """Every column by attribute; external_id is the root's."""
        return {name: column for table in reversed(self.tables) for name, column in self.columns[table].items()}

    def marks(self) -> Iterator[tuple[str, SalesforceField]]:
        """Attribute and field of every column that the receiver fills."""
        for attribute in self.mapper.column_attrs:
            column = attribute.columns[0]
            mark = salesforce_field(column) if isinstance(column, Column) else None
            if mark is not None:
                yield attribute.key, mark

    @cached_property
    def slots(self) -> dict[str, Slot]:
        """API name → where it goes. The external ID is not among them."""
        kinds = {name: (mark, mark.value_type) for name, mark in self.marks() if not mark.external_id}
        return {mark.name: Slot(name, kind.read, kind.expected) for name, (mark, kind) in kinds.items()}

    @cached_property
    def key(self) -> Key:
        key_type = self.root.c.external_id.type
        if not isinstance(key_type, Key):
            raise DeclarationError(f"{self.name}.external_id is not declared with ExternalId(...)")
        return key_type

    @cached_property
    def key_field(self) -> str | None:
        """The field that the key comes from; None when the Salesforce ID is the key."""
        mark = salesforce_field(self.root.c.external_id)
        return mark.name if mark else None
