"""Types: one table from a Python type to its reader and its column, one from Salesforce's types to Python's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeGuard, get_args, get_origin

from sqlalchemy import BigInteger, Boolean, Date, Double, Time
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from omreceiver.errors import DeclarationError
from omreceiver.records.columns import (
    MYSQL,
    ExactNumber,
    LongBinary,
    LongText,
    MultiPicklist,
    Picklist,
    SalesforceId,
    UTCDateTime,
)
from omreceiver.records.ids import to18
from omreceiver.records.values import (
    read_base64,
    read_boolean,
    read_date,
    read_datetime,
    read_decimal,
    read_double,
    read_int,
    read_multipicklist,
    read_text,
    read_time,
)
from omreceiver.schema.objecttype import FieldType


class RecordId(str):
    """The Salesforce ID of a record; `Mapped[RecordId | None] = Field("OwnerId")` keeps it in 18 characters."""


@dataclass(frozen=True)
class ValueType:
    """How one Python type is read from text and kept in a column; `expected` is for the sentence of an error."""

    read: Callable[[str], Any]
    column: TypeEngine[Any]
    expected: str


VALUE_TYPES: dict[object, ValueType] = {
    str: ValueType(read_text, LongText, "text"),
    RecordId: ValueType(to18, SalesforceId(), "a Salesforce ID of 15 or 18 letters and digits"),
    bool: ValueType(read_boolean, Boolean(), "true, false, 1 or 0"),
    int: ValueType(read_int, BigInteger(), "a whole number"),
    float: ValueType(read_double, Double(), "a number"),
    Decimal: ValueType(read_decimal, ExactNumber(), "a number"),
    date: ValueType(read_date, Date(), "a date like 2026-12-31"),
    datetime: ValueType(read_datetime, UTCDateTime(), "a dateTime like 2026-12-31T23:59:59.000Z"),
    time: ValueType(read_time, Time().with_variant(mysql.TIME(fsp=6), *MYSQL), "a time like 23:59:59.000Z"),
    bytes: ValueType(read_base64, LongBinary, "base64"),
    list[str]: ValueType(read_multipicklist, MultiPicklist(), "values separated by semicolons"),
}
#: Salesforce's word (describe, or a WSDL's type by schema/wsdl.py) → Python type; what is missing here is text
PYTHON_TYPES: dict[str, object] = {
    "boolean": bool,
    "int": int,
    "long": int,
    "double": float,
    "currency": float,
    "percent": float,
    "decimal": Decimal,
    "date": date,
    "datetime": datetime,
    "time": time,
    "base64": bytes,
    "multipicklist": list[str],
    "reference": RecordId,
    "id": RecordId,
}


def python_type(field_type: FieldType) -> object:
    """The Python type of a field: a double is a Decimal where the describe gives a scale, else a float."""
    found = PYTHON_TYPES.get(field_type.type, str)
    return Decimal if found is float and field_type.scale is not None else found


@cache
def value_type(python: object) -> ValueType | None:
    """How a Python type is read and kept, or None when no field can have it. An Enum, or a list of one, is a picklist.

    Raises DeclarationError for an Enum whose members are not text.
    """
    if python in VALUE_TYPES:
        return VALUE_TYPES[python]
    is_list = get_origin(python) is list
    choices = get_args(python)[0] if is_list else python
    if not is_enum(choices):
        return None
    wrong = next((each for each in choices if not isinstance(each.value, str)), None)
    if wrong is not None:
        cure = f"Picklist values are text: write {wrong.name} = {str(wrong.value)!r}, the API name of the value."
        raise DeclarationError(f"{choices.__name__}.{wrong.name} is {wrong.value!r}. {cure}")
    plain = VALUE_TYPES[list[str] if is_list else str]
    column = MultiPicklist(choices) if is_list else Picklist(choices)
    return ValueType(lambda text: column.as_loaded(plain.read(text)), column, plain.expected)


def is_enum(python: object) -> TypeGuard[type[Enum]]:
    return isinstance(python, type) and issubclass(python, Enum)
