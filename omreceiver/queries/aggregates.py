"""Groups and aggregates, over a derived table that has the fields of the query.

Whatever gives a field can then be grouped by: databases compare columns, but not one correlated subquery with another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Double, cast, distinct, func

from omreceiver.queries.kinds import BASE64, BOOLEAN, CHOICE, DOUBLE, INTEGER, Field
from omreceiver.queries.syntax import Call, Path, Query, leaves

UNORDERED = (BOOLEAN, CHOICE, BASE64)


def needed(query: Query) -> Iterator[Path]:
    """Every field that a grouped query names outside of WHERE."""
    named = [*query.expressions, *query.groups, *(order.expression for order in query.orders)]
    for expression in (*named, *(leaf.left for leaf in leaves(query.having))):
        if isinstance(expression, Path):
            yield expression
        elif isinstance(expression, Call):
            yield from (argument for argument in expression.arguments if isinstance(argument, Path))


@dataclass(frozen=True)
class Groups:
    """What may be said of the groups of a query."""

    #: a field of the derived table
    column: Callable[[Path], Field]
    is_grouped: Callable[[Path], bool]

    def find(self, expression: Path | Call) -> Field:
        """A grouped field, or an aggregate. Raises SoqlError for a field that is neither."""
        if isinstance(expression, Call):
            return self._aggregate(expression)
        if not self.is_grouped(expression):
            raise expression.at.error(f"{expression} stands neither in GROUP BY nor in an aggregate such as MAX()")
        return self.column(expression)

    def _aggregate(self, call: Call) -> Field:
        path = next(argument for argument in call.arguments if isinstance(argument, Path))
        field = self.column(path)
        if call.function in ("SUM", "AVG") and not field.kind.is_number:
            raise path.at.error(f"{call.function} takes a number; {path} holds {field.kind.word}")
        if call.function in ("MIN", "MAX") and field.kind in UNORDERED:
            raise path.at.error(f"{call.function} takes what has an order; {path} holds {field.kind.word}")
        return replace(FUNCTIONS[call.function](field), name=str(call))


def _count(field: Field) -> Field:
    return Field(field.name, INTEGER, func.count(field.expression))


def _count_distinct(field: Field) -> Field:
    return Field(field.name, INTEGER, func.count(distinct(field.expression)))


def _sum(field: Field) -> Field:
    total: ColumnElement[Any] = func.sum(field.expression)
    # the sum of whole numbers is NUMERIC on PostgreSQL and MariaDB
    return replace(field, expression=cast(total, BigInteger) if field.kind is INTEGER else total)


def _average(field: Field) -> Field:
    if field.kind is INTEGER:
        return Field(field.name, DOUBLE, func.avg(cast(field.expression, Double)))
    return replace(field, expression=func.avg(field.expression, type_=field.expression.type))


def _least(field: Field) -> Field:
    return replace(field, expression=func.min(field.expression))


def _greatest(field: Field) -> Field:
    return replace(field, expression=func.max(field.expression))


FUNCTIONS: dict[str, Callable[[Field], Field]] = {
    "COUNT": _count,
    "COUNT_DISTINCT": _count_distinct,
    "SUM": _sum,
    "AVG": _average,
    "MIN": _least,
    "MAX": _greatest,
}
