"""Values: the text of an element into a Python value, and back. A reader raises ValueError for what it cannot read."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from enum import Enum
from functools import cache
from typing import Any

#: three digits of exponent are as many as a double has; more would be a short text for a number that fills the memory
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
#: more digits than a column or a key can hold; Python's own context would round to 28
EXACT = Context(prec=2_000)
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
#: what a field of a record can hold
Value = str | Enum | bool | int | float | Decimal | date | datetime | time | bytes | Sequence[str | Enum] | None


def read_text(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text without NUL")
    return text


def read_boolean(text: str) -> bool:
    value = BOOLEANS.get(text.strip())
    if value is None:
        raise ValueError("true, false, 1 or 0")
    return value


def read_decimal(text: str) -> Decimal:
    if not NUMBER.fullmatch(text := text.strip()):
        raise ValueError("a number like 13.0 or 1.0E7")
    return Decimal(text)


def without_zeros(number: Decimal) -> Decimal:
    """The same number without zeros at its end, and without an exponent if it is whole: 13.0 and 1.3E1 are 13."""
    return EXACT.add(number.normalize(EXACT), 0)


def read_double(text: str) -> float:
    value = float(read_decimal(text))
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number that a double can hold")
    return value


def read_int(text: str) -> int:
    value = read_decimal(text)
    if value.adjusted() > 18 or value != int(value) or not -(2**63) <= value < 2**63:
        raise ValueError("a whole number of at most 64 bits")
    return int(value)


def read_date(text: str) -> date:
    text = text.strip().removesuffix("Z")
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        raise ValueError("a date like 2026-12-31")
    return date.fromisoformat(text)


def read_datetime(text: str) -> datetime:
    text = text.strip()
    if len(text) < 19 or text[4] != "-" or text[7] != "-" or text[10] != "T":
        raise ValueError("a dateTime like 2026-12-31T23:59:59.000Z")
    value = datetime.fromisoformat(text)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def read_time(text: str) -> time:
    text = text.strip().removesuffix("Z")
    if len(text) < 8 or text[2] != ":" or (value := time.fromisoformat(text)).tzinfo:
        raise ValueError("a time like 23:59:59.000Z")
    return value


def read_base64(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


def read_multipicklist(text: str) -> list[str]:
    return [value for value in (part.strip() for part in text.split(";")) if value]


def member(choices: type[Enum], value: Any) -> Any:
    """The member of an Enum that has a value; a value that no member has stays as it is."""
    return _members(choices).get(value, value)


@cache
def _members(choices: type[Enum]) -> dict[Any, Enum]:
    return {each.value: each for each in choices}


def as_text(value: Value) -> str:
    """A value as Salesforce writes it, which the reader of its type reads back; None as the empty text."""
    if value is None:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ";".join(map(as_text, value))
    return value.isoformat() if isinstance(value, date | time) else str(value)
