"""Values into parameters: nothing that stands in a SOQL text becomes a part of the SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Date, Dialect, bindparam, literal
from sqlalchemy.types import TypeDecorator

from omreceiver.errors import SoqlError
from omreceiver.queries import dates
from omreceiver.queries.kinds import DATE, DATETIME, INTEGER, Field, Kind
from omreceiver.queries.syntax import Bind, Constant, DateLiteral, Place, Text
from omreceiver.records.columns import UTCDateTime

FOUND = {bool: "a boolean", date: "a date", datetime: "a date and time", time: "a time"}


@dataclass(frozen=True)
class Expected:
    """What a bind variable is to be given."""

    kind: Kind
    is_list: bool


class DayWhenRun(TypeDecorator[Any]):
    """A parameter that is asked for its day when the query runs.

    A type of its own and not bindparam(callable_=…), which SQLAlchemy's cache of statements takes for a plain value.
    """

    impl = Date
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value()


class MidnightWhenRun(UTCDateTime):
    """The same, as the moment in which the day begins."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return super().process_bind_param(datetime.combine(value(), time(), UTC), dialect)


@dataclass(frozen=True)
class Parameters:
    """The parameters of one query."""

    #: asked when the query runs, so that TODAY is never that of yesterday
    today: Callable[[], date]
    binds: dict[str, Expected] = field(default_factory=dict)

    def value(self, holder: Field, value: Text | Constant | Bind) -> ColumnElement[Any]:
        """A parameter to compare a field with. Raises SoqlError when the field holds another kind of value."""
        if isinstance(value, Bind):
            return self.bind(value, holder.kind, holder)
        given = _value(holder, value)
        # a fraction beside a whole number must stay one
        is_fraction = holder.kind is INTEGER and isinstance(given, float)
        return literal(given, None if is_fraction else holder.parameter_type)

    def bind(self, bind: Bind, kind: Kind, holder: Field | None = None, *, is_list: bool = False) -> BindParameter[Any]:
        """The parameter that the caller gives by name. Raises SoqlError when the name stands for two things."""
        known = self.binds.setdefault(bind.name, Expected(kind, is_list))
        if known.is_list != is_list:
            raise bind.at.error(f":{bind.name} is a list at one place and a single value at another; use two names")
        if known.kind.word != kind.word:
            raise bind.at.error(f":{bind.name} is {known.kind.word} at one place and {kind.word} here; use two names")
        type_ = holder.parameter_type if holder is not None else kind.type
        return bindparam(bind.name, type_=type_, expanding=is_list)

    def days(self, holder: Field, value: DateLiteral) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """The first day that a date literal means and the first one behind. Raises SoqlError where it means none."""
        try:
            dates.days_of(value.name, value.number, self.today())
        except ValueError as error:
            raise value.at.error(str(error)) from error
        if holder.kind not in (DATE, DATETIME):
            raise wrong(holder, value.at, value.name)
        type_ = MidnightWhenRun() if holder.kind is DATETIME else DayWhenRun()

        def days() -> dates.Days:
            return dates.days_of(value.name, value.number, self.today())

        return literal(lambda: days().start, type_), literal(lambda: days().end, type_)


def _value(holder: Field, value: Text | Constant) -> object:
    """The literal as the field's parameter."""
    if type(value.value) is not holder.kind.literal:
        found = "a text" if isinstance(value, Text) else FOUND.get(type(value.value), "a number")
        raise wrong(holder, value.at, found)
    try:
        return holder.kind.value(value.value)
    except ValueError as error:
        raise value.at.error(f"{holder.name} holds {holder.kind.word}: {error}") from error


def wrong(holder: Field, at: Place, found: str) -> SoqlError:
    """The error of a value that a field cannot hold."""
    return at.error(f"{holder.name} holds {holder.kind.word}, and this is {found}; write {holder.kind.expected}")
