"""Date literals: TODAY, LAST_N_DAYS:30 and so on, as half-open ranges of days. Pure functions of today.

Days are UTC's and weeks begin on Sunday, as in Salesforce's locale en_US ("Date Formats and Date Literals in WHERE",
SOQL and SOSL Reference).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

#: moves a day to the beginning of the unit that holds it, and from there by a number of units
Shift = Callable[[date, int], date]


@dataclass(frozen=True)
class Days:
    """From `start` on, before `end`."""

    start: date
    end: date


def _days(day: date, by: int) -> date:
    return day + timedelta(days=by)


def _weeks(day: date, by: int) -> date:
    return day + timedelta(days=7 * by - day.isoweekday() % 7)


def _months(day: date, by: int) -> date:
    years, month = divmod(day.month - 1 + by, 12)
    return date(day.year + years, month + 1, 1)


def _quarters(day: date, by: int) -> date:
    return _months(day, 3 * by - (day.month - 1) % 3)


def _years(day: date, by: int) -> date:
    return date(day.year + by, 1, 1)


UNITS: dict[str, Shift] = {
    "DAY": _days,
    "WEEK": _weeks,
    "MONTH": _months,
    "QUARTER": _quarters,
    "YEAR": _years,
}
#: literal → unit, first unit counted from the present one, number of units
FIXED: dict[str, tuple[str, int, int]] = {
    "YESTERDAY": ("DAY", -1, 1),
    "TODAY": ("DAY", 0, 1),
    "TOMORROW": ("DAY", 1, 1),
    # "This includes the current day, not just previous days. So it includes 91 days in total"
    "LAST_90_DAYS": ("DAY", -90, 91),
    "NEXT_90_DAYS": ("DAY", 1, 90),
    **{f"THIS_{unit}": (unit, 0, 1) for unit in UNITS if unit != "DAY"},
    **{f"LAST_{unit}": (unit, -1, 1) for unit in UNITS if unit != "DAY"},
    **{f"NEXT_{unit}": (unit, 1, 1) for unit in UNITS if unit != "DAY"},
}


def _last(unit: str, n: int) -> tuple[str, int, int]:
    return unit, -n, n


def _next(unit: str, n: int) -> tuple[str, int, int]:
    return unit, 1, n


def _ago(unit: str, n: int) -> tuple[str, int, int]:
    return unit, -n, 1


#: the same where a number n follows
COUNTED: dict[str, Callable[[int], tuple[str, int, int]]] = {
    # "LAST_N_DAYS:1 includes yesterday and today"; the other units leave the present one out
    "LAST_N_DAYS": lambda n: ("DAY", -n, n + 1),
    **{f"LAST_N_{unit}S": partial(_last, unit) for unit in UNITS if unit != "DAY"},
    **{f"NEXT_N_{unit}S": partial(_next, unit) for unit in UNITS},
    **{f"N_{unit}S_AGO": partial(_ago, unit) for unit in UNITS},
}
FISCAL = re.compile(r"(THIS|LAST|NEXT|LAST_N|NEXT_N|N)_FISCAL_(QUARTER|YEAR)S?(_AGO)?")


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def days_of(name: str, number: int | None, present: date) -> Days:
    """The days that a literal means. Raises ValueError, with a sentence, for one that is none."""
    unit, first, count = _rule(name, number)
    shift = UNITS[unit]
    try:
        return Days(shift(present, first), shift(shift(present, first), count))
    except (ValueError, OverflowError) as error:
        shown = name if number is None else f"{name}:{number}"
        raise ValueError(f"{shown} is outside of the years 1 to 9999") from error


def _rule(name: str, number: int | None) -> tuple[str, int, int]:
    if FISCAL.fullmatch(name):
        calendar = name.replace("FISCAL_", "")
        raise ValueError(f"fiscal years are an organization's own and not known here; {calendar} is the calendar's")
    if name in FIXED and number is None:
        return FIXED[name]
    if name in COUNTED and number is not None:
        return COUNTED[name](number)
    if name in FIXED:
        raise ValueError(f"{name} takes no number; write {name}")
    if name in COUNTED:
        raise ValueError(f"{name} takes a number; write {name}:30")
    close = difflib.get_close_matches(name, [*FIXED, *COUNTED], n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ". A text stands in single quotes"
    raise ValueError(f"{name} is no value{hint}")
