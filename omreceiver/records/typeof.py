"""TYPEOF: other fields for each type that a polymorphic reference may name, in one column of one statement.

The rules are Salesforce's ("TYPEOF" and "Understanding Polymorphic Keys and Relationships", SOQL and SOSL Reference).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Label, ScalarSelect, inspect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Bundle, QueryableAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from omreceiver.errors import QueryError
from omreceiver.records.fields import salesforce_field
from omreceiver.records.naming import snake_case
from omreceiver.records.related import NAME_FIELDS, ReferenceTo

Keys = Literal["attributes", "fields"]
AGGREGATES = frozenset({"count", "sum", "avg", "min", "max", "group_concat", "string_agg", "array_agg", "json_agg"})


class Matched(dict[str, Any]):
    """What TYPEOF found for one record: field → value, and `type`, the sObject, when something tells it."""

    type: str | None = None

    def __hash__(self) -> int:  # type: ignore[override]
        """For `.unique()`, which SQLAlchemy asks for beside joined collections."""
        return hash(frozenset(self))


@dataclass(frozen=True)
class When:
    """The fields wanted of one class, and under which keys they are given."""

    #: None for ELSE
    model: Any
    columns: Mapping[str, ColumnElement[Any]]

    def takes(self, child_name: str | None, sobject: str | None) -> bool:
        """Whether a record is of this class; of one that has not arrived only the sObject is known."""
        if child_name is None:
            return bool(self.model.__sobject__ == sobject and not self.model.__when__)
        return child_name in {mapper.class_.__name__ for mapper in inspect(self.model).self_and_descendants}


class OnlySelected(FunctionElement[Any]):
    """A column that refuses, when the statement is compiled, every place where Salesforce allows no TYPEOF."""

    name = "typeof"
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(OnlySelected)
def _compile(element: OnlySelected, compiler: SQLCompiler, **kw: Any) -> str:
    _check_place(compiler, is_column=kw.get("within_columns_clause", False))
    return compiler.process(next(iter(element.clauses)), **kw)


def _check_place(compiler: SQLCompiler, *, is_column: bool) -> None:
    if not is_column:
        raise QueryError("TYPEOF stands in the SELECT clause only. Filter by the reference's type or its Name fields.")
    if len(compiler.stack) > 1:
        raise QueryError("TYPEOF stands in the outermost SELECT only, not in a subquery or a semi-join.")
    statement: Any = compiler.stack[-1]["selectable"]
    if statement._group_by_clauses or statement._having_criteria:
        raise QueryError("TYPEOF cannot stand in a query with GROUP BY or HAVING.")
    if any(_aggregates(column) for column in statement._raw_columns):
        raise QueryError("TYPEOF cannot stand beside an aggregate such as COUNT().")


def _aggregates(element: Any) -> bool:
    """Whether a column aggregates the rows of its own query; what is in a subquery aggregates others."""
    if isinstance(element, ScalarSelect | OnlySelected):
        return False
    if isinstance(element, FunctionElement) and element.name.lower() in AGGREGATES:
        return True
    return any(map(_aggregates, element.get_children()))


class Typeof(Bundle[Any]):
    """The columns of one TYPEOF, which come out of a row as one Matched, or as None."""

    def __init__(self, label: str, reference: ReferenceTo, whens: Sequence[When], otherwise: When | None) -> None:
        self.whens, self.otherwise = whens, otherwise
        of_whens = [column for when in whens for column in when.columns.values()]
        of_else = list(otherwise.columns.values()) if otherwise else []
        columns = [reference.id, reference.child_name, reference.type, *of_whens, *of_else]
        super().__init__(label, *map(OnlySelected, columns), single_entity=True)

    def _gen_cache_key(self, anon_map: Any, bindparams: Any) -> Any:
        """SQLAlchemy's, with what the rows are made into: equal columns may go to other keys."""
        parts = [*self.whens, *([self.otherwise] if self.otherwise else [])]
        shape = tuple((part.model, tuple(part.columns)) for part in parts)
        return (*super()._gen_cache_key(anon_map, bindparams), shape, self.otherwise is None)

    def create_row_processor(
        self, query: Any, procs: Sequence[Callable[[Any], Any]], labels: Sequence[str]
    ) -> Callable[[Any], Matched | None]:
        record_id, child_name, sobject = procs[:3]
        values = iter(procs[3:])
        whens = [(when, [next(values) for _ in when.columns]) for when in self.whens]
        otherwise = (self.otherwise, list(values)) if self.otherwise else None

        def matched(row: Any) -> Matched | None:
            if record_id(row) is None:
                return None
            leaf, kind = child_name(row), sobject(row)
            found = next((each for each in whens if each[0].takes(leaf, kind)), otherwise)
            if found is None:
                return None
            result = Matched(zip(found[0].columns, (of(row) for of in found[1]), strict=True))
            result.type = kind
            return result

        return matched


def typeof(
    reference: Any,
    whens: Mapping[Any, Sequence[Any]],
    else_: Sequence[str] | None = None,
    *,
    label: str | None = None,
    keys: Keys = "attributes",
) -> Typeof:
    """A column for `select`: for each record a mapping of the fields wanted of whatever its reference names.

    `typeof(Task.who, {Contact: [Contact.email], Lead: [Lead.company]}, else_=["Name"])`. `whens` are classes, matched
    in their order, with attributes of them, or functions of the class for what is further away:
    `lambda contact: contact.account.of(Account).name.label("account_name")`. `else_` are fields of Salesforce's object
    Name. A record that matches none of them, without `else_`, gives None, as does a blank reference.

    The mapping has attribute names as keys, or with `keys="fields"` API names; its `type` is the sObject.
    Raises QueryError for what Salesforce refuses too, here or when the statement is compiled.
    """
    _check_reference(reference)
    wanted = [_when(reference, model, fields, keys) for model, fields in whens.items()]
    otherwise = None if else_ is None else _else(reference, else_, keys)
    return Typeof(label or reference.reference.name, reference, wanted, otherwise)


def _check_reference(reference: Any) -> None:
    if not isinstance(reference, ReferenceTo):
        raise QueryError(f"TYPEOF is for references; {reference} is none.")
    if not reference.is_polymorphic:
        raise QueryError(
            f"TYPEOF is for polymorphic references; {reference.field} names {reference.targets[0]} only. "
            f"Use {reference!r}.of({reference.targets[0]})."
        )


def _when(reference: ReferenceTo, model: Any, fields: Sequence[Any], keys: Keys) -> When:
    if model not in reference.reference.classes(reference.entity):
        names = " and ".join(reference.targets)
        raise QueryError(f"WHEN {getattr(model, '__name__', model)}: {reference.field} names {names} only.")
    target = reference.of(model)
    columns: dict[str, ColumnElement[Any]] = {}
    for field in fields:
        if isinstance(field, Typeof):
            raise QueryError("TYPEOF cannot be nested. Select the fields of a further reference by of(Class).")
        if callable(field) and not isinstance(field, QueryableAttribute):
            field = field(target._alias)
            if not isinstance(field, Label):
                raise QueryError(f"WHEN {model.__name__}: a function of it must give a column with a .label().")
            columns[field.name] = target._scalar(field.element)
        else:
            key = _key(field, model, keys)
            columns[key] = getattr(target, field.key)
    return When(model, columns)


def _key(field: Any, model: Any, keys: Keys) -> str:
    """The name of an attribute in the result."""
    if not isinstance(field, QueryableAttribute) or not issubclass(model, inspect(field.class_).mapper.class_):
        raise QueryError(f"WHEN {model.__name__}: {field} is no field of {model.__name__}.")
    if keys == "attributes":
        return field.key
    mark = salesforce_field(field.property.columns[0])
    return mark.name if mark else {"salesforce_id": "Id"}.get(field.key, field.key)


def _else(reference: ReferenceTo, names: Sequence[str], keys: Keys) -> When:
    if isinstance(names, str):
        raise QueryError(f"ELSE takes a list of fields: [{names!r}].")
    for name in names:
        if name not in NAME_FIELDS:
            raise QueryError(f"ELSE {name}: only fields of Name can stand here: {', '.join(NAME_FIELDS)}.")
    return When(None, {n if keys == "fields" else snake_case(n): reference.name_field(n) for n in names})
