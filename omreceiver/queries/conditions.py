"""WHERE and HAVING into SQL. A condition holds or does not: SOQL has no third answer.

In SQL a comparison with NULL is neither true nor false, and NOT leaves it so. In SOQL it is false: `Name != 'x'` and
`NOT Name = 'x'` give the records without a name too. So NOT is built in one way everywhere, of what is surely true;
!=, NOT IN and EXCLUDES are NOT of =, IN and INCLUDES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, and_, bindparam, false, func, literal, not_, or_
from sqlalchemy import Text as SqlText
from sqlalchemy.types import TypeDecorator

from omreceiver.queries.kinds import BOOLEAN, CHOICES, ID, TEXT, Field, Folded
from omreceiver.queries.parameters import Parameters, wrong
from omreceiver.queries.syntax import (
    Bind,
    Call,
    Comparison,
    Condition,
    DateLiteral,
    Joined,
    Membership,
    Not,
    Null,
    Path,
    Query,
    Text,
    Value,
)

Truth = ColumnElement[bool]
NEGATIONS = {"!=": "=", "NOT IN": "IN", "EXCLUDES": "INCLUDES"}
ORDERINGS: dict[str, Callable[[Any, Any], Truth]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
#: what is up to a range ends where it ends; what is after it begins there
EDGES: dict[str, tuple[Callable[[Any, Any], Truth], int]] = {"<": (lt, 0), ">=": (ge, 0), "<=": (lt, 1), ">": (ge, 1)}


class Choice(TypeDecorator[str]):
    """A parameter that is one value of a multi-select picklist, as the pattern that finds it among others."""

    impl = Folded
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and ";" in value:
            raise ValueError("a bind variable in INCLUDES is one value; for several write INCLUDES(:one, :other)")
        return None if value is None else choice_pattern(value)


@dataclass(frozen=True)
class Conditions:
    """Makes conditions, of the fields that `find` gives."""

    find: Callable[[Path | Call], Field]
    parameters: Parameters
    #: a semi-join's query
    ids: Callable[[Query], Select[Any]]

    def of(self, condition: Condition) -> Truth:
        """The condition in SQL. Raises SoqlError where a field cannot be compared so."""
        if isinstance(condition, Not):
            return negated(self.of(condition.condition))
        if isinstance(condition, Joined):
            parts = map(self.of, condition.conditions)
            return and_(*parts) if condition.operator == "AND" else or_(*parts)
        field = self._field(condition)
        if (positive := NEGATIONS.get(condition.operator)) is not None:
            return negated(self._leaf(field, condition, positive))
        return self._leaf(field, condition, condition.operator)

    def _field(self, leaf: Comparison | Membership) -> Field:
        field = self.find(leaf.left)
        if leaf.operator in field.kind.operators:
            return field
        if leaf.operator in CHOICES - ID.operators:
            raise leaf.at.error(f"{leaf.operator} is for multi-select picklists; {field.name} holds {field.kind.word}")
        if leaf.operator == "LIKE":
            raise leaf.at.error(f"LIKE is for texts; {field.name} holds {field.kind.word}")
        allowed = ", ".join(sorted(field.kind.operators)) or "nothing"
        raise leaf.at.error(f"{field.name} holds {field.kind.word}, which is compared by {allowed}")

    def _leaf(self, field: Field, leaf: Comparison | Membership, operator: str) -> Truth:
        if isinstance(leaf, Comparison):
            return self._comparison(field, leaf, operator)
        if operator == "INCLUDES":
            assert isinstance(leaf.values, tuple)  # noqa: S101 — the grammar
            return or_(*(self._includes(field, value) for value in leaf.values))
        if isinstance(leaf.values, Query):
            return self._semi_join(field, leaf, leaf.values)
        if isinstance(leaf.values, Bind):
            given = self.parameters.bind(leaf.values, field.kind, field, is_list=True)
            # in_() would put words in the place of an empty list that cannot stand inside of lower()
            return field.compared.bool_op("IN")(given)
        return self._one_of(field, leaf.values)

    def _comparison(self, field: Field, leaf: Comparison, operator: str) -> Truth:
        if operator == "=":
            return self._equal(field, leaf.value)
        if isinstance(leaf.value, Null):
            raise leaf.value.at.error(f"null is neither more nor less; compare {field.name} with = or !=")
        if operator == "LIKE":
            return self._like(field, leaf.value)
        if isinstance(leaf.value, DateLiteral):
            compare, edge = EDGES[operator]
            return compare(field.compared, self.parameters.days(field, leaf.value)[edge])
        return ORDERINGS[operator](field.compared, self.parameters.value(field, leaf.value))

    def _equal(self, field: Field, value: Value) -> Truth:
        if isinstance(value, Null):
            # "The clause WHERE Test_c = null is equivalent to WHERE Test_c = false" ("Use null in WHERE")
            return field.compared.is_(False) if field.kind is BOOLEAN else field.expression.is_(None)
        if isinstance(value, DateLiteral):
            start, end = self.parameters.days(field, value)
            return and_(field.compared >= start, field.compared < end)
        given = self.parameters.value(field, value)
        equal: Truth = field.compared == given
        # a bind variable may be given None, which is null
        return or_(equal, func.coalesce(given, field.compared).is_(None)) if isinstance(value, Bind) else equal

    def _like(self, field: Field, value: Value) -> Truth:
        text = Field(field.name, TEXT, field.expression)
        if isinstance(value, Text):
            pattern: ColumnElement[Any] = literal(value.pattern, Folded())
        elif isinstance(value, Bind):
            pattern = self.parameters.bind(value, field.kind, text)
        else:
            raise wrong(text, value.at, "none")
        return text.compared.like(pattern, escape="\\")

    def _one_of(self, field: Field, values: tuple[Value, ...]) -> Truth:
        """Literals together, as there may be many; what needs more than an equality one by one."""
        plain = [value for value in values if not isinstance(value, Null | DateLiteral | Bind)]
        others = [self._equal(field, value) for value in values if isinstance(value, Null | DateLiteral | Bind)]
        if plain:
            others.insert(0, field.compared.in_([self.parameters.value(field, value) for value in plain]))
        return or_(*others)

    def _semi_join(self, field: Field, leaf: Membership, query: Query) -> Truth:
        if field.kind is not ID:
            raise leaf.at.error(f"a semi-join compares IDs; {field.name} holds {field.kind.word}")
        return field.compared.in_(self.ids(query))

    def _includes(self, field: Field, value: Value) -> Truth:
        """Whether all of 'A;B' are among the values, which are kept joined with semicolons."""
        end = literal(";", SqlText())
        among = end.concat(field.compared).concat(end)
        if isinstance(value, Bind):
            self.parameters.bind(value, field.kind)
            return among.like(bindparam(value.name, type_=Choice()), escape="\\")
        if not isinstance(value, Text):
            raise wrong(field, value.at, "none")
        chosen = [part.strip() for part in value.value.split(";")]
        return and_(*(among.like(literal(choice_pattern(each), Folded()), escape="\\") for each in chosen))


def choice_pattern(value: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in value)
    return f"%;{escaped};%"


def negated(condition: Truth) -> Truth:
    """Not, of a condition that may be NULL in SQL, which is false in SOQL."""
    return not_(func.coalesce(condition, false()))
