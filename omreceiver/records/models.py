"""Models: the mapped classes of one receiver, found by sObject, with how each is filled and how it is laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from sqlalchemy import Column, MetaData, Table, inspect
from sqlalchemy.orm import Mapper

from omreceiver.errors import DeclarationError
from omreceiver.records.fields import Key, salesforce_field
from omreceiver.records.record import RecordMixin

Model = type[RecordMixin]


@dataclass(frozen=True)
class Slot:
    """Where one Salesforce field goes: the attribute, the reader of its text, and what that reader expects."""

    attribute: str
    read: Callable[[str], Any]
    expected: str


class Layout:
    """One mapped class as the store needs it: which field goes where, which column lies in which table."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.mapper: Mapper[Any] = inspect(model, raiseerr=True)
        line = (mapper.local_table for mapper in reversed([*self.mapper.iterate_to_root()]))
        #: root first
        self.tables: tuple[Table, ...] = tuple(table for table in line if isinstance(table, Table))

    @property
    def root(self) -> Table:
        return self.tables[0]

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

    @cached_property
    def slots(self) -> dict[str, Slot]:
        """API name → where it goes. The external ID is not among them."""
        found: dict[str, Slot] = {}
        for attribute in self.mapper.column_attrs:
            column = attribute.columns[0]
            mark = salesforce_field(column) if isinstance(column, Column) else None
            if mark is None or mark.external_id:
                continue
            if mark.name in found:
                raise DeclarationError(f"{self.model.__name__} maps {mark.name} twice; remove one of the two")
            found[mark.name] = Slot(attribute.key, mark.value_type.read, mark.value_type.expected)
        return found

    @cached_property
    def key(self) -> Key:
        key_type = self.root.c.external_id.type
        if not isinstance(key_type, Key):
            raise DeclarationError(f"{self.model.__name__}.external_id is not declared with ExternalId(...)")
        return key_type

    @cached_property
    def key_field(self) -> str | None:
        """The field that the key comes from; None when the Salesforce ID is the key."""
        mark = salesforce_field(self.root.c.external_id)
        return mark.name if mark else None


class Models:
    """The mapped classes that records go to. Declared ones come first, built ones fill the gaps."""

    def __init__(self, classes: Iterable[Model]) -> None:
        # a registry holds its classes in no order: parents first, then by name
        ordered = sorted(set(classes), key=lambda model: (len(model.__mro__), model.__name__))
        self.layouts: dict[Model, Layout] = {model: Layout(model) for model in ordered}
        self._by_sobject: dict[str, list[Model]] = {}
        for model in self.layouts:
            if model.__sobject__:
                self._by_sobject.setdefault(model.__sobject__, []).append(model)
        for layout in self.layouts.values():
            layout.slots, layout.key  # noqa: B018 — a contradiction is told at the start, not with a message
        for sobject, classes_of in self._by_sobject.items():
            self._check(sobject, classes_of)

    def _check(self, sobject: str, models: list[Model]) -> None:
        roots = {self.layouts[model].root.name for model in models}
        if len(roots) > 1:
            names = ", ".join(model.__name__ for model in models)
            raise DeclarationError(f"{sobject} goes to several roots ({names}); derive them from one class")
        whens = [sorted(model.__when__.items()) for model in models]
        for model, when in zip(models, whens, strict=True):
            if whens.count(when) > 1:
                raise DeclarationError(f"{model.__name__} and another class take the same {sobject}; give it a when=")

    def __iter__(self) -> Iterator[Layout]:
        return iter(self.layouts.values())

    @property
    def sobjects(self) -> list[str]:
        return sorted(self._by_sobject)

    def of(self, sobject: str) -> list[Model]:
        """The classes that take an sObject, the one without `when` first."""
        return sorted(self._by_sobject.get(sobject, ()), key=lambda model: len(model.__when__))

    def leaf(self, sobject: str, fields: Mapping[str, str | None]) -> Model | None:
        """The class whose `when` says most about a record with these fields, or None."""
        fitting = [m for m in self.of(sobject) if all(_same(fields.get(k), v) for k, v in m.__when__.items())]
        return fitting[-1] if fitting else None

    def discriminators(self, sobject: str | None) -> frozenset[str]:
        """The fields that decide between the classes of an sObject."""
        return frozenset(name for model in self._by_sobject.get(sobject or "", ()) for name in model.__when__)

    def named(self, child_name: str) -> Layout | None:
        """The layout of the class that a discriminator names; None for a class that is no longer there."""
        return next((layout for layout in self if layout.mapper.polymorphic_identity == child_name), None)

    def metadata(self) -> list[MetaData]:
        """The MetaData that hold the classes' tables, each once."""
        return list({id(layout.root.metadata): layout.root.metadata for layout in self}.values())

    def tables_below(self, root: Table) -> tuple[Table, ...]:
        """A root and every class table below it, parents before children."""
        return self._tables_below[root]

    @cached_property
    def _tables_below(self) -> dict[Table, tuple[Table, ...]]:
        roots = {layout.root for layout in self}
        below = {root: [t for layout in self if layout.root is root for t in layout.tables] for root in roots}
        return {root: tuple(dict.fromkeys(tables)) for root, tables in below.items()}

    def tables(self) -> list[Table]:
        """Every class table once, parents before children."""
        return list(dict.fromkeys(table for layout in self for table in layout.tables))


def _same(text: str | None, wanted: str) -> bool:
    """Equal, or the same Salesforce ID in 15 and in 18 characters."""
    if text is None or text == wanted:
        return text == wanted
    return {len(text), len(wanted)} == {15, 18} and text[:15] == wanted[:15]


def mapped_classes(source: ModuleType | Model) -> list[Model]:
    """The mapped classes that a module holds by name, all below a declarative base, or one mapped class itself."""
    if isinstance(source, ModuleType):
        return [value for value in vars(source).values() if _is_record(value)]
    if _is_record(source):
        return [source]
    return [mapper.class_ for mapper in source.registry.mappers if _is_record(mapper.class_)]  # type: ignore[attr-defined]


def _is_record(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, RecordMixin) and "__mapper__" in value.__dict__
