"""Names into SQL: which column, or which subquery over a reference, a path such as Account.Owner.Name means."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Column, ColumnElement, func, inspect
from sqlalchemy.orm import Mapper

from omreceiver.errors import QueryError
from omreceiver.queries.kinds import DATETIME, ID, NAME_KINDS, TEXT, Field, Kind, kind_of
from omreceiver.queries.syntax import Path, Place
from omreceiver.records.fields import salesforce_field
from omreceiver.records.references import ReferenceAttribute, references_of
from omreceiver.records.related import NAME_FIELDS, ReferenceTo

#: "no more than five levels" ("Relationship Queries", SOQL and SOSL Reference)
MOST_LEVELS = 5
#: mapped class → what has the SQL expressions of its attributes
Holder = Callable[[type], Any]


class Classes(Protocol):
    """The mapped classes that a query can be over: records.models.Models is such."""

    @property
    def sobjects(self) -> list[str]: ...

    def of(self, sobject: str) -> list[Any]: ...


class Mapping(NamedTuple):
    """Where one field lies: the class that declares it, the attribute there, and what it holds."""

    model: type
    key: str
    kind: Kind


@dataclass(frozen=True)
class Sobject:
    """An sObject as it is mapped: its classes with their fields and references."""

    name: str
    #: those that take its records, and those of yours below them
    models: tuple[type, ...]

    @cached_property
    def fields(self) -> dict[str, list[Mapping]]:
        """Field → where it lies; several classes below one root may each have it."""
        found: dict[Column[Any], tuple[str, Mapping]] = {}
        for model in self.models:
            mapper: Mapper[Any] = inspect(model, raiseerr=True)
            for attribute in mapper.column_attrs:
                for column in attribute.columns:
                    mark = salesforce_field(column) if isinstance(column, Column) else None
                    if mark is not None and isinstance(column, Column):
                        place = Mapping(declarer(mapper, column), attribute.key, kind_of(mark, column.type))
                        found.setdefault(column, (mark.name, place))
        fields: dict[str, list[Mapping]] = {}
        for name, place in found.values():
            fields.setdefault(name, []).append(place)
        # an Id that a class maps as well is that of the record all the same
        return self._system_fields() | {name: places for name, places in fields.items() if name != "Id"}

    def _system_fields(self) -> dict[str, list[Mapping]]:
        """What every root holds, under the names that Salesforce has for it."""
        roots: list[type] = [inspect(self.models[0], raiseerr=True).base_mapper.class_]
        stamps = [Mapping(root, "modstamp", DATETIME) for root in roots]
        ids = [Mapping(root, "salesforce_id", ID) for root in roots]
        return {"Id": ids, "SystemModstamp": stamps, "LastModifiedDate": stamps}

    @cached_property
    def references(self) -> dict[str, list[tuple[type, ReferenceAttribute]]]:
        """Relationship → the classes that declare it, and the reference there."""
        found: dict[Column[Any], tuple[type, ReferenceAttribute]] = {}
        for model in self.models:
            mapper: Mapper[Any] = inspect(model, raiseerr=True)
            for reference in references_of(model).values():
                column = mapper.column_attrs[reference.key].columns[0]
                if isinstance(column, Column):
                    found.setdefault(column, (declarer(mapper, column), reference))
        relationships: dict[str, list[tuple[type, ReferenceAttribute]]] = {}
        for place in found.values():
            relationships.setdefault(place[1].relationship, []).append(place)
        return relationships


def declarer(mapper: Mapper[Any], column: Column[Any]) -> type:
    """The class of a line whose own table has the column."""
    declaring: type = next(each for each in mapper.iterate_to_root() if each.local_table is column.table).class_
    return declaring


def sobject_named(classes: Classes, name: str, at: Place) -> Sobject:
    """Raises SoqlError when no class takes the sObject."""
    known = match(name, classes.sobjects)
    if known is None:
        close = suggested(name, classes.sobjects)
        raise at.error(f"no class takes {name}{close or '; declare one, or put its WSDL into the WSDL folder'}")
    return _mapped(classes, known)


def _mapped(classes: Classes, name: str) -> Sobject:
    mappers = [below for model in classes.of(name) for below in inspect(model).self_and_descendants]
    models = [mapper.class_ for mapper in mappers if mapper.class_.__sobject__ == name]
    return Sobject(name, tuple(dict.fromkeys(models)))


@dataclass(frozen=True)
class Scope:
    """One sObject inside a query."""

    classes: Classes
    sobject: Sobject
    holder: Holder

    def field(self, path: Path, start: int = 0) -> Field:
        """What a path means, from one of its names on. Raises SoqlError that points at the name that means nothing."""
        if len(path.names) - start - 1 > MOST_LEVELS:
            raise path.at.error(f"{path} goes up more than {MOST_LEVELS} levels")
        found = list(self._found(path, start))
        expressions = [expression for expression, _ in found]
        return Field(str(path), found[0][1], func.coalesce(*expressions) if len(found) > 1 else expressions[0])

    def reference(self, path: Path, start: int = 0) -> ReferenceTo:
        """The reference that a path of relationships means. Raises SoqlError, also when several classes have one."""
        *_, last = within = list(self._within(path, start))
        if len(within) > 1:
            raise path.at.error(f"several classes have a reference {path}; declare it once, in the class above them")
        return last

    def _within(self, path: Path, index: int) -> Iterator[ReferenceTo]:
        for reference in self._references(path, index):
            if index == len(path.names) - 1:
                yield reference
            else:
                yield from self._parent(reference, path, index)._within(path, index + 1)

    def _found(self, path: Path, index: int) -> Iterator[tuple[ColumnElement[Any], Kind]]:
        """Each expression that gives the field; of several at most one is not NULL."""
        if index == len(path.names) - 1:
            yield from self._own(path, index)
            return
        for reference in self._references(path, index):
            if reference.is_polymorphic:
                yield _of_name(reference, path, index + 1)
            elif index == len(path.names) - 2 and self._asks_for_type(reference, path.names[-1]):
                yield reference.type, TEXT
            else:
                yield from self._parent(reference, path, index)._found(path, index + 1)

    def _own(self, path: Path, index: int) -> Iterator[tuple[ColumnElement[Any], Kind]]:
        name = path.names[index]
        known = match(name, self.sobject.fields)
        if known is None:
            raise path.place(index).error(f"{self.sobject.name} has no field {name}{self._hint(name)}")
        for model, key, kind in self.sobject.fields[known]:
            yield getattr(self.holder(model), key), kind

    def _hint(self, name: str) -> str:
        if relationship := match(name, self.sobject.references):
            [*_, (_, reference)] = self.sobject.references[relationship]
            return f"; it is a relationship: write {reference.field}, or {relationship}.Name"
        return suggested(name, self.sobject.fields) or f"; mapped are {', '.join(self.sobject.fields)}"

    def _references(self, path: Path, index: int) -> list[ReferenceTo]:
        name = path.names[index]
        known = match(name, self.sobject.references)
        if known is None:
            mapped = ", ".join(self.sobject.references) or "none"
            hint = suggested(name, self.sobject.references) or f"; mapped are {mapped}"
            raise path.place(index).error(f"{self.sobject.name} has no relationship {name}{hint}")
        return [getattr(self.holder(model), reference.name) for model, reference in self.sobject.references[known]]

    def _parent(self, reference: ReferenceTo, path: Path, index: int) -> Scope:
        """What a reference names. Raises SoqlError where that is one of several sObjects, or one without a class."""
        if reference.is_polymorphic:
            raise path.place(index + 1).error(f"{_any(reference, path, index)}; go on in a WHEN")
        target = sobject_named(self.classes, reference.targets[0], path.place(index))
        return Scope(self.classes, target, reference.of)

    def _asks_for_type(self, reference: ReferenceTo, name: str) -> bool:
        """Owner.Type is the sObject also where it can be one only, unless that has a field of this name."""
        if name.upper() != "TYPE":
            return False
        [target] = reference.targets
        return target not in self.classes.sobjects or "Type" not in _mapped(self.classes, target).fields


def _of_name(reference: ReferenceTo, path: Path, index: int) -> tuple[ColumnElement[Any], Kind]:
    """A field of the object Name, which is all that different sObjects have in common."""
    name = path.names[index]
    known = match(name, [*NAME_FIELDS, "Id"]) if index == len(path.names) - 1 else None
    if known is None:
        example = (
            f"TYPEOF {'.'.join(path.names[:index])} WHEN {reference.targets[0]} THEN {'.'.join(path.names[index:])}"
        )
        raise path.place(index).error(f"{_any(reference, path, index - 1)}. Write {example} END in SELECT")
    try:
        expression = reference.id if known == "Id" else reference.name_field(known)
    except QueryError as error:
        raise path.place(index).error(str(error)) from error
    return expression, NAME_KINDS.get(known, TEXT)


def _any(reference: ReferenceTo, path: Path, index: int) -> str:
    targets = " or ".join(reference.targets)
    return f"{path.names[index]} names {targets}, of which it gives the fields of Name only: {', '.join(NAME_FIELDS)}"


def match(name: str, known: Iterable[str]) -> str | None:
    """The name as it is mapped; SOQL knows no upper and lower case in names."""
    return next((each for each in known if each.lower() == name.lower()), None)


def suggested(name: str, known: Collection[str]) -> str:
    """The nearest names, as a question."""
    lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), lower, n=3)
    return f"; did you mean {' or '.join(lower[each] for each in close)}?" if close else ""
