"""What stands in FROM: one sObject, as the mapped classes below one of them, and its fields by the names of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, inspect, select
from sqlalchemy.orm import with_polymorphic

from omreceiver.queries.kinds import Field
from omreceiver.queries.scope import Classes, Scope, match, sobject_named
from omreceiver.queries.syntax import Path, Query
from omreceiver.records.related import ReferenceTo


@dataclass(frozen=True)
class Source:
    """The records of one FROM."""

    scope: Scope
    #: the nearest class above all classes of the sObject, with the tables of these
    entity: Any
    alias: str | None

    @classmethod
    def of(cls, classes: Classes, query: Query) -> Source:
        """Raises SoqlError when no class takes the sObject."""
        sobject = sobject_named(classes, query.sobject.text, query.sobject.at)
        top = _above(sobject.models)
        entity: Any = with_polymorphic(top, [*sobject.models], aliased=True, flat=True)

        def holder(model: type) -> Any:
            return entity if issubclass(top, model) else getattr(entity, model.__name__)

        return cls(Scope(classes, sobject, holder), entity, query.alias.text if query.alias else None)

    def field(self, path: Path) -> Field:
        return self.scope.field(path, self._start(path))

    def reference(self, path: Path) -> ReferenceTo:
        return self.scope.reference(path, self._start(path))

    def key(self, path: Path) -> tuple[str, ...]:
        """The same for a field however it is written."""
        return tuple(name.lower() for name in path.names[self._start(path) :])

    def select(self, *columns: Any) -> Select[Any]:
        """Of the records of this sObject, and of no other that lives in the same tables."""
        statement = select(*columns).select_from(self.entity)
        only = self._only()
        return statement if only is None else statement.where(only)

    def _only(self) -> ColumnElement[bool] | None:
        mapper = inspect(self.entity).mapper
        below = {each.class_.__name__ for each in mapper.self_and_descendants}
        names = {model.__name__ for model in self.scope.sobject.models}
        if mapper.polymorphic_on is None or names == below:
            return None
        condition: ColumnElement[bool] = self.entity.child_name.in_(sorted(names))
        return condition

    def _start(self, path: Path) -> int:
        """Where a path begins behind the alias, or behind the name of the sObject itself."""
        first = path.names[0].lower()
        if len(path.names) == 1:
            return 0
        if self.alias is not None and first == self.alias.lower():
            return 1
        sobject = self.scope.sobject
        return int(first == sobject.name.lower() and match(first, sobject.references) is None)


def _above(models: tuple[type, ...]) -> type:
    """The nearest mapped class that all are or derive from."""
    line: Any = inspect(models[0], raiseerr=True).iterate_to_root()
    above: type = next(mapper.class_ for mapper in line if all(issubclass(each, mapper.class_) for each in models))
    return above
