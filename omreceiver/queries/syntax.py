"""What a SOQL text says, as a tree of values. Each knows where it stands; none knows a mapped class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from omreceiver.errors import SoqlError

AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"})


@dataclass(frozen=True)
class Place:
    """A line and a column of a text, both from 1."""

    text: str = field(repr=False, compare=False)
    line: int
    column: int

    def error(self, sentence: str) -> SoqlError:
        return SoqlError(sentence, self.text, self.line, self.column)


@dataclass(frozen=True)
class Name:
    """An sObject or an alias."""

    at: Place
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Path:
    """A field, by way of parents where there are dots: Account.Owner.Name."""

    at: Place
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)

    def place(self, index: int) -> Place:
        """Where one of the names begins."""
        before = sum(len(name) + 1 for name in self.names[:index])
        return Place(self.at.text, self.at.line, self.at.column + before)


@dataclass(frozen=True)
class Call:
    """A function with what stands in its parentheses: COUNT(Id)."""

    at: Place
    name: str
    arguments: tuple[Path | Call | Typeof, ...]

    @property
    def function(self) -> str:
        return self.name.upper()

    @property
    def is_aggregate(self) -> bool:
        return self.function in AGGREGATES

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True)
class When:
    """The fields that TYPEOF wants of one sObject."""

    sobject: Name
    fields: tuple[Path | Typeof, ...]


@dataclass(frozen=True)
class Typeof:
    """TYPEOF What WHEN Account THEN Phone ELSE Name END"""

    at: Place
    reference: Path
    whens: tuple[When, ...]
    otherwise: tuple[Path | Typeof, ...]


@dataclass(frozen=True)
class Text:
    """A text in quotes: `value` is what it means, `pattern` the same for LIKE, where \\% and \\_ are no wildcards."""

    at: Place
    value: str
    pattern: str


@dataclass(frozen=True)
class Constant:
    """A number, a boolean, a date, a datetime or a time."""

    at: Place
    value: Decimal | bool | date | datetime | time


@dataclass(frozen=True)
class Null:
    at: Place


@dataclass(frozen=True)
class DateLiteral:
    """TODAY, or LAST_N_DAYS:30 with its number."""

    at: Place
    name: str
    number: int | None


@dataclass(frozen=True)
class Bind:
    """:name, a parameter."""

    at: Place
    name: str


Value = Text | Constant | Null | DateLiteral | Bind


@dataclass(frozen=True)
class Comparison:
    """A field, an operator and a value."""

    at: Place
    left: Path | Call
    operator: Literal["=", "!=", "<", "<=", ">", ">=", "LIKE"]
    value: Value


@dataclass(frozen=True)
class Membership:
    """A field and several values, or a query that gives them."""

    at: Place
    left: Path | Call
    operator: Literal["IN", "NOT IN", "INCLUDES", "EXCLUDES"]
    values: tuple[Value, ...] | Bind | Query


@dataclass(frozen=True)
class Not:
    condition: Condition


@dataclass(frozen=True)
class Joined:
    """Conditions that must hold all, or of which one must."""

    operator: Literal["AND", "OR"]
    conditions: tuple[Condition, ...]


Condition = Comparison | Membership | Not | Joined


@dataclass(frozen=True)
class Item:
    """One thing selected, and the alias that is given to it."""

    expression: Path | Call | Typeof | Query
    alias: Name | None


@dataclass(frozen=True)
class Order:
    """One thing to sort by. Without NULLS, nulls are the smallest."""

    expression: Path | Call
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class Query:
    at: Place
    items: tuple[Item, ...]
    sobject: Name
    alias: Name | None
    where: Condition | None
    groups: tuple[Path | Call, ...]
    having: Condition | None
    orders: tuple[Order, ...]
    limit: Constant | Bind | None
    offset: Constant | Bind | None

    @property
    def expressions(self) -> Iterator[Path | Call | Typeof | Query]:
        return (item.expression for item in self.items)

    @property
    def aggregates(self) -> list[Call]:
        """The aggregates that are selected."""
        return [each for each in self.expressions if isinstance(each, Call) and each.is_aggregate]


def leaves(condition: Condition | None) -> Iterator[Comparison | Membership]:
    """The comparisons of a condition, in their order."""
    if isinstance(condition, Not):
        yield from leaves(condition.condition)
    elif isinstance(condition, Joined):
        for each in condition.conditions:
            yield from leaves(each)
    elif condition is not None:
        yield condition
