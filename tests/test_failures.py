"""What errors of real databases mean: try again, come back later, or this record will never fit."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from omreceiver import Settings
from omreceiver.errors import NoClass, ReceiverRaised
from omreceiver.store.database import open_engine
from omreceiver.store.failures import Verdict, verdict
from tests.databases import fresh_database

TABLE = "CREATE TABLE t (k VARCHAR(9) PRIMARY KEY, n INTEGER NOT NULL, CHECK (n < 9))"
RECORD = {
    "a key that is there": "INSERT INTO t VALUES ('a', 1)",
    "a blank that must not be": "INSERT INTO t VALUES ('b', NULL)",
    "a check": "INSERT INTO t VALUES ('b', 10)",
}
AWAY = {
    "no such table": "SELECT 1 FROM nowhere",
    "no such column": "SELECT nothing FROM t",
}


@pytest.fixture(params=["postgresql", "mariadb"])
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh_database(request.param, tmp_path) as url:
        yield driven(url)


def driven(url: str) -> str:
    """With the driver that the settings would choose."""
    return Settings.from_mapping({"DATABASE_URL": url}).database_url


def error_of(url: str, statement: str) -> SQLAlchemyError:
    engine = open_engine(driven(url))
    try:
        with engine.begin() as connection:
            connection.execute(text(TABLE))
            connection.execute(text("INSERT INTO t VALUES ('a', 1)"))
        with pytest.raises(SQLAlchemyError) as raised, engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
    return raised.value


@pytest.mark.parametrize("statement", RECORD.values(), ids=RECORD.keys())
def test_a_constraint_is_the_records_fault(database_url: str, statement: str) -> None:
    assert verdict(error_of(database_url, statement)) is Verdict.RECORD


@pytest.mark.parametrize("statement", AWAY.values(), ids=AWAY.keys())
def test_a_schema_that_is_not_there_is_the_databases_trouble(database_url: str, statement: str) -> None:
    error = error_of(database_url, statement)
    assert verdict(error) is Verdict.AWAY
    raised = ReceiverRaised("by a receiver's own SQL")
    raised.__cause__ = error
    assert verdict(raised) is Verdict.RECORD


def test_a_lock_that_is_held_is_tried_again(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/locked.db", connect_args={"timeout": 0})
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text(TABLE))
        holder.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(SQLAlchemyError) as raised:
            other.execute(text("INSERT INTO t VALUES ('a', 1)"))
    engine.dispose()
    assert verdict(raised.value) is Verdict.AGAIN


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_server_that_does_not_answer_is_away(scheme: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = open_engine(driven(f"{scheme}://nobody@127.0.0.1:{port}/nothing"))
    with pytest.raises(SQLAlchemyError) as raised:
        engine.connect()
    assert verdict(raised.value) is Verdict.AWAY


def test_a_lost_connection_is_tried_again(server_url: str) -> None:
    """The server ends the session, as it does when it is restarted."""
    engine, other = open_engine(server_url), open_engine(server_url)
    kill = "SELECT pg_terminate_backend(:n)" if "postgresql" in server_url else "KILL :n"
    number = "SELECT pg_backend_pid()" if "postgresql" in server_url else "SELECT CONNECTION_ID()"
    with engine.connect() as connection, other.connect() as killer:
        killer.execute(text(kill), {"n": connection.scalar(text(number))})
        with pytest.raises(SQLAlchemyError) as raised:
            connection.execute(text("SELECT 1"))
        connection.invalidate()
    for each in (engine, other):
        each.dispose()
    assert verdict(raised.value) is Verdict.AGAIN


def test_our_own_words_about_a_record_are_about_the_record() -> None:
    assert verdict(NoClass()) is Verdict.RECORD
