"""References in queries: `Task.who.type`, `Task.who.of(Contact).last_name`, `Task.who.name`.

Each is a scalar subquery by the unique ID, so that it can stand in columns, conditions and orders alike, needs no join,
and leaves one row a record whether what it names has arrived or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, case, func, inspect, literal, null, select
from sqlalchemy.orm import Composite, Mapper, QueryableAttribute, Relationship, Session, with_polymorphic

from omreceiver.errors import DeclarationError, QueryError
from omreceiver.records import loading, prefixes
from omreceiver.records.fields import salesforce_field
from omreceiver.records.naming import snake_case

if TYPE_CHECKING:
    from omreceiver.records.references import ReferenceAttribute

#: the fields of Salesforce's object Name, which stands for whatever a polymorphic reference names ("Name", Object
#: Reference)
NAME_FIELDS = (
    "Alias",
    "Email",
    "FirstName",
    "IsActive",
    "LastName",
    "LastReferencedDate",
    "LastViewedDate",
    "MiddleName",
    "Name",
    "Phone",
    "ProfileId",
    "Suffix",
    "Title",
    "Type",
    "UserRoleId",
    "Username",
)
BY_ATTRIBUTE = {snake_case(name): name for name in NAME_FIELDS}


class ReferenceTo:
    """A reference of a class, or of an alias of it, inside a query."""

    def __init__(self, reference: ReferenceAttribute, entity: Any, within: Target | None = None) -> None:
        self.reference = reference
        self.entity = entity
        self.within = within

    def __repr__(self) -> str:
        return f"{inspect(self.entity).mapper.class_.__name__}.{self.reference.name}"

    @property
    def field(self) -> str:
        """The API name of the field that holds the ID, "WhoId"."""
        return self.reference.field

    @property
    def relationship(self) -> str:
        """What SOQL calls it, "Who"."""
        return self.reference.relationship

    @property
    def targets(self) -> tuple[str, ...]:
        return self.reference.targets

    @property
    def is_polymorphic(self) -> bool:
        return len(self.targets) > 1

    @property
    def id(self) -> Any:
        """The column of the Salesforce ID."""
        return self.outside(self.column)

    @property
    def column(self) -> Any:
        """The ID where the reference itself is at hand; `id` is the same as seen from the whole query."""
        return getattr(self.entity, self.reference.key)

    @property
    def type(self) -> ColumnElement[str]:
        """The sObject: of the record if it is here, else by the key prefix, else NULL."""
        if not self.is_polymorphic:
            return self.outside(case((self.column.is_not(None), literal(self.targets[0]))))
        arrived = [self.of(root)._lookup(_sobject) for root in self.reference.roots(self.entity)]
        told = prefixes.sobject_by_prefix(self.column, self.targets)
        return self.outside(case((self.column.is_not(None), _first(*arrived, told))))

    @property
    def child_name(self) -> ColumnElement[str]:
        """The leaf class of the record; NULL while it has not arrived."""
        arrived = [self.of(root)._lookup(_child_name) for root in self.reference.roots(self.entity)]
        return self.outside(_first(*arrived, null()))

    def of(self, model: Any) -> Target:
        """The record as one of a class: `Task.who.of(Contact).last_name`, NULL for tasks that name anything else.

        Raises QueryError for a class whose records the reference never names.
        """
        mapper: Mapper[Any] | None = inspect(model, raiseerr=False)
        below = mapper.self_and_descendants if isinstance(mapper, Mapper) else ()
        if not any(each.class_.__sobject__ in self.targets for each in below):
            names = " and ".join(self.targets)
            raise QueryError(f"{self!r} names {names} only, not {getattr(model, '__name__', model)}.")
        return Target(self, model)

    def __eq__(self, record: object) -> Any:
        """`Task.who == contact`, and `Task.who == None` for a blank one."""
        return self.id == _salesforce_id(self, record)

    def __ne__(self, record: object) -> Any:
        return self.id != _salesforce_id(self, record)

    __hash__ = object.__hash__

    def is_(self, record: None) -> Any:
        return self.id.is_(record)

    def is_not(self, record: None) -> Any:
        return self.id.is_not(record)

    def in_(self, records: Iterable[Any]) -> Any:
        """`Task.who.in_(contacts)`"""
        return self.id.in_([self.reference.id_of(record) for record in records])

    def not_in(self, records: Iterable[Any]) -> Any:
        return self.id.not_in([self.reference.id_of(record) for record in records])

    def name_field(self, name: str) -> ColumnElement[Any]:
        """A field of Salesforce's object Name, of whatever the reference names: `Task.who.name_field("LastName")`.

        Raises QueryError when `name` is no such field, or when no target maps it.
        """
        if name not in NAME_FIELDS:
            raise QueryError(f"{name} is no field of Name, which has {', '.join(NAME_FIELDS)}")
        if name == "Type":
            return self.type
        found = [
            self.of(model)._lookup(lambda alias, key=key: getattr(alias, key)) for model, key in self._mapping(name)
        ]
        if not found:
            raise QueryError(f"No class that {self!r} may name maps the field {name}. Add it to one of them.")
        return self.outside(_first(*found))

    def _mapping(self, name: str) -> Iterable[tuple[Any, str]]:
        """The classes among the targets that hold a field in a table of their own, each column once, and as what."""
        columns: dict[Any, tuple[Any, str]] = {}
        for model in self.reference.classes(self.entity):
            mapper = inspect(model)
            for attribute in mapper.column_attrs:
                for column in attribute.columns:
                    mark = salesforce_field(column)
                    if mark is not None and mark.name == name:
                        holder = next(m.class_ for m in mapper.iterate_to_root() if m.local_table is column.table)
                        columns.setdefault(column, (holder, attribute.key))
        return columns.values()

    def load(self, session: Session, records: Iterable[Any]) -> None:
        """Load what the reference names for these records: at most one statement for each root of its targets."""
        loading.load(session, records, self.reference)

    def adapt_to_entity(self, alias: Any) -> ReferenceTo:
        """SQLAlchemy asks for this when the reference is taken from an alias of its class."""
        return ReferenceTo(self.reference, alias.entity, self.within)

    def outside(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the class that has the reference, as the whole query sees it."""
        return expression if self.within is None else self.within._scalar(expression)

    def __getattr__(self, name: str) -> Any:
        if name in BY_ATTRIBUTE:
            return self.name_field(BY_ATTRIBUTE[name])
        raise AttributeError(f"{name}: a reference has id, type, of(Class) and {', '.join(BY_ATTRIBUTE)}")


class Target:
    """The record that a reference names, as one of a class. Its attributes are SQL expressions.

    `_alias` is the class inside the subquery, for what is put together there and then given to `_scalar`: names of
    ours begin with an underscore, as those of the class may be any.
    """

    def __init__(self, reference: ReferenceTo, model: Any) -> None:
        self._reference = reference
        # the class and those above it; classes below have nothing that is asked for
        self._alias = with_polymorphic(model, [model], aliased=True, flat=True)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._alias, name)
        if isinstance(value, ReferenceTo):
            return ReferenceTo(value.reference, self._alias, self)
        if isinstance(getattr(value, "property", None), Composite | Relationship):
            raise QueryError(f"{name} is more than one column. Name the one that you want of it.")
        if callable(value) and not isinstance(value, QueryableAttribute | ColumnElement):
            raise QueryError(f"{name} is no column.")
        return self._scalar(value)

    def _scalar(self, expression: Any) -> ColumnElement[Any]:
        """An expression over this record's columns, as the whole query sees it."""
        return self._reference.outside(self._lookup(lambda _: expression))

    def _lookup(self, of: Any) -> ColumnElement[Any]:
        """What `of` makes of the record, as the class sees it that has the reference.

        The CASE names that class's own column outside of the subquery, so that its table is in FROM in any case.
        """
        named = self._reference.column
        found = select(of(self._alias)).where(self._alias.salesforce_id == named).correlate_except(self._alias)
        return case((named.is_not(None), found.scalar_subquery()))


def _first(*expressions: ColumnElement[Any]) -> ColumnElement[Any]:
    """The first that is not NULL; SQLite knows no coalesce of one."""
    return func.coalesce(*expressions) if len(expressions) > 1 else expressions[0]


def _salesforce_id(reference: ReferenceTo, record: Any) -> str | None:
    """Raises QueryError for what is no record: a comparison with it would silently find nothing."""
    if record is None:
        return None
    try:
        return reference.reference.id_of(record)
    except DeclarationError as error:
        raise QueryError(f"{error} For an ID compare {reference!r}_id.") from error


def _child_name(alias: Any) -> ColumnElement[str]:
    mapper = inspect(alias).mapper
    return literal(mapper.class_.__name__) if mapper.polymorphic_on is None else alias.child_name


def _sobject(alias: Any) -> ColumnElement[str]:
    """The sObject of a record by its leaf class."""
    mapper = inspect(alias).mapper
    sobjects = {each.class_.__name__: each.class_.__sobject__ for each in mapper.self_and_descendants}
    if len(set(sobjects.values())) == 1:
        return literal(mapper.class_.__sobject__)
    return case({name: sobject for name, sobject in sobjects.items() if sobject}, value=alias.child_name)
