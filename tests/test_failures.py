"""What errors of real databases mean: try again, come back later, or this record will never fit."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from omreceiver import Settings
from omreceiver.errors import NoClass, ReceiverRaised, Unavailable
from omreceiver.schema.notification import Message
from omreceiver.store.database import open_engine
from omreceiver.store.deadline import Attempts, Deadline
from omreceiver.store.failures import Verdict, verdict
from omreceiver.store.insist import insist
from tests.databases import fresh_database

LIMIT = timedelta(seconds=4)
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


def driven(url: str) -> str:
    """With the driver that the settings would choose."""
    return Settings.from_mapping({"DATABASE_URL": url}).database_url


def error_of(url: str, *statements: str, limit: timedelta | None = None, **values: object) -> SQLAlchemyError:
    """What the last of some statements raises."""
    engine = open_engine(driven(url), limit)
    try:
        with engine.begin() as connection:
            connection.execute(text(TABLE))
            connection.execute(text("INSERT INTO t VALUES ('a', 1)"))
            for statement in statements[:-1]:
                connection.execute(text(statement))
        with pytest.raises(SQLAlchemyError) as raised, engine.begin() as connection:
            connection.execute(text(statements[-1]), values)
    finally:
        engine.dispose()
    return raised.value


def in_a_receiver(error: SQLAlchemyError) -> Verdict:
    """The verdict where a receiver's own SQL has met an error."""
    raised = ReceiverRaised("by a receiver's own SQL")
    raised.__cause__ = error
    return verdict(raised)


@pytest.mark.parametrize("statement", RECORD.values(), ids=RECORD.keys())
def test_a_constraint_is_the_records_fault(database_url: str, statement: str) -> None:
    assert verdict(error_of(database_url, statement)) is Verdict.RECORD


@pytest.mark.parametrize("statement", AWAY.values(), ids=AWAY.keys())
def test_a_schema_that_is_not_there_is_the_databases_trouble(database_url: str, statement: str) -> None:
    error = error_of(database_url, statement)
    assert (verdict(error), in_a_receiver(error)) == (Verdict.AWAY, Verdict.RECORD)


def test_a_lock_that_is_held_is_tried_again(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/locked.db", connect_args={"timeout": 0})
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text(TABLE))
        holder.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(SQLAlchemyError) as raised:
            other.execute(text("INSERT INTO t VALUES ('a', 1)"))
    engine.dispose()
    assert (verdict(raised.value), in_a_receiver(raised.value)) == (Verdict.AGAIN, Verdict.AGAIN)


def test_a_lock_that_another_session_holds_is_tried_again(server_url: str) -> None:
    """It is waited for a quarter of the limit."""
    engine, other = open_engine(driven(server_url), LIMIT), open_engine(driven(server_url))
    with other.connect() as holder:
        holder.execute(text(TABLE))
        holder.commit()
        holder.execute(text("INSERT INTO t VALUES ('a', 1)"))
        began = time.monotonic()
        with pytest.raises(SQLAlchemyError) as raised, engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES ('a', 2)"))
        assert time.monotonic() - began < LIMIT.total_seconds() / 2
    for each in (engine, other):
        each.dispose()
    assert (verdict(raised.value), in_a_receiver(raised.value)) == (Verdict.AGAIN, Verdict.AGAIN)


def test_a_deadlock_within_a_savepoint_is_tried_again(server_url: str) -> None:
    """MariaDB has then rolled back the whole transaction, and says no more than that there is no savepoint."""
    engine, both_have_one, raised = open_engine(driven(server_url)), Barrier(2), list[SQLAlchemyError]()
    with engine.begin() as connection:
        connection.execute(text(TABLE))
        connection.execute(text("INSERT INTO t VALUES ('a', 1), ('b', 1)"))

    def update(first: str, second: str) -> None:
        try:
            with engine.begin() as connection, connection.begin_nested():
                connection.execute(text("UPDATE t SET n = 2 WHERE k = :k"), {"k": first})
                both_have_one.wait(60)
                connection.execute(text("UPDATE t SET n = 3 WHERE k = :k"), {"k": second})
        except SQLAlchemyError as error:
            raised.append(error)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(update, "ab", "ba"))
    engine.dispose()
    assert [(verdict(error), in_a_receiver(error)) for error in raised] == [(Verdict.AGAIN, Verdict.AGAIN)]


def test_a_function_that_is_not_there_is_the_receivers_fault(tmp_path: Path) -> None:
    """MariaDB has one number for it and for the savepoint."""
    with fresh_database("mariadb", tmp_path) as url:
        assert in_a_receiver(error_of(url, "SELECT nowhere.nothing()")) is Verdict.RECORD


def test_a_statement_that_is_cancelled_for_its_time_is_away(server_url: str) -> None:
    """After half of the limit; whose statement it was does not matter."""
    began = time.monotonic()
    nap = "SELECT pg_sleep(20)" if "postgresql" in server_url else "SELECT SLEEP(20) FROM t"
    error = error_of(server_url, nap, limit=LIMIT)
    assert LIMIT.total_seconds() / 2 <= time.monotonic() - began < LIMIT.total_seconds()
    assert (verdict(error), in_a_receiver(error)) == (Verdict.AWAY, Verdict.AWAY)


#: what a server says whose disk is full, or that is about to end
SAID_BY_POSTGRESQL = ("disk_full", "out_of_memory", "too_many_connections", "crash_shutdown", "io_error")
SAID_BY_MARIADB = (1021, 1030, 1114, 1317, 3024)


@pytest.mark.parametrize("said", SAID_BY_POSTGRESQL)
def test_what_postgresql_says_in_trouble(tmp_path: Path, said: str) -> None:
    """Said by a procedure: no test can fill the disk."""
    with fresh_database("postgresql", tmp_path) as url:
        error = error_of(url, f"DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''{said}''; END'")
    assert (verdict(error), in_a_receiver(error)) == (Verdict.AWAY, Verdict.AWAY)


@pytest.mark.parametrize("said", SAID_BY_MARIADB)
def test_what_mariadb_says_in_trouble(tmp_path: Path, said: int) -> None:
    with fresh_database("mariadb", tmp_path) as url:
        error = error_of(url, f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {said}, MESSAGE_TEXT = 'trouble'")
    assert (verdict(error), in_a_receiver(error)) == (Verdict.AWAY, Verdict.AWAY)


def test_a_table_in_memory_that_is_full(tmp_path: Path) -> None:
    """MariaDB itself says 1114 here, as it does when a table space is full."""
    create = "CREATE TABLE m (b CHAR(200)) ENGINE = MEMORY MAX_ROWS = 1"
    double = "INSERT INTO m SELECT REPEAT('b', 200) FROM seq_1_to_1000000"
    with fresh_database("mariadb", tmp_path) as url:
        error = error_of(url, create, double)
    assert "1114" in str(error.orig)  # type: ignore[attr-defined]  # every error of a driver has one
    assert verdict(error) is Verdict.AWAY


def test_a_file_that_cannot_grow(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        connection.execute(text(TABLE))
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(SQLAlchemyError) as raised:
            connection.execute(text("INSERT INTO t VALUES (:k, 1)"), [{"k": f"{number}"} for number in range(9999)])
    engine.dispose()
    assert "full" in str(raised.value)
    assert (verdict(raised.value), in_a_receiver(raised.value)) == (Verdict.AWAY, Verdict.AWAY)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("something else " * 100)
    engine = create_engine(f"sqlite:///{tmp_path}/no.db")
    with pytest.raises(SQLAlchemyError) as raised, engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM t"))
    engine.dispose()
    assert (verdict(raised.value), in_a_receiver(raised.value)) == (Verdict.AWAY, Verdict.AWAY)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_value_that_the_driver_does_not_take_is_the_records_fault(database_url: str) -> None:
    """PyMySQL raises TypeError, which is no error of the database."""
    assert verdict(error_of(database_url, "INSERT INTO t VALUES ('b', :n)", n={"a": 1})) is Verdict.RECORD


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_server_that_does_not_answer_is_away(scheme: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = open_engine(driven(f"{scheme}://nobody@127.0.0.1:{port}/nothing"))
    with pytest.raises(SQLAlchemyError) as raised:
        engine.connect()
    assert verdict(raised.value) is Verdict.AWAY


def test_a_lost_connection_is_tried_again_but_once(server_url: str) -> None:
    """The server ends the session, as it does when it is restarted."""
    engine, other = open_engine(driven(server_url)), open_engine(driven(server_url))
    kill = "SELECT pg_terminate_backend(:n)" if "postgresql" in server_url else "KILL :n"
    number = "SELECT pg_backend_pid()" if "postgresql" in server_url else "SELECT CONNECTION_ID()"
    with engine.connect() as connection, other.connect() as killer:
        killer.execute(text(kill), {"n": connection.scalar(text(number))})
        with pytest.raises(SQLAlchemyError) as raised:
            connection.execute(text("SELECT 1"))
        connection.invalidate()
    for each in (engine, other):
        each.dispose()
    assert (verdict(raised.value), in_a_receiver(raised.value)) == (Verdict.LOST, Verdict.LOST)
    attempts = Attempts(Deadline.of(Message("", "", ()), timedelta(minutes=1)))
    assert attempts.again(raised.value) is Verdict.LOST
    with pytest.raises(Unavailable, match="The database cannot take the message: "):
        attempts.again(raised.value)


def test_our_own_words_about_a_record_are_about_the_record() -> None:
    assert verdict(NoClass()) is Verdict.RECORD


def test_after_each_conflict_the_pause_is_twice_as_long_up_to_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    monkeypatch.setattr("time.sleep", slept.append)
    attempts = Attempts(Deadline.of(Message("00D", "04k", ()), timedelta(seconds=30)))
    for _ in range(8):
        attempts.again(OperationalError("UPDATE", {}, Exception(1213, "Deadlock")))
    assert slept == [0.04, 0.08, 0.16, 0.32, 0.64, 1, 1, 1]


# -- what commands write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_url", ["postgresql"], indirect=True)
def test_a_command_insists_and_then_says_what_is_wrong_without_the_values(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    engine, tried = open_engine(driven(server_url)), list[int]()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (k varchar(20) PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES ('secret')"))

    def insert() -> None:
        tried.append(1)
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES ('secret')"))

    with pytest.raises(Unavailable, match="The tables cannot be written: duplicate key") as raised:
        insist(insert, "The tables cannot be written")
    assert "secret" not in str(raised.value)
    assert len(tried) == 8
    engine.dispose()


def test_a_command_goes_on_when_the_conflict_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    conflicts = [OperationalError("UPDATE", {}, Exception(1213, "Deadlock")) for _ in range(3)]

    def work() -> str:
        if conflicts:
            raise conflicts.pop()
        return "done"

    assert insist(work, "The tables cannot be written") == "done"


def test_a_command_does_not_insist_where_nobody_is_in_the_way() -> None:
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        raise OperationalError("SELECT", {}, Exception(1142, "SELECT command denied"))

    with pytest.raises(Unavailable):
        insist(work, "The database cannot prune now")
    assert len(tried) == 1
