"""Column types that keep what arrives, alike on SQLite, PostgreSQL and MariaDB.

They never cut: Salesforce says that "the API can return data that doesn't meet these restrictions" of length
(Object Reference, field types).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import JSON, Dialect, Double, LargeBinary, Numeric, String, Text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from omreceiver.records.ids import to18
from omreceiver.records.values import as_text, member, read_multipicklist, without_zeros

MYSQL = ("mysql", "mariadb")
#: of every table that we make
CHARSET: dict[str, Any] = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}
LongText = Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *MYSQL)
LongBinary = LargeBinary().with_variant(mysql.LONGBLOB(), *MYSQL)
Json = JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


class ExactString(TypeDecorator[str]):
    """A string that tells upper from lower case on every database, MariaDB included."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in MYSQL:
            exact = mysql.VARCHAR(self.length, charset="utf8mb4", collation="utf8mb4_bin")
            return dialect.type_descriptor(exact)
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TEXT(collation="C"))
        return dialect.type_descriptor(Text())


class SalesforceId(ExactString):
    """An ID in 18 characters. What is written or looked up may have 15."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(18)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return to18(value) if value is not None and len(value) == 15 else value


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, whatever the database keeps. A naive one is refused, not guessed."""

    impl = postgresql.TIMESTAMP
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone; use datetime.now(UTC) or replace(tzinfo=UTC)")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class ExactNumber(TypeDecorator[Decimal]):
    """A Decimal with all the digits that arrived.

    Salesforce sends doubles, so SQLite's REAL holds each of them exactly; MariaDB's widest DECIMAL has 35 digits
    before the point and 30 after it; PostgreSQL's NUMERIC has no limit that matters.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Double())
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.DECIMAL(65, 30))
        return dialect.type_descriptor(Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return float(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return without_zeros(number) if dialect.name in MYSQL else number


class Picklist(TypeDecorator[Any]):
    """A picklist value, as the member of an Enum that has it; one that no member has stays text."""

    impl = LongText
    cache_ok = True

    def __init__(self, choices: type[Enum]) -> None:
        super().__init__()
        self.choices = choices

    def as_loaded(self, value: Any) -> Any:
        """What a value is that was written and loaded again."""
        return member(self.choices, value)

    def process_bind_param(self, value: str | Enum | None, dialect: Dialect) -> str | None:
        return None if value is None else as_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | Enum | None:
        loaded: str | Enum | None = self.as_loaded(value)
        return loaded


class MultiPicklist(TypeDecorator[list[Any]]):
    """A list of picklist values, kept as Salesforce writes it: joined with semicolons."""

    impl = LongText
    cache_ok = True

    def __init__(self, choices: type[Enum] | None = None) -> None:
        super().__init__()
        self.choices = choices

    def as_loaded(self, value: Any) -> Any:
        """What a list is that was written and loaded again."""
        if self.choices is None or not isinstance(value, list | tuple):
            return value
        return [member(self.choices, each) for each in value]

    def process_bind_param(self, value: Sequence[str | Enum] | None, dialect: Dialect) -> str | None:
        return None if value is None else as_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[Any] | None:
        return None if value is None else self.as_loaded(read_multipicklist(value))
