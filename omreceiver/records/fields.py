"""ExternalId and Field: columns that the receiver fills, declared beside columns that are yours alone."""

from __future__ import annotations

import sys
import types
import typing
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Dialect
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column
from sqlalchemy.types import TypeEngine

from omreceiver.errors import DeclarationError
from omreceiver.records.columns import ExactString
from omreceiver.records.types import VALUE_TYPES, ValueType
from omreceiver.records.values import read_decimal, without_zeros

MARK = "salesforce_field"
KEY_LENGTH = 255
READABLE = ", ".join(getattr(python, "__name__", str(python)) for python in VALUE_TYPES)


@dataclass(frozen=True)
class SalesforceField:
    """What a column's `info` says of it: the API name it is filled from, and as which Python type."""

    name: str
    python: object = str
    external_id: bool = False
    reference_to: tuple[str, ...] = ()

    @property
    def value_type(self) -> ValueType:
        return VALUE_TYPES[self.python]


class Key(ExactString):
    """An external ID as a key: trimmed, `13.0` and `13` one key if it is a number, lower case if case is nothing.

    What is looked up is folded in the same way, so `session.get(Person, "Ann@Example.com")` finds ann@example.com.
    """

    cache_ok = True

    def __init__(self, *, case_sensitive: bool = True, number: bool = False) -> None:
        super().__init__(KEY_LENGTH)
        self.case_sensitive = case_sensitive
        self.number = number

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.stored(value)

    def fold(self, text: str) -> str:
        """The key that a text stands for. Raises ValueError when it should be a number and is not."""
        text = text.strip()
        if self.number and text:
            return format(without_zeros(read_decimal(text)), "f")
        return text if self.case_sensitive else text.lower()

    def stored(self, text: str) -> str:
        """As `fold`, but what is no number stays as it is: a Salesforce ID in the place of a key that is missing."""
        try:
            return self.fold(text)
        except ValueError:
            return text.strip()


def ExternalId(name: str, *, case_sensitive: bool = True, number: bool = False) -> MappedColumn[Any]:
    """The key of a root class, filled from the field `name`; the attribute must be called external_id.

    Leave it out and the Salesforce ID is the key. `case_sensitive=False` goes with Salesforce's
    'treat "ABC" and "abc" as duplicate values'; `number=True` with an external ID of type Number.
    """
    key = Key(case_sensitive=case_sensitive, number=number)
    return mapped_column(key, primary_key=True, info={MARK: SalesforceField(name, external_id=True)})


def Field(name: str, *, type: TypeEngine[Any] | None = None, index: bool = False) -> MappedColumn[Any]:  # noqa: A002
    """A column that the receiver fills from the field `name`, an API name exactly as Salesforce writes it.

    The column's type follows the annotation by the table of records/types.py: `Mapped[str | None]` is text
    without a length, `Mapped[datetime | None]` is aware and in UTC, `Mapped[list[str] | None]` a multipicklist.
    `type` overrides it; one that does not say which Python type it takes, such as a TypeDecorator of yours, is
    given what the annotation says. Blank fields arrive as None, so allow it unless Salesforce requires the field.
    """
    if type is None:
        return mapped_column(info={MARK: SalesforceField(name, None)}, index=index)
    return mapped_column(type, info={MARK: SalesforceField(name, _python_type_of(type))}, index=index)


def _python_type_of(type_: TypeEngine[Any]) -> object:
    """What a column type takes, or None where it does not say or says what no reader gives."""
    try:
        return type_.python_type if type_.python_type in VALUE_TYPES else None
    except NotImplementedError:
        return None


def salesforce_field(column: Column[Any]) -> SalesforceField | None:
    """What a column is filled from, or None for a column that is yours."""
    mark = column.info.get(MARK)
    return mark if isinstance(mark, SalesforceField) else None


def settle_types(cls: type) -> None:
    """Give each Field of a class, and of mixins above it, the reader and the column type of its annotation.

    SQLAlchemy would do so by the registry's own map, in which str is a VARCHAR that cuts.
    """
    for owner in cls.__mro__:
        for key, value in vars(owner).items():
            mark = salesforce_field(value.column) if isinstance(value, MappedColumn) else None
            if mark is not None and mark.python is None:
                python = annotated_type(owner, key)
                value.column.info[MARK] = replace(mark, python=python)
                if value.column.type._isnull:
                    value.column.type = VALUE_TYPES[python].column


def annotated_type(owner: type, key: str) -> object:
    """The Python type inside `key: Mapped[X | None]`. Raises DeclarationError when there is no reader for it."""
    annotation = vars(owner).get("__annotations__", {}).get(key)
    holder = types.SimpleNamespace(__annotations__={key: annotation})
    module = vars(sys.modules[owner.__module__])
    try:
        hint = typing.get_type_hints(holder, module, {**vars(owner), "Mapped": Mapped})[key]
    except NameError as error:
        raise DeclarationError(f"{owner.__name__}.{key}: {error}; give Field a type=") from error
    inner = [arg for arg in _alternatives(hint) if arg is not types.NoneType]
    if len(inner) != 1 or inner[0] not in VALUE_TYPES:
        raise DeclarationError(f"{owner.__name__}.{key} is {annotation!r}; expected Mapped of {READABLE}, or None")
    return inner[0]


def _alternatives(hint: Any) -> tuple[object, ...]:
    args = typing.get_args(hint)
    inside = args[0] if args else hint
    return typing.get_args(inside) if typing.get_origin(inside) in (typing.Union, types.UnionType) else (inside,)
