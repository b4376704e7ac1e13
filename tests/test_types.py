"""Values: what each reader takes and refuses, and that each column gives back what it was given."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import StatementError

from omreceiver import Settings
from omreceiver.records.types import PYTHON_TYPES, VALUE_TYPES, RecordId, python_type
from omreceiver.records.values import (
    as_text,
    read_base64,
    read_boolean,
    read_date,
    read_datetime,
    read_decimal,
    read_double,
    read_int,
    read_multipicklist,
    read_time,
)
from omreceiver.schema.objecttype import FieldType
from omreceiver.store.database import open_engine

ARABIC = "\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT TWO}"
FULLWIDTH = "\N{FULLWIDTH DIGIT ONE}"
NO_NUMBERS = ["", " ", ".", "-", "e5", "1e", "1_000", "1,000", "1.000,5", "0x10", "NaN", "INF", "-INF", "Infinity"]
NO_NUMBERS += [ARABIC, FULLWIDTH, "1 000", "1.0E9999999999", "1e-99999999", "one", "1\x002", "½"]


# -- readers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "Acme", " Acme & Söhne ", "0016492", "true", "\U0001f600", "line\nline"])
def test_text_is_taken_as_it_is(text: str) -> None:
    assert VALUE_TYPES[str].read(text) == text


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False), (" true\n", True)]
)
def test_booleans(text: str, value: bool) -> None:
    assert read_boolean(text) is value


@pytest.mark.parametrize("text", ["", "TRUE", "True", "yes", "no", "on", "2", "-1", "1.0", "t", "truefalse", FULLWIDTH])
def test_anything_but_true_false_1_and_0_is_no_boolean(text: str) -> None:
    with pytest.raises(ValueError, match="true, false, 1 or 0"):
        read_boolean(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("13.0", "13.0"),
        ("45000.0", "45000.0"),
        ("-94.1307667", "-94.1307667"),
        ("1.0E7", "1.0E+7"),
        ("1.0e-7", "1.0E-7"),
        ("5082996.0", "5082996.0"),
        ("5000", "5000"),
        ("+5", "5"),
        ("5.", "5"),
        (".5", "0.5"),
        ("007", "7"),
        (" 13.0\n", "13.0"),
        ("-0.0", "-0.0"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)
def test_decimals_keep_every_digit(text: str, value: str) -> None:
    assert read_decimal(text).as_tuple() == Decimal(value).as_tuple()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("13.0", 13.0),
        ("1.0E7", 1e7),
        ("1.0E-7", 1e-7),
        ("-94.1307667", -94.1307667),
        ("-0.0", 0.0),
        ("1.7976931348623157E308", 1.7976931348623157e308),
        ("4.9E-324", 5e-324),
    ],
)
def test_doubles(text: str, value: float) -> None:
    assert read_double(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5000", 5000),
        ("13.0", 13),
        ("-13.0", -13),
        ("-0.0", 0),
        ("1.0E7", 10_000_000),
        ("1.23E2", 123),
        (" 7 ", 7),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_whole_numbers(text: str, value: int) -> None:
    assert read_int(text) == value
    assert isinstance(read_int(text), int)


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("read", [read_decimal, read_double, read_int])
def test_what_is_no_number_is_refused_by_each_of_them(read: Any, text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read(text)


@pytest.mark.parametrize("text", ["1.0E309", "-1.0E309", "1" * 400])
def test_a_number_that_no_double_can_hold_is_refused_and_not_infinite(text: str) -> None:
    with pytest.raises(ValueError, match="double"):
        read_double(text)


@pytest.mark.parametrize(
    "text", ["13.5", "0.1", "1E-5", "9223372036854775808", "-9223372036854775809", "1E19", "1E300", "9" * 400]
)
def test_a_number_that_is_not_whole_or_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number of at most 64 bits"):
        read_int(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-12-31", date(2026, 12, 31)),
        ("1700-01-01", date(1700, 1, 1)),
        ("4000-12-31", date(4000, 12, 31)),
        ("2028-02-29", date(2028, 2, 29)),
        ("2026-12-31Z", date(2026, 12, 31)),
        ("\n 2026-12-31 ", date(2026, 12, 31)),
    ],
)
def test_dates(text: str, value: date) -> None:
    assert read_date(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-29",
        "2026-13-01",
        "0000-01-01",
        "20261231",
        "2026-W53-4",
        "31.12.2026",
        "12/31/2026",
        "2026-1-1",
        "26-12-31",
        "2026-12-31T00:00:00.000Z",
        "2026-12-31+01:00",
        f"20{ARABIC}-12-31",
        "today",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — whatever it says, the error of the field says what was expected
        read_date(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-12-31T23:59:59.000Z", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-12-31T23:59:59Z", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-12-31T23:59:59.123456Z", datetime(2026, 12, 31, 23, 59, 59, 123456, tzinfo=UTC)),
        ("2026-12-31T23:59:59.000+0000", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-12-31T23:59:59.000+02:00", datetime(2026, 12, 31, 21, 59, 59, tzinfo=UTC)),
        ("2026-12-31T23:59:59.000-05:30", datetime(2027, 1, 1, 5, 29, 59, tzinfo=UTC)),
        # xsd:dateTime may lack the zone; Salesforce means UTC
        ("2026-12-31T23:59:59", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (" 2026-12-31T23:59:59.000Z\n", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_datetimes_are_aware_and_in_utc(text: str, value: datetime) -> None:
    assert read_datetime(text) == value
    assert read_datetime(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-12-31",
        "2026-12-31 23:59:59.000Z",
        "2026-12-31T23:59",
        "2026-12-31T24:00:00.000Z",
        "2026-12-31T23:60:00.000Z",
        "2026-02-30T00:00:00.000Z",
        "20261231T235959.000Z",
        "2026-W53-4T23:59:59.000Z",
        "2026-12-31T23:59:59.000 UTC",
        f"20{ARABIC}-12-31T23:59:59.000Z",
        "0001-01-01T00:00:00.000+14:00",
        "9999-12-31T23:59:59.000-12:00",
        "now",
    ],
)
def test_what_is_no_datetime_is_refused(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        read_datetime(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("23:59:59.000Z", time(23, 59, 59)),
        ("00:00:00.000Z", time(0)),
        ("09:30:00", time(9, 30)),
        ("09:30:00.5Z", time(9, 30, 0, 500_000)),
        (" 09:30:00.000Z ", time(9, 30)),
    ],
)
def test_times(text: str, value: time) -> None:
    assert read_time(text) == value


@pytest.mark.parametrize(
    "text", ["", "24:00:00.000Z", "9:30:00", "09:30", "0930", "T09:30:00", "09:30:00+01:00", "noon", f"{ARABIC}:30:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — whatever it says, the error of the field says what was expected
        read_time(text)


@pytest.mark.parametrize(
    ("text", "value"), [("", b""), ("AAEC", b"\x00\x01\x02"), ("AA==", b"\x00"), ("AAEC\n AwQF\r\n", bytes(range(6)))]
)
def test_base64_may_be_broken_into_lines(text: str, value: bytes) -> None:
    assert read_base64(text) == value


@pytest.mark.parametrize("text", ["A", "AAE", "AA=", "AA-_", "=AAA", "AAEC!", "ÄÄÄÄ"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — whatever it says, the error of the field says what was expected
        read_base64(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", []),
        (";", []),
        ("Red", ["Red"]),
        ("Red;Green", ["Red", "Green"]),
        ("Red; Green ;", ["Red", "Green"]),
        ("Light blue;A, B", ["Light blue", "A, B"]),
        ("Red;Red", ["Red", "Red"]),
    ],
)
def test_multipicklists(text: str, value: list[str]) -> None:
    assert read_multipicklist(text) == value


# -- what is sent is what is read -------------------------------------------------------------------------------------

XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
SECONDS = st.datetimes(datetime(1700, 1, 1), datetime(4000, 12, 31)).map(lambda at: at.replace(microsecond=0))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
PICKED = XML_TEXT.map(lambda text: text.replace(";", "").strip()).filter(bool)


@given(XML_TEXT)
def test_texts_come_as_they_were_sent(value: str) -> None:
    assert VALUE_TYPES[str].read(as_text(value)) == value


@given(st.booleans())
def test_booleans_come_as_they_were_sent(value: bool) -> None:
    assert read_boolean(as_text(value)) is value


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_come_as_they_were_sent(value: int) -> None:
    assert read_int(as_text(value)) == value


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_come_as_they_were_sent_also_as_doubles(value: int) -> None:
    assert read_int(as_text(float(value))) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_come_as_they_were_sent(value: float) -> None:
    assert read_double(as_text(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_decimals_come_as_they_were_sent(value: Decimal) -> None:
    assert read_decimal(as_text(value)) == value


@given(st.dates())
def test_dates_come_as_they_were_sent(value: date) -> None:
    assert read_date(as_text(value)) == value


@given(SECONDS, ZONES)
def test_datetimes_come_as_they_were_sent(at: datetime, zone: timezone) -> None:
    value = at.replace(tzinfo=zone)

    assert read_datetime(as_text(value)) == value


@given(st.lists(PICKED))
def test_multipicklists_come_as_they_were_sent(value: list[str]) -> None:
    assert read_multipicklist(as_text(value)) == value


@given(st.binary())
def test_bytes_come_as_they_were_sent(value: bytes) -> None:
    assert read_base64(base64.b64encode(value).decode()) == value


@given(st.text(), st.sampled_from(list(VALUE_TYPES.values())))
def test_a_reader_reads_or_refuses_and_never_breaks(text: str, value_type: Any) -> None:
    """What plan.make catches; any other error would cost the whole message."""
    try:
        value_type.read(text)
    except (ValueError, OverflowError):
        return


# -- from Salesforce's types to Python's ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("salesforce_type", "scale", "expected"),
    [
        ("string", None, str),
        ("textarea", None, str),
        ("picklist", None, str),
        ("combobox", None, str),
        ("email", None, str),
        ("phone", None, str),
        ("url", None, str),
        ("encryptedstring", None, str),
        ("anytype", None, str),
        ("something of next year", None, str),
        ("boolean", None, bool),
        ("int", None, int),
        ("int", 0, int),
        ("long", None, int),
        ("double", None, float),
        ("double", 2, Decimal),
        ("double", 0, Decimal),
        ("currency", 2, Decimal),
        ("percent", 0, Decimal),
        ("currency", None, float),
        ("decimal", None, Decimal),
        ("date", None, date),
        ("datetime", None, datetime),
        ("time", None, time),
        ("base64", None, bytes),
        ("multipicklist", None, list[str]),
        ("reference", None, RecordId),
        ("id", None, RecordId),
    ],
)
def test_python_type(salesforce_type: str, scale: int | None, expected: object) -> None:
    assert python_type(FieldType("Field__c", salesforce_type, scale=scale)) == expected


def test_there_is_a_reader_and_a_column_for_every_type() -> None:
    assert set(PYTHON_TYPES.values()) <= set(VALUE_TYPES)


# -- columns, on every database ---------------------------------------------------------------------------------------

LONG = "Grüße, 世界 \U0001f600\n" * 5000  # more than 100 KiB
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
KEPT: dict[object, list[Any]] = {
    str: ["Acme", "", " Acme ", "0016492", "\U0001f600", "'; DROP TABLE account; --", "%s :name \\", LONG],
    RecordId: ["001M000000qfPySIAU"],
    bool: [True, False],
    int: [0, -1, 2**31, 2**63 - 1, -(2**63)],
    float: [0.0, 13.0, -94.1307667, 0.1, 1e300, 2.2250738585072014e-308, 1.7976931348623157e308, 1 / 3],
    Decimal: [Decimal(text) for text in ("0", "13", "-0.1", "12.50", "1.0E7", "1234567890123.45", "0.00001")],
    date: [date(2026, 12, 31), date(1700, 1, 1), date(4000, 12, 31)],
    datetime: [NOON, datetime(1700, 1, 1, tzinfo=UTC), datetime(4000, 12, 31, 23, 59, 59, tzinfo=UTC)],
    time: [time(0), time(23, 59, 59), time(9, 30, 0, 125_000)],
    bytes: [b"", b"\x00\xff\x80'\\", bytes(range(256)) * 500],
    list[str]: [["Red"], ["Red", "Light green", "Blau"], []],
}  # fmt: skip


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    yield engine
    engine.dispose()


def table_of(engine: Engine, python: object) -> Table:
    """A table with one column for values of a type."""
    value = Column("value", VALUE_TYPES[python].column)
    table = Table("kept", MetaData(), Column("at", Integer, primary_key=True), value)
    table.create(engine)
    return table


def kept(engine: Engine, python: object, values: list[Any]) -> list[Any]:
    """What a column of a type gives back for these values."""
    table = table_of(engine, python)
    with engine.begin() as connection:
        connection.execute(insert(table), [{"at": at, "value": value} for at, value in enumerate(values, 1)])
    with engine.connect() as connection:
        return list(connection.scalars(select(table.c.value).order_by(table.c.at)))


def test_the_table_above_has_every_type() -> None:
    assert set(KEPT) == set(VALUE_TYPES)


@pytest.mark.parametrize("python", KEPT, ids=lambda python: getattr(python, "__name__", str(python)))
def test_a_column_gives_back_what_it_was_given(engine: Engine, python: object) -> None:
    given = [*KEPT[python], None]

    assert kept(engine, python, given) == given


@pytest.mark.parametrize("python", KEPT, ids=lambda python: getattr(python, "__name__", str(python)))
def test_and_of_the_same_type(engine: Engine, python: object) -> None:
    expected = str if python is RecordId else list if python == list[str] else python

    assert {type(value) for value in kept(engine, python, KEPT[python])} == {expected}


@pytest.mark.parametrize("text", ["12345678901234567890.123456789012345", "0.000000000000000000000000000001", "9" * 35])
def test_decimals_keep_all_digits_that_the_database_can_hold(engine: Engine, text: str) -> None:
    """SQLite has doubles only, and so has Salesforce."""
    held = repr(float(text)) if engine.dialect.name == "sqlite" else text

    assert kept(engine, Decimal, [Decimal(text)]) == [Decimal(held)]


def test_aware_datetimes_come_back_in_utc(engine: Engine) -> None:
    berlin = timezone(timedelta(hours=2))

    [value] = kept(engine, datetime, [NOON.astimezone(berlin)])

    assert value == NOON
    assert value.utcoffset() == timedelta(0)


def test_datetimes_keep_their_microseconds(engine: Engine) -> None:
    value = NOON.replace(microsecond=123_456)

    assert kept(engine, datetime, [value]) == [value]


def test_datetimes_are_compared_as_points_in_time(engine: Engine) -> None:
    table = table_of(engine, datetime)
    moment, later = NOON.astimezone(timezone(timedelta(hours=9))), NOON + timedelta(seconds=1)
    with engine.begin() as connection:
        connection.execute(insert(table), [{"at": 1, "value": moment}, {"at": 2, "value": later}])

        assert connection.scalar(select(func.max(table.c.value))) == later
        assert list(connection.scalars(select(table.c.value).where(table.c.value < later))) == [NOON]
        assert list(connection.scalars(select(table.c.at).where(table.c.value == NOON))) == [1]


def test_a_naive_datetime_is_refused_and_not_guessed(engine: Engine) -> None:
    with pytest.raises(StatementError, match="a datetime without a time zone"):
        kept(engine, datetime, [datetime(2026, 7, 1, 12)])


def test_ids_that_differ_in_case_only_stay_two(engine: Engine) -> None:
    """Also on MariaDB, which by itself takes them for one; 15 characters tell records apart by case alone."""
    table = Table("ids", MetaData(), Column("id", VALUE_TYPES[RecordId].column, primary_key=True))
    table.create(engine)
    short, full = ["001M000000qfPyS", "001m000000qfpys"], ["001M000000qfPySIAU", "001m000000qfpysAAA"]
    with engine.begin() as connection:
        connection.execute(insert(table), [{"id": each} for each in short])
        found = [connection.scalars(select(table.c.id).where(table.c.id == each)).all() for each in [*short, *full]]
        ordered = list(connection.scalars(select(table.c.id).order_by(table.c.id)))

    assert found == [[each] for each in [*full, *full]]
    assert ordered == sorted(full)


def test_texts_that_differ_in_case_or_accents_only_are_not_equal(engine: Engine) -> None:
    table = table_of(engine, str)
    with engine.begin() as connection:
        connection.execute(insert(table), [{"at": at, "value": text} for at, text in enumerate(["Öl", "öl", "Ol"], 1)])

        assert list(connection.scalars(select(table.c.at).where(table.c.value == "Öl"))) == [1]
