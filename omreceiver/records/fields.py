"""ExternalId and Field: columns that the receiver fills, declared beside columns that are yours alone."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, Dialect
from sqlalchemy.orm import Mapped, MappedColumn, Mapper, mapped_column
from sqlalchemy.types import TypeEngine

from omreceiver.errors import DeclarationError
from omreceiver.records.columns import ExactString
from omreceiver.records.types import VALUE_TYPES, ValueType, is_enum, value_type
from omreceiver.records.values import read_decimal, without_zeros

INFO = "salesforce_field"
#: in the `info` of a compound's part: the attribute of the whole
WHOLE = "compound_whole"
KEY_LENGTH = 255
READABLE = ", ".join(getattr(python, "__name__", str(python)) for python in VALUE_TYPES) + ", an Enum of str"


@dataclass(frozen=True)
class SalesforceField:
    """What a column's `info` says of it: the API name it is filled from, and as which Python type."""

    name: str
    python: object = str
    external_id: bool = False
    reference_to: tuple[str, ...] = ()
    #: the API name of the address or geolocation that the field is a part of
    compound: str = ""

    @property
    def value_type(self) -> ValueType:
        found = value_type(self.python)
        if found is None:
            raise DeclarationError(f"{self.name} is kept as {self.python!r}; expected {READABLE}")
        return found


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
    return mapped_column(key, primary_key=True, info={INFO: SalesforceField(name, external_id=True)})


def Field(name: str, *, type: TypeEngine[Any] | None = None, index: bool = False) -> MappedColumn[Any]:  # noqa: A002
    """A column that the receiver fills from the field `name`, an API name exactly as Salesforce writes it.

    The column's type follows the annotation by the table of records/types.py: `Mapped[str | None]` is text
    without a length, `Mapped[datetime | None]` is aware and in UTC, `Mapped[list[str] | None]` a multipicklist.
    `Mapped[Stage | str | None]`, with an Enum of str values, is a picklist: a value that no member has stays a str.
    `type` overrides it; one that does not say which Python type it takes, such as a TypeDecorator of yours, is
    given what the annotation says. Blank fields arrive as None, so allow it unless Salesforce requires the field.
    """
    if type is None:
        return mapped_column(info={INFO: SalesforceField(name, None)}, index=index)
    return mapped_column(type, info={INFO: SalesforceField(name, _python_type_of(type))}, index=index)


def _python_type_of(type_: TypeEngine[Any]) -> object:
    """What a column type takes, or None where it does not say or says what no reader gives."""
    try:
        return type_.python_type if type_.python_type in VALUE_TYPES else None
    except NotImplementedError:
        return None


def salesforce_field(column: Column[Any]) -> SalesforceField | None:
    """What a column is filled from, or None for a column that is yours."""
    mark = column.info.get(INFO)
    return mark if isinstance(mark, SalesforceField) else None


def attributes_of(mapper: Mapper[Any], names: Collection[str]) -> frozenset[str]:
    """The columns' attributes that some names stand for: Salesforce's of a field or of a compound, or attributes."""
    return frozenset(key for key, known in names_of_fields(mapper).items() if known.intersection(names))


def names_of_fields(mapper: Mapper[Any]) -> dict[str, set[str]]:
    """What the attribute of each column is called: itself, its field in Salesforce, the compound that it is part of."""
    found = dict[str, set[str]]()
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if isinstance(column, Column):
            mark = salesforce_field(column)
            known = {attribute.key, column.info.get(WHOLE), *((mark.name, mark.compound) if mark else ())}
            found[attribute.key] = {name for name in known if name is not None}
    return found


def settle_types(cls: type) -> None:
    """Give each Field of a class, and of mixins above it, the reader and the column type of its annotation.

    SQLAlchemy would do so by the registry's own map, in which str is a VARCHAR that cuts.
    """
    for owner in cls.__mro__:
        for key, value in vars(owner).items():
            mark = salesforce_field(value.column) if isinstance(value, MappedColumn) else None
            if mark is not None and mark.python is None:
                python = annotated_type(owner, key)
                value.column.info[INFO] = replace(mark, python=python)
                if value.column.type._isnull:
                    value.column.type = value.column.info[INFO].value_type.column


def annotated_type(owner: type, key: str) -> object:
    """The Python type inside `key: Mapped[X | None]`. Raises DeclarationError when there is no reader for it."""
    try:
        python = _one_of(alternatives(owner, key))
    except NameError as error:
        raise DeclarationError(f"{owner.__name__}.{key}: {error}; give Field a type=") from error
    if python is None or value_type(python) is None:
        annotation = vars(owner).get("__annotations__", {}).get(key)
        raise DeclarationError(f"{owner.__name__}.{key} is {annotation!r}; expected Mapped of {READABLE}, or None")
    return python


def alternatives(owner: type, key: str) -> tuple[object, ...]:
    """X and None of `key: Mapped[X | None]`. Raises NameError for what only a type checker knows."""
    annotation = vars(owner).get("__annotations__", {}).get(key)
    holder = types.SimpleNamespace(__annotations__={key: annotation})
    module = vars(sys.modules[owner.__module__])
    hint = typing.get_type_hints(holder, module, {**vars(owner), "Mapped": Mapped})[key]
    args = typing.get_args(hint)
    return _members(args[0] if args else hint)


def _members(hint: Any) -> tuple[object, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _one_of(members: tuple[object, ...]) -> object:
    """The one type that is meant besides None. `Stage | str` is the Enum Stage: its unknown values are text."""
    kinds = [member for member in members if member is not types.NoneType]
    if len(kinds) == 2 and str in kinds:
        kinds = [kind for kind in kinds if is_enum(kind)]
    if len(kinds) != 1:
        return None
    inside = typing.get_args(kinds[0]) if typing.get_origin(kinds[0]) is list else ()
    return list[_one_of(_members(inside[0]))] if inside else kinds[0]  # type: ignore[misc]
