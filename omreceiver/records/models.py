"""Models: the mapped classes of one receiver, declared ones and those built from WSDLs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import ModuleType

from sqlalchemy import MetaData, Table

from omreceiver.errors import ChecksFailed
from omreceiver.records import checks
from omreceiver.records.layout import Layout, Model
from omreceiver.records.leaves import Leaves
from omreceiver.records.record import RecordMixin
from omreceiver.records.tombstones import Tombstone
from omreceiver.schema.catalog import Catalog


class Models:
    """The mapped classes that records go to. Declared ones come first, built ones fill the gaps.

    Raises ChecksFailed, with everything that is found, when the classes contradict themselves, each other, or what
    the catalog knows of their sObjects.
    """

    def __init__(
        self, classes: Iterable[Model], catalog: Catalog | None = None, tombstones: Iterable[Tombstone] = ()
    ) -> None:
        self.catalog = catalog or Catalog()
        self.tombstones = {tombstone.name: tombstone for tombstone in tombstones}
        # a registry holds its classes in no order: parents first, then by name
        ordered = sorted(set(classes), key=lambda model: (len(model.__mro__), model.__name__))
        self.layouts: dict[Model, Layout] = {model: Layout(model) for model in ordered}
        self.leaves = Leaves(ordered, self.catalog)
        found = checks.check(self.layouts, self.leaves, self.catalog, self.tombstones)
        if found:
            raise ChecksFailed(found)
        for model in ordered:
            model.__neighbours__ = tuple(ordered)

    def __iter__(self) -> Iterator[Layout]:
        return iter(self.layouts.values())

    @property
    def sobjects(self) -> list[str]:
        return self.leaves.sobjects

    def of(self, sobject: str) -> list[Model]:
        """The classes that take an sObject, the one without `when` first."""
        return self.leaves.of(sobject)

    def leaf(self, sobject: str, fields: Mapping[str, str | None]) -> Model | None:
        """The class whose `when` says most about a record with these fields, or None."""
        return self.leaves.leaf(sobject, fields)

    def kept(self, leaf: Layout | None, present: Layout) -> Layout:
        """Where a record goes that is in `present` and whose fields say `leaf`, or None when they do not tell."""
        return self.layouts[self.leaves.kept(leaf.model if leaf else None, present.model)]

    def discriminators(self, sobject: str | None) -> frozenset[str]:
        """The fields that decide between the classes of an sObject."""
        return self.leaves.discriminators(sobject)

    def named(self, child_name: str, root: Table | None = None) -> Layout | None:
        """The layout of the class that a discriminator names; None for a class that is no longer there."""
        named = (layout for layout in self if layout.name == child_name)
        return next((layout for layout in named if root is None or layout.root is root), None)

    def class_of(self, root: Table, child_name: str | None) -> Layout:
        """The class that a record of a root is in; the root's own where its class is no longer there."""
        of_root = next(layout for layout in self if layout.root is root)
        return (self.named(child_name, root) if child_name else None) or of_root

    def roots(self, sobject: str | None = None) -> list[Table]:
        """The root tables that hold records of an sObject, or of all."""
        of = self.layouts if sobject is None else self.of(sobject)
        return list(dict.fromkeys(self.layouts[model].root for model in of))

    def metadata(self) -> list[MetaData]:
        """The MetaData that hold the classes' tables, each once."""
        return list({id(layout.root.metadata): layout.root.metadata for layout in self}.values())

    def tables_below(self, root: Table) -> tuple[Table, ...]:
        """A root and every class table below it, parents before children."""
        return self._tables_below[root]

    @cached_property
    def _tables_below(self) -> dict[Table, tuple[Table, ...]]:
        below = {root: [t for layout in self if layout.root is root for t in layout.tables] for root in self.roots()}
        return {root: tuple(dict.fromkeys(tables)) for root, tables in below.items()}

    def tables(self) -> list[Table]:
        """Every class table once, parents before children."""
        return list(dict.fromkeys(table for layout in self for table in layout.tables))


def mapped_classes(source: ModuleType | Model) -> list[Model]:
    """The mapped classes that a module holds by name, all below a declarative base, or one mapped class itself."""
    if isinstance(source, ModuleType):
        return [value for value in vars(source).values() if _is_record(value)]
    if _is_record(source):
        return [source]
    return [mapper.class_ for mapper in source.registry.mappers if _is_record(mapper.class_)]  # type: ignore[attr-defined]


def _is_record(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, RecordMixin) and "__mapper__" in value.__dict__
