"""What the driver runs itself gives what SQLAlchemy would give, and fails as it would; who watches sees all of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    CHAR,
    Boolean,
    Column,
    Connection,
    Date,
    Engine,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from omreceiver.config import Settings
from omreceiver.records.columns import CHARSET, ExactNumber, ExactString, Json, LongBinary, LongText, UTCDateTime
from omreceiver.schema.notification import Message
from omreceiver.store import tables, tombstones
from omreceiver.store.batch import Doubted, batch
from omreceiver.store.database import open_engine
from omreceiver.store.prepared import prepared
from omreceiver.store.statements import among
from omreceiver.store.tombstones import Gone
from omreceiver.testing.messages import ORGANIZATION
from tests.statements import statements

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("external_id", ExactString(40), primary_key=True),
    Column("saved_at", UTCDateTime()),
    Column("due", Date()),
    Column("amount", ExactNumber()),
    Column("is_won", Boolean()),
    Column("notes", LongText),
    Column("extra", Json),
    Column("picture", LongBinary),
    **CHARSET,
)
T = things.c
FULL: dict[str, Any] = {
    "external_id": "Ärger'\"\\",
    "saved_at": datetime(2026, 11, 21, 12, 30, 1, 250000, tzinfo=UTC),
    "due": date(2026, 12, 31),
    "amount": Decimal("1000.25"),
    "is_won": True,
    "notes": 'line\nline "\\" 🦔',
    "extra": {"Name": "Acme", "Count": 3},
    "picture": b"\x00\xff\\",
}
EMPTY: dict[str, Any] = dict.fromkeys(FULL) | {"external_id": "B"}
EVERYTHING = select(things).order_by(T.external_id)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    metadata.create_all(engine)
    yield engine
    metadata.drop_all(engine)
    engine.dispose()


def fill(engine: Engine, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        sent = batch(connection)
        sent.insert(things, rows)
        sent.send()


def by_driver(connection: Connection) -> list[dict[str, Any]]:
    return [dict(zip(T.keys(), row, strict=True)) for row in prepared(EVERYTHING, connection).rows(connection, {})]


def test_values_come_back_as_sqlalchemy_gives_them(engine: Engine) -> None:
    fill(engine, FULL, EMPTY)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(EVERYTHING).mappings()]
        assert by_driver(connection) == rows
        assert sorted(rows, key=lambda row: row["external_id"] != "B") == [EMPTY, FULL]


def test_rows_are_updated_by_their_key(engine: Engine) -> None:
    fill(engine, FULL, EMPTY)
    with engine.begin() as connection:
        sent = batch(connection)
        sent.update(things, [{"external_id": "B", "notes": "now", "amount": Decimal("2.5")}])
        sent.send()
    with engine.connect() as connection:
        found = {row["external_id"]: row for row in by_driver(connection)}
    assert found["B"] == {**EMPTY, "notes": "now", "amount": Decimal("2.5")}
    assert found[FULL["external_id"]] == FULL


def test_a_number_that_json_libraries_do_not_take_is_the_databases_to_judge(engine: Engine) -> None:
    fill(engine, {"external_id": "big", "amount": 10**20})
    with engine.connect() as connection:
        [row] = by_driver(connection)
    assert row["amount"] == Decimal(10**20)


def test_who_watches_sees_every_statement(engine: Engine) -> None:
    fill(engine, EMPTY)
    with statements(engine, only="SELECT") as seen, engine.connect() as connection:
        assert by_driver(connection) == [EMPTY]
    assert len(seen) == 1
    with statements(engine) as seen:
        fill(engine, FULL)
    assert [statement for statement in seen if "INSERT INTO things" in statement]


def test_a_broken_constraint_is_sqlalchemys_error(engine: Engine) -> None:
    fill(engine, EMPTY)
    with pytest.raises(IntegrityError):
        fill(engine, EMPTY)


def test_a_lost_connection_is_told_and_its_pool_begins_anew(server_url: str) -> None:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": server_url}).database_url)
    metadata.create_all(engine)
    with engine.connect() as connection:
        _kill(connection)
        with pytest.raises(DBAPIError) as told:
            by_driver(connection)
        assert told.value.connection_invalidated
        assert connection.invalidated
        connection.rollback()
        assert by_driver(connection) == []
    metadata.drop_all(engine)
    engine.dispose()


def test_a_statement_that_a_signal_interrupts_costs_its_connection(server_url: str) -> None:
    """As when gunicorn ends a worker: the answer may still come, and nobody may take it for the next one's."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    engine = open_engine(Settings.from_mapping({"DATABASE_URL": server_url}).database_url)
    slow = text("SELECT pg_sleep(5)" if engine.dialect.name == "postgresql" else "SELECT SLEEP(5)")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with engine.connect() as connection:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                prepared(slow, connection).run(connection, {})
            assert connection.invalidated
    finally:
        signal.signal(signal.SIGALRM, before)
        engine.dispose()


def _kill(connection: Connection) -> None:
    """As an administrator would."""
    is_postgresql = connection.dialect.name == "postgresql"
    number = connection.scalar(text("SELECT pg_backend_pid()" if is_postgresql else "SELECT CONNECTION_ID()"))
    connection.rollback()
    other = open_engine(connection.engine.url.render_as_string(hide_password=False))
    with other.connect() as administrator:
        administrator.execute(text(f"SELECT pg_terminate_backend({number})" if is_postgresql else f"KILL {number}"))
    other.dispose()


MESSAGE: dict[str, Any] = {
    "received_at": datetime(2026, 11, 21, tzinfo=UTC),
    "organization_id": ORGANIZATION,
    "action_id": "04k000000000001AAA",
    "sobject": "Account",
    "wsdl": None,
    "raw": False,
    "again": False,
    "outcomes": {"created": 1},
    "body": b"<notifications/>",
}
LINE: dict[str, Any] = {"organization_id": ORGANIZATION, "notification_id": "04l000000000001AAA", "outcome": "created"}


def enter(engine: Engine, row: dict[str, Any], doubted: str) -> int:
    """Insert a thing with a line of the ledger, where nothing is remembered of a record."""
    message = Message(ORGANIZATION, "04k000000000001AAA", ())
    with engine.begin() as connection:
        sent = batch(connection)
        sent.insert(things, [row])
        tombstones.doubt(sent, message, [doubted])
        return sent.send_with(tables.message, MESSAGE, tables.notification, [LINE], "message_id")


def test_a_message_and_its_lines_are_written_with_what_waits(engine: Engine) -> None:
    number = enter(engine, FULL, "001000000000001AAA")
    with engine.connect() as connection:
        assert by_driver(connection) == [FULL]
        assert connection.scalars(select(tables.notification.c.message_id)).all() == [number]
        [kept] = connection.execute(select(tables.message)).mappings()
    assert {**MESSAGE, "id": number} == dict(kept)


def test_what_is_doubted_and_found_stops_the_batch(engine: Engine) -> None:
    gone = Gone(deleted_at=datetime(2026, 11, 20, tzinfo=UTC))
    with engine.begin() as connection:
        message = Message(ORGANIZATION, "04k000000000001AAA", ())
        tombstones.remember(connection, message, {"001000000000001AAA": gone})
    with pytest.raises(Doubted):
        enter(engine, FULL, "001000000000001AAA")
    with engine.connect() as connection:
        assert by_driver(connection) == []
        assert connection.scalars(select(tables.message.c.id)).all() == []


@given(keys=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_are_found_among_themselves(engine: Engine, keys: list[str]) -> None:
    given_one = cast(bindparam("one", type_=Text()), Text() if _backend(engine) != "mysql" else CHAR())
    statement = select(given_one).where(among(given_one, "keys", _backend(engine)))
    with engine.connect() as connection:
        for one in keys:
            assert prepared(statement, connection).rows(connection, {"one": one, "keys": keys})
        assert not prepared(statement, connection).rows(connection, {"one": "none of them", "keys": keys[:1]})
        assert not prepared(statement, connection).rows(connection, {"one": "none of them", "keys": []})


def _backend(engine: Engine) -> str:
    return {"mariadb": "mysql"}.get(engine.dialect.name, engine.dialect.name)
