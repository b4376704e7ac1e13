"""Date literals: which days each of them means, seen from one day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omreceiver.queries.dates import COUNTED, FIXED, UNITS, days_of

#: a Wednesday, in the fourth quarter
TODAY = date(2026, 11, 18)
RANGES = [
    ("TODAY", None, "2026-11-18", "2026-11-19"),
    ("YESTERDAY", None, "2026-11-17", "2026-11-18"),
    ("TOMORROW", None, "2026-11-19", "2026-11-20"),
    ("THIS_WEEK", None, "2026-11-15", "2026-11-22"),
    ("LAST_WEEK", None, "2026-11-08", "2026-11-15"),
    ("NEXT_WEEK", None, "2026-11-22", "2026-11-29"),
    ("THIS_MONTH", None, "2026-11-01", "2026-12-01"),
    ("LAST_MONTH", None, "2026-10-01", "2026-11-01"),
    ("NEXT_MONTH", None, "2026-12-01", "2027-01-01"),
    ("THIS_QUARTER", None, "2026-10-01", "2027-01-01"),
    ("LAST_QUARTER", None, "2026-07-01", "2026-10-01"),
    ("NEXT_QUARTER", None, "2027-01-01", "2027-04-01"),
    ("THIS_YEAR", None, "2026-01-01", "2027-01-01"),
    ("LAST_YEAR", None, "2025-01-01", "2026-01-01"),
    ("NEXT_YEAR", None, "2027-01-01", "2028-01-01"),
    # 91 days, today among them
    ("LAST_90_DAYS", None, "2026-08-20", "2026-11-19"),
    ("NEXT_90_DAYS", None, "2026-11-19", "2027-02-17"),
    ("LAST_N_DAYS", 1, "2026-11-17", "2026-11-19"),
    ("LAST_N_DAYS", 90, "2026-08-20", "2026-11-19"),
    ("NEXT_N_DAYS", 1, "2026-11-19", "2026-11-20"),
    ("NEXT_N_DAYS", 90, "2026-11-19", "2027-02-17"),
    ("N_DAYS_AGO", 0, "2026-11-18", "2026-11-19"),
    ("N_DAYS_AGO", 3, "2026-11-15", "2026-11-16"),
    ("LAST_N_WEEKS", 2, "2026-11-01", "2026-11-15"),
    ("NEXT_N_WEEKS", 2, "2026-11-22", "2026-12-06"),
    ("N_WEEKS_AGO", 2, "2026-11-01", "2026-11-08"),
    ("LAST_N_MONTHS", 11, "2025-12-01", "2026-11-01"),
    ("NEXT_N_MONTHS", 2, "2026-12-01", "2027-02-01"),
    ("N_MONTHS_AGO", 11, "2025-12-01", "2026-01-01"),
    ("LAST_N_QUARTERS", 4, "2025-10-01", "2026-10-01"),
    ("NEXT_N_QUARTERS", 4, "2027-01-01", "2028-01-01"),
    ("N_QUARTERS_AGO", 4, "2025-10-01", "2026-01-01"),
    ("LAST_N_YEARS", 2, "2024-01-01", "2026-01-01"),
    ("NEXT_N_YEARS", 2, "2027-01-01", "2029-01-01"),
    ("N_YEARS_AGO", 2, "2024-01-01", "2025-01-01"),
]
REFUSED = [
    ("TODAY", 3, "TODAY takes no number; write TODAY"),
    ("LAST_N_DAYS", None, "LAST_N_DAYS takes a number; write LAST_N_DAYS:30"),
    ("LAST_N_DAY", 3, "LAST_N_DAY is no value; did you mean LAST_N_DAYS"),
    ("ACME", None, "ACME is no value. A text stands in single quotes"),
    ("N_YEARS_AGO", 3000, "N_YEARS_AGO:3000 is outside of the years 1 to 9999"),
    ("NEXT_N_DAYS", 999_999_999, "is outside of the years 1 to 9999"),
    ("THIS_FISCAL_QUARTER", None, "THIS_QUARTER is the calendar's"),
    ("LAST_N_FISCAL_YEARS", 2, "LAST_N_YEARS is the calendar's"),
    ("N_FISCAL_QUARTERS_AGO", 2, "N_QUARTERS_AGO is the calendar's"),
]

days = st.dates(date(1000, 1, 1), date(3000, 12, 31))


@pytest.mark.parametrize(("name", "number", "start", "end"), RANGES)
def test_a_literal_is_a_range_of_days(name: str, number: int | None, start: str, end: str) -> None:
    found = days_of(name, number, TODAY)
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


def test_every_literal_is_in_the_table() -> None:
    assert {name for name, *_ in RANGES} == {*FIXED, *COUNTED}
    assert len(FIXED) == 17
    assert len(COUNTED) == 3 * len(UNITS)


@pytest.mark.parametrize(("name", "number", "sentence"), REFUSED)
def test_what_is_no_literal_is_told(name: str, number: int | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        days_of(name, number, TODAY)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("present", "start"),
    [("2026-11-14", "2026-11-08"), ("2026-11-15", "2026-11-15"), ("2026-11-21", "2026-11-15")],
)
def test_a_week_begins_on_sunday(present: str, start: str) -> None:
    assert days_of("THIS_WEEK", None, date.fromisoformat(present)).start == date.fromisoformat(start)


@given(present=days)
def test_today_is_in_the_present_units_and_in_no_other(present: date) -> None:
    for unit in ("WEEK", "MONTH", "QUARTER", "YEAR"):
        last, this, following = (days_of(f"{word}_{unit}", None, present) for word in ("LAST", "THIS", "NEXT"))
        assert this.start <= present < this.end
        assert last.end == this.start
        assert this.end == following.start


@given(present=days, number=st.integers(1, 400), unit=st.sampled_from(["WEEK", "MONTH", "QUARTER", "YEAR"]))
def test_several_units_are_one_and_one_and_one(present: date, number: int, unit: str) -> None:
    whole = days_of(f"LAST_N_{unit}S", number, present)
    single = [days_of(f"N_{unit}S_AGO", back, present) for back in range(number, 0, -1)]
    assert [whole.start, *(each.end for each in single)] == [*(each.start for each in single), whole.end]


@given(present=days, number=st.integers(0, 4_000))
def test_the_days_around_today(present: date, number: int) -> None:
    last, following = days_of("LAST_N_DAYS", number, present), days_of("NEXT_N_DAYS", number, present)
    assert last.end == following.start == present + timedelta(days=1)
    assert (last.end - last.start).days == number + 1
    assert (following.end - following.start).days == number
