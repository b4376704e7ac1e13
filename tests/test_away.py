"""The database away, slow, or full: 503 with a Fault, nothing half-written, recovery by itself, a quiet log.

A proxy before the database is cut and stalled, locks are held by others, disks are full, receivers sleep.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, text

from omreceiver import Settings, post_save
from omreceiver.app import parts_of
from omreceiver.cli.serve import WORKER_TIMEOUT
from omreceiver.config import SALESFORCE_WAITS
from omreceiver.door.outage import QUIET, Outage
from omreceiver.errors import Unavailable
from omreceiver.store.limits import IDLE, SHORTEST
from omreceiver.testing import compose, new_id
from omreceiver.testing.messages import ACTION
from omreceiver.testing.replay import Replayed, post, send_to
from tests.conftest import ROOT, MakeApp
from tests.databases import fresh_database
from tests.processes import free_port, run, serving
from tests.proxy import Proxy, proxied

PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
#: seconds that a message may take in these tests
LIMIT = 2
#: what an answer may take: half as much again, and what a machine with other work needs
LATEST = LIMIT * 1.5 + 1
ONE = "001000000000001AAA"
FIRST, SECOND = new_id("04l"), new_id("04l")
#: what a test does to a proxy
HURTS: dict[str, Callable[[Proxy], None]] = {"cut": Proxy.cut, "stalled": Proxy.stall, "mute": Proxy.mute}


def here() -> bytes:
    """The message that has come before the trouble."""
    return account_message(FIRST, "Here", 1)


def changed() -> bytes:
    """The message that comes in the trouble and after it, always the same one."""
    return account_message(SECOND, "Changed", 2)


def account_message(notification: str, name: str, second: int) -> bytes:
    stamp = datetime(2026, 11, 20, 12, 0, second, tzinfo=UTC)
    account: dict[str, Any] = {"Id": ONE, "ERP_Id__c": "A-1", "Name": name, "SystemModstamp": stamp}
    return compose("Account", account, notification_ids=[notification])


@dataclass(frozen=True)
class Place:
    """A receiver, and its database as others see it."""

    app: Flask
    database: Engine

    def send_in_time(self, body: bytes) -> Replayed:
        began = time.monotonic()
        answer = post(self.app, body)
        assert time.monotonic() - began <= LATEST
        return answer

    def is_as_before(self) -> bool:
        return self.holds() == (["Here"], {"created": 1})

    def holds(self) -> tuple[list[str], dict[str, int]]:
        """The names of the accounts, and the outcomes in the ledger."""
        with self.database.connect() as connection:
            names = connection.scalars(text("SELECT name FROM account")).all()
            return list(names), Counter(connection.scalars(text("SELECT outcome FROM om_notification")))

    def recovers(self) -> None:
        """The message that was sent away is stored when it comes again, and is a duplicate from then on."""
        assert post(self.app, changed()).outcomes == {SECOND: "updated"}
        assert post(self.app, changed()).outcomes == {SECOND: "duplicate"}
        assert self.holds() == (["Changed"], {"created": 1, "updated": 1})


def is_sent_away(answer: Replayed) -> bool:
    return (answer.status, answer.ack, answer.fault) == (503, False, Unavailable.public)


@pytest.fixture
def make_place(make_app: MakeApp, account: Any) -> Iterator[Callable[[str, str], Place]]:
    """make_place(url of the receiver, url for others): it has stored one account."""
    engines: list[Engine] = []

    def make(url: str, direct: str) -> Place:
        app = make_app(url, [account], OMRECEIVER_TIME_LIMIT=f"{LIMIT}s")
        engines.append(create_engine(Settings.from_mapping({"DATABASE_URL": direct}).database_url))
        assert post(app, here()).outcomes == {FIRST: "created"}
        return Place(app, engines[-1])

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def place(database_url: str, make_place: Callable[[str, str], Place]) -> Place:
    return make_place(database_url, database_url)


@pytest.fixture(params=["postgresql", "mariadb"])
def behind_proxy(
    request: pytest.FixtureRequest, tmp_path: Path, make_place: Callable[[str, str], Place]
) -> Iterator[tuple[Place, Proxy]]:
    with fresh_database(request.param, tmp_path) as url, proxied(url) as (proxy, through):
        place = make_place(through, url)
        yield place, proxy
        parts_of(place.app).engine.dispose()


# -- away ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hurt", HURTS.values(), ids=HURTS.keys())
def test_a_database_that_is_away(behind_proxy: tuple[Place, Proxy], hurt: Callable[[Proxy], None]) -> None:
    place, proxy = behind_proxy
    hurt(proxy)
    assert is_sent_away(place.send_in_time(changed()))
    assert is_sent_away(place.send_in_time(changed())), "now without a connection in the pool"
    proxy.mend()
    assert place.is_as_before()
    place.recovers()


@pytest.mark.parametrize("hurt", HURTS.values(), ids=HURTS.keys())
def test_a_database_that_goes_away_in_the_middle_of_a_message(
    behind_proxy: tuple[Place, Proxy], hurt: Callable[[Proxy], None]
) -> None:
    """The record is written then, the ledger is not."""
    place, proxy = behind_proxy
    with post_save.connected_to(lambda sender, **_: hurt(proxy)):
        assert is_sent_away(place.send_in_time(changed()))
    proxy.mend()
    assert place.is_as_before()
    place.recovers()


def test_a_commit_that_does_not_arrive(behind_proxy: tuple[Place, Proxy]) -> None:
    place, proxy = behind_proxy
    with at_the_commit(place.app, proxy.cut):
        assert is_sent_away(place.send_in_time(changed()))
    proxy.mend()
    assert place.is_as_before()
    place.recovers()


def test_a_commit_whose_answer_does_not_arrive(behind_proxy: tuple[Place, Proxy]) -> None:
    """It is sent away although it is stored; nobody can know. When it comes again, the ledger does."""
    place, proxy = behind_proxy
    with at_the_commit(place.app, proxy.mute):
        assert is_sent_away(place.send_in_time(changed()))
    assert place.holds() == (["Changed"], {"created": 1, "updated": 1})
    proxy.mend()
    assert post(place.app, changed()).outcomes == {SECOND: "duplicate"}
    assert place.holds() == (["Changed"], {"created": 1, "updated": 1})


def test_a_connection_that_was_lost_in_the_pool_costs_nobody_an_ack(behind_proxy: tuple[Place, Proxy]) -> None:
    place, proxy = behind_proxy
    proxy.cut()
    proxy.mend()
    place.recovers()


@contextmanager
def at_the_commit(app: Flask, do: Callable[[], None]) -> Iterator[None]:
    """Before the first COMMIT of a transaction that has written an account."""
    engine, written = parts_of(app).engine, [False]

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        written[0] |= "UPDATE account" in statement or "INSERT INTO account" in statement

    def commit(_connection: Connection) -> None:
        if written[0]:
            do()

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", commit)
    yield
    event.remove(engine, "before_cursor_execute", note)
    event.remove(engine, "commit", commit)


# -- slow ---------------------------------------------------------------------------------------------------------

LOCKS = {
    # all or nothing
    "sqlite": {"row": "BEGIN IMMEDIATE"},
    "postgresql": {
        "row": "UPDATE account SET name = name",
        "table": "LOCK TABLE account IN ACCESS EXCLUSIVE MODE",
    },
    "mariadb": {"row": "UPDATE account SET name = 'held'", "table": "LOCK TABLES account WRITE"},
}


@pytest.mark.parametrize(
    ("database_url", "what"), [(kind, what) for kind, each in LOCKS.items() for what in each], indirect=["database_url"]
)
def test_a_lock_that_is_held_for_too_long(place: Place, what: str) -> None:
    with locked(place.database, what) as release:
        assert is_sent_away(place.send_in_time(changed()))
        release()
    assert place.is_as_before()
    place.recovers()


def test_a_lock_that_is_given_back_in_time(place: Place) -> None:
    """Longer than one attempt waits for it, shorter than the limit."""
    with locked(place.database, "row") as release:
        timer = Timer(LIMIT * 0.7, release)
        timer.start()
        assert post(place.app, changed()).outcomes == {SECOND: "updated"}
        timer.join()


@contextmanager
def locked(engine: Engine, what: str) -> Iterator[Callable[[], None]]:
    """Another session holds a lock; what this gives ends it."""
    with engine.connect() as holder:
        holder.execute(text(LOCKS[engine.dialect.name][what]))
        try:
            yield lambda: _release(holder)
        finally:
            _release(holder)


def _release(holder: Connection) -> None:
    holder.rollback()
    if holder.dialect.name == "mariadb":
        holder.execute(text("UNLOCK TABLES"))
        holder.rollback()


def test_a_receiver_that_takes_too_long(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with post_save.connected_to(lambda sender, **_: time.sleep(LIMIT + 0.2)):
        assert is_sent_away(place.send_in_time(changed()))
    assert place.is_as_before()
    [line] = lines(caplog)
    for named in (ACTION, SECOND, "2 s", "OMRECEIVER_TIME_LIMIT"):
        assert named in line
    place.recovers()


def test_receivers_that_take_too_long_in_sum(place: Place) -> None:
    """Each of the twenty is quick enough; the message is given up between them."""
    slow = compose("Account", *many()[:20])
    with post_save.connected_to(lambda sender, **_: time.sleep(LIMIT / 4)):
        assert is_sent_away(place.send_in_time(slow))
    assert place.is_as_before()
    place.recovers()


def test_a_receiver_that_takes_so_long_that_the_server_ends_its_transaction(behind_proxy: tuple[Place, Proxy]) -> None:
    """So it would be with a worker that is gone: its locks do not stay."""
    place, _ = behind_proxy
    patience = SHORTEST * IDLE
    with post_save.connected_to(lambda sender, **_: time.sleep(patience + 1)), ThreadPoolExecutor(1) as pool:
        slow = pool.submit(post, place.app, changed())
        time.sleep(patience + 0.5)
        with place.database.begin() as connection:
            connection.execute(text("SELECT name FROM account FOR UPDATE NOWAIT"))
        assert is_sent_away(slow.result())
    assert place.is_as_before()
    place.recovers()


NAPS = {"postgresql": "SELECT pg_sleep(9)", "mariadb": "SELECT SLEEP(9)"}


@pytest.mark.parametrize("database_url", NAPS, indirect=True)
def test_a_receiver_whose_own_statement_takes_too_long(place: Place) -> None:
    """It is no fault of the record: quarantine would need a hand, and Salesforce sends again by itself. SQLite runs in
    the process, and has no limit for a statement.
    """
    nap = text(NAPS[place.database.dialect.name])
    with post_save.connected_to(lambda sender, session, **_: session.execute(nap)):
        assert is_sent_away(place.send_in_time(changed()))
    assert place.is_as_before()
    place.recovers()


# -- full ---------------------------------------------------------------------------------------------------------

#: no test can fill a server's disk: a trigger says what the server would
FULL = {
    "postgresql": """
        CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER no_space BEFORE INSERT ON om_message FOR EACH ROW EXECUTE FUNCTION no_space()
    """,
    "mariadb": """
        CREATE TRIGGER no_space BEFORE INSERT ON om_message FOR EACH ROW
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'Disk full (om_message)'
    """,
}
ROOM = {"postgresql": "DROP FUNCTION no_space CASCADE", "mariadb": "DROP TRIGGER no_space"}


def test_a_full_disk(place: Place) -> None:
    with full(place):
        assert is_sent_away(place.send_in_time(compose("Account", *many())))
        assert place.is_as_before()
    place.recovers()


def many() -> list[dict[str, Any]]:
    """More than fits into what a file has left in its pages."""
    stamp = datetime(2026, 11, 20, tzinfo=UTC)
    return [{"ERP_Id__c": f"B-{n}", "Name": "long " * 2000, "SystemModstamp": stamp} for n in range(100)]


@contextmanager
def full(place: Place) -> Iterator[None]:
    if place.database.dialect.name == "sqlite":
        with a_file_that_cannot_grow(parts_of(place.app).engine):
            yield
        return
    with place.database.begin() as connection:
        connection.execute(text(FULL[place.database.dialect.name]))
    yield
    with place.database.begin() as connection:
        connection.execute(text(ROOM[place.database.dialect.name]))


@contextmanager
def a_file_that_cannot_grow(engine: Engine) -> Iterator[None]:
    """Its limit is its size, as SQLite takes no smaller one; it holds for the connections that are opened inside."""

    def limit(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(engine, "connect", limit)
    engine.dispose()
    yield
    event.remove(engine, "connect", limit)
    engine.dispose()


# -- the log ------------------------------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_outage_is_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(300):
        outage.sent_away(Unavailable("No answer."))
        clock.now += 1
    outage.stored()
    outage.stored()
    assert lines(caplog) == [
        "No answer. From here on a line a minute tells how many messages are sent away.",
        *["60 messages were sent away since the last line. No answer."] * 4,
        "Messages are stored again after 300 s; 59 more were sent away meanwhile.",
    ]


def test_messages_of_which_some_are_stored_and_some_are_not_are_two_lines_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(int(QUIET * 10)):
        outage.sent_away(Unavailable("No answer."))
        outage.stored()
        clock.now += 1
    assert lines(caplog) == [
        "No answer. From here on a line a minute tells how many messages are sent away.",
        "Messages are stored again after 0 s; 0 more were sent away meanwhile.",
        *[
            "60 messages were sent away since the last line. No answer.",
            "Messages are stored again after 59 s; 0 more were sent away meanwhile.",
        ]
        * 9,
    ]


def test_the_end_of_an_outage_that_no_line_has_told_is_told_when_its_minute_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(2):
        outage.sent_away(Unavailable("No answer."))
        outage.stored()
    clock.now += QUIET
    outage.stored()
    assert lines(caplog)[2:] == ["Messages are stored again after 60 s; 1 more were sent away meanwhile."]


def test_the_log_is_quiet_while_the_database_is_away(
    behind_proxy: tuple[Place, Proxy], caplog: pytest.LogCaptureFixture
) -> None:
    place, proxy = behind_proxy
    proxy.cut()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(place.app, changed()), range(20)))
    assert all(map(is_sent_away, answers))
    proxy.mend()
    place.recovers()
    first, last = lines(caplog)
    assert "The database cannot take the message: " in first
    assert "efused" in first
    assert "`omreceiver db check`" in first
    assert re.fullmatch(r"Messages are stored again after \d s; 19 more were sent away meanwhile.", last)


def test_refusals_are_a_line_each(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert post(place.app, b"<no soap/>").status == 400
    assert len(lines(caplog)) == 3


# -- real servers -------------------------------------------------------------------------------------------------


def test_workers_wait_longer_than_any_limit() -> None:
    [of_procfile] = re.findall(r"--timeout (\d+)", PROCFILE["web"])
    assert int(of_procfile) == WORKER_TIMEOUT >= 1.5 * SALESFORCE_WAITS.total_seconds()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_server_whose_database_comes_and_goes(kind: str, tmp_path: Path) -> None:
    """It is up before its database is, it loses it, and it is never restarted."""
    contacts = [compose("Contact", {"LastName": f"Lind {number}"}) for number in range(12)]
    with fresh_database(kind, tmp_path) as url, proxied(url) as (proxy, through), ThreadPoolExecutor(6) as pool:
        assert run(["omreceiver", "db", "upgrade"], tmp_path, DATABASE_URL=url).returncode == 0
        proxy.cut()
        port = free_port()
        settings = {"DATABASE_URL": through, "PORT": str(port), "OMRECEIVER_TIME_LIMIT": f"{LIMIT}s"}
        with serving(PROCFILE["web"].replace("0.0.0.0", "127.0.0.1"), port, tmp_path, **settings) as server:

            def send_all(bodies: list[bytes] = contacts) -> list[Replayed]:
                return list(pool.map(lambda body: send_to(f"{server.url}/outbound-messages", body), bodies))

            assert all(map(is_sent_away, send_all()))
            proxy.mend()
            assert all(answer.ack for answer in send_all())
            proxy.stall()
            assert all(map(is_sent_away, send_all(contacts[:2])))
            proxy.mend()
            assert all(answer.ack for answer in send_all())
            printed = server.printed
        assert 1 <= printed.count("From here on a line a minute") <= 2, "one a worker, and one a minute"
        assert 1 <= printed.count("Messages are stored again") <= 4
        assert "WORKER TIMEOUT" not in printed
        assert "Traceback" not in printed
