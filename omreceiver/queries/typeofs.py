"""TYPEOF of a query into a column that gives, for each record, a mapping of the fields it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Label, inspect

from omreceiver.errors import QueryError
from omreceiver.queries.scope import Classes, Scope, match, sobject_named, suggested
from omreceiver.queries.source import Source
from omreceiver.queries.syntax import Path, Typeof, When
from omreceiver.records import typeof
from omreceiver.records.related import NAME_FIELDS, ReferenceTo


def column(source: Source, tree: Typeof) -> typeof.Typeof:
    """Raises SoqlError for a reference that is not polymorphic, and for what its sObjects do not have."""
    reference = source.reference(tree.reference)
    if not reference.is_polymorphic:
        instead = f"select {tree.reference}.Name, or another field of {reference.targets[0]}"
        raise tree.reference.at.error(
            f"TYPEOF is for polymorphic references; {tree.reference} names {reference.targets[0]} only: {instead}"
        )
    whens: dict[Any, list[Any]] = {}
    for when in tree.whens:
        whens |= _fields(source.scope.classes, reference, when, whens)
    otherwise = [_name_field(reference, path) for path in tree.otherwise if isinstance(path, Path)]
    return typeof.typeof(reference, whens, otherwise or None, label=str(tree.reference), keys="fields")


def _fields(classes: Classes, reference: ReferenceTo, when: When, known: Iterable[type]) -> dict[Any, list[Any]]:
    """The fields wanted of an sObject, for each of its classes that stands above the others."""
    target = match(when.sobject.text, reference.targets)
    if target is None:
        close = suggested(when.sobject.text, reference.targets) or f"; it names {' or '.join(reference.targets)}"
        raise when.sobject.at.error(f"{reference.field} never names {when.sobject}{close}")
    sobject = sobject_named(classes, target, when.sobject.at)
    tops = [model for model in sobject.models if not any(above in sobject.models for above in model.__mro__[1:])]
    if set(tops) & set(known):
        raise when.sobject.at.error(f"WHEN {when.sobject} stands twice; put its fields together")

    def wanted(model: type, path: Path) -> Callable[[Any], Label[Any]]:
        def of(alias: Any) -> Label[Any]:
            def holder(declaring: type) -> Any:
                # a field of a class further below is no part of the alias, and looked up by itself
                return alias if issubclass(inspect(alias).mapper.class_, declaring) else reference.of(declaring)

            return Scope(classes, sobject, holder).field(path).expression.label(str(path))

        return of

    paths = [path for path in when.fields if isinstance(path, Path)]
    return {model: [wanted(model, path) for path in paths] for model in tops}


def _name_field(reference: ReferenceTo, path: Path) -> str:
    known = match(str(path), NAME_FIELDS)
    if known is None:
        raise path.at.error(f"only fields of Name can stand behind ELSE: {', '.join(NAME_FIELDS)}")
    try:
        reference.name_field(known)
    except QueryError as error:
        raise path.at.error(str(error)) from error
    return known
