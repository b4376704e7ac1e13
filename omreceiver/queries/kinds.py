"""Kinds: what a field holds, by which literals and operators it is compared, and as what in SQL.

Texts are compared in lower case on both sides, by the database's own lower(): Salesforce tells "acme" and "ACME" apart
in an external ID that is case-sensitive and in IDs, and nowhere else ("Comparison Operators", SOQL and SOSL Reference).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, get_origin

from sqlalchemy import BigInteger, ColumnElement, Dialect, Double, Text, false, func, type_coerce
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.types import TypeDecorator, TypeEngine

from omreceiver.records.columns import ExactString, SalesforceId
from omreceiver.records.fields import KEY_LENGTH, Key, SalesforceField
from omreceiver.records.ids import to18
from omreceiver.records.types import VALUE_TYPES, RecordId
from omreceiver.records.values import as_text, read_double

EQUAL = frozenset({"=", "!=", "IN", "NOT IN"})
ORDERED = EQUAL | {"<", "<=", ">", ">="}
LIKE = ORDERED | {"LIKE"}
CHOICES = EQUAL | {"INCLUDES", "EXCLUDES"}


class Folded(TypeDecorator[str]):
    """A parameter in lower case."""

    impl = Text
    cache_ok = True

    def bind_expression(self, bindvalue: Any) -> ColumnElement[str]:
        # in parentheses of its own: in the place of an empty list SQLAlchemy puts a subquery
        return func.lower(Grouping(bindvalue))


class AnyKey(TypeDecorator[str]):
    """An external ID as a parameter: folded as the key is, and given as a number where the key is one."""

    impl = ExactString
    cache_ok = True

    def __init__(self, key: Key) -> None:
        super().__init__(KEY_LENGTH)
        self.key = key

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.key.stored(str(value))


def _as_is(value: Any) -> Any:
    return value


def _lower(expression: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.lower(type_coerce(expression, Text()), type_=Folded())


def _whole(number: Decimal) -> int | float:
    """What no column of whole numbers can hold is compared as a double."""
    fits = number == number.to_integral_value() and -(2**63) <= number < 2**63
    return int(number) if fits else read_double(str(number))


@dataclass(frozen=True)
class Kind:
    """One kind of field."""

    #: "a number", as in "Amount holds a number"
    word: str
    #: what to write as its value
    expected: str
    #: the Python type of the literals that it takes; str is a text in quotes
    literal: type | None
    operators: frozenset[str]
    #: a text, such as an argument of the command line, into a value
    read: Callable[[str], object]
    #: the literal's value into the parameter's. Raises ValueError, with what is expected
    value: Callable[[Any], object] = _as_is
    #: what is compared and sorted by
    compared: Callable[[ColumnElement[Any]], ColumnElement[Any]] = _as_is
    #: of a parameter; None is the column's own
    type: TypeEngine[Any] | None = None

    @property
    def is_number(self) -> bool:
        return self.literal is Decimal and self.operators == ORDERED


@dataclass(frozen=True)
class Field:
    """A field as a query names it: what it holds and the SQL that gives it."""

    name: str
    kind: Kind
    expression: ColumnElement[Any]

    @property
    def compared(self) -> ColumnElement[Any]:
        return self.kind.compared(self.expression)

    @property
    def parameter_type(self) -> TypeEngine[Any]:
        return self.kind.type or self.expression.type


def _kind(python: object, word: str, expected: str, literal: type | None, operators: frozenset[str]) -> Kind:
    return Kind(word, expected, literal, operators, VALUE_TYPES[python].read)


NUMBER = "a number such as 12.5, without quotes"
QUOTED = "a text in single quotes, 'like this'"
TEXT = replace(_kind(str, "a text", QUOTED, str, LIKE), compared=_lower, type=Folded())
ID = replace(
    _kind(RecordId, "a Salesforce ID", "15 or 18 characters in quotes", str, ORDERED), value=to18, type=SalesforceId()
)
INTEGER = replace(_kind(int, "a number", NUMBER, Decimal, ORDERED), value=_whole, type=BigInteger())
DOUBLE = replace(_kind(float, "a number", NUMBER, Decimal, ORDERED), value=lambda n: read_double(str(n)), type=Double())
DECIMAL = _kind(Decimal, "a number", NUMBER, Decimal, ORDERED)
#: "In a WHERE clause that uses a Boolean field, the Boolean field never has a null value. Instead, null is treated as
#: false" ("null Values in Lookup Relationships and Outer Joins")
BOOLEAN = replace(
    _kind(bool, "a boolean", "TRUE or FALSE, without quotes", bool, EQUAL),
    compared=lambda expression: func.coalesce(expression, false()),
)
DATE = _kind(
    date, "a date", "a date such as 2026-12-31, without quotes, or a date literal such as TODAY", date, ORDERED
)
DATETIME = _kind(
    datetime,
    "a date and time",
    "a date and time such as 2026-12-31T23:59:59Z, without quotes, or a date literal such as TODAY",
    datetime,
    ORDERED,
)
TIME = _kind(time, "a time", "a time such as 23:59:59Z, without quotes", time, ORDERED)
CHOICE = replace(
    _kind(list[str], "values of a multi-select picklist", QUOTED, str, CHOICES),
    compared=_lower,
    type=Folded(),
    read=str,
)
BASE64 = _kind(bytes, "base64", "no value: base64 cannot be compared", None, frozenset())

KINDS: dict[object, Kind] = {
    str: TEXT,
    RecordId: ID,
    bool: BOOLEAN,
    int: INTEGER,
    float: DOUBLE,
    Decimal: DECIMAL,
    date: DATE,
    datetime: DATETIME,
    time: TIME,
    bytes: BASE64,
}
#: fields of the object Name that hold no text
NAME_KINDS = {
    "Id": ID,
    "IsActive": BOOLEAN,
    "LastReferencedDate": DATETIME,
    "LastViewedDate": DATETIME,
    "ProfileId": ID,
    "UserRoleId": ID,
}


def kind_of(mark: SalesforceField, column_type: TypeEngine[Any]) -> Kind:
    """What a mapped field holds."""
    if isinstance(column_type, Key):
        return _key(column_type)
    if get_origin(mark.python) is list:
        return CHOICE
    # an Enum is a picklist, which is text
    return KINDS.get(mark.python, TEXT)


def _key(key: Key) -> Kind:
    if key.number:
        # kept as text, so that 9 is behind 13
        return replace(DECIMAL, operators=EQUAL, value=as_text, type=AnyKey(key), read=str)
    return replace(TEXT, compared=_as_is, type=AnyKey(key))
