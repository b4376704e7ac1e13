"""Tables that are parted by month on PostgreSQL: a notification is applied once whatever the month, months are made
before they come and go when nothing in them is held, and everything else works as it does on tables that are whole.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import Connection, Engine, insert, inspect, text
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError

from omreceiver import committed, pre_save, receiver
from omreceiver.app import parts_of
from omreceiver.cli import main
from omreceiver.errors import ConfigurationError
from omreceiver.redo import entries, retry
from omreceiver.relays import outbox
from omreceiver.store import tables
from omreceiver.store.partitions import Doing, Partition, There, look, old, planned
from omreceiver.store.prune import Limits, prune
from omreceiver.store.quarantine import Wanted
from omreceiver.store.upgrade import missing, upgrade
from omreceiver.testing import new_id
from tests.accounts import ONE, TWO, acme, send
from tests.conftest import ROOT, MakeApp, tables_of
from tests.databases import fresh_database
from tests.deliveries import deliver_all, status
from tests.spaces import PARTED, part

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
#: long after, when all that a test has written is old
LATER = datetime.now(UTC) + timedelta(days=100)
#: files whose tests also run on parted tables, and those of them that ask what only whole tables do
ELSEWHERE = ["store", "quarantine", "rebuild", "kept", "show", "outbox", "organizations", "races"]
#: rows go with their month there; and the index of a partition has a name of its own
OTHERWISE = [
    "test_the_ledger_goes_after_its_time_with_its_messages",
    "test_the_times_are_settings",
    "test_what_is_open_in_quarantine_stays_with_its_message_and_what_is_settled_goes",
    "test_events_go_when_every_receiver_has_had_them",
    "test_a_prune_of_many_takes_several_transactions",
    "test_receiving_goes_on_beside_a_prune",
    "test_the_first_is_found_though_postgresql_does_not_know_yet_how_many_wait",
]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with fresh_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def whole(make_app: MakeApp, url: str, account: Any) -> Flask:
    """A receiver whose tables are not parted yet."""
    return make_app(url, [account])


@pytest.fixture
def app(whole: Flask) -> Flask:
    """A receiver whose tables are parted, and have a partition for each of the months to come."""
    part(parts_of(whole).engine)
    return whole


def run(app: Flask, statement: str, **values: Any) -> list[Any]:
    with parts_of(app).engine.begin() as connection:
        done = connection.execute(text(statement), values)
        return list(done.scalars()) if done.returns_rows else []


def months(app: Flask, table: str) -> list[str]:
    """Where the rows of a table are."""
    return run(app, f"SELECT tableoid::regclass::text FROM {table} ORDER BY 1")


def next_month() -> datetime:
    """In the middle of it."""
    return (datetime.now(UTC).replace(day=1) + timedelta(days=32)).replace(day=15)


# -- what is to be done -----------------------------------------------------------------------------------------------


def names(there: There, now: datetime = NOW, ahead: int = 2) -> list[str]:
    return [f"{step.doing} {step.partition.name}" for step in planned([there], now, ahead)]


def month(year: int, number: int) -> datetime:
    return datetime(year, number, 1, tzinfo=UTC)


def test_a_table_that_is_whole_becomes_the_first_partition_until_the_month_ends() -> None:
    assert names(There(tables.message, None)) == [
        "part om_message_until_2026_12",
        "make om_message_2026_12",
        "make om_message_2027_01",
    ]


def test_only_months_that_are_not_there_are_made() -> None:
    until = Partition(tables.message, "om_message_until_2026_12", None, month(2026, 12))
    december = Partition(tables.message, "om_message_2026_12", month(2026, 12), month(2027, 1))
    assert names(There(tables.message, (until, december))) == ["make om_message_2027_01"]
    assert names(There(tables.message, (until, december)), ahead=1) == []


def test_months_of_rows_that_have_none_are_made_however_long_ago() -> None:
    until = Partition(tables.message, "om_message_until_2026_09", None, month(2026, 9))
    made = names(There(tables.message, (until,), stray=datetime(2026, 10, 31, 23, 59, tzinfo=UTC)), ahead=1)
    assert made == ["make om_message_2026_10", "make om_message_2026_11", "make om_message_2026_12"]


def test_what_ends_before_the_limit_is_old_with_all_that_goes_with_it() -> None:
    ends = [month(2026, 9), month(2026, 10), month(2026, 11)]
    there = [There(t, tuple(Partition(t, f"{t.name} {end:%m}", None, end) for end in ends)) for t in tables_of_months()]
    found = [[each.name for each in family] for family in old(there, month(2026, 10))]
    assert found == [
        ["om_message 09", "om_notification 09"],
        ["om_message 10", "om_notification 10"],
        ["om_event 09", "om_delivery 09"],
        ["om_event 10", "om_delivery 10"],
    ]


def tables_of_months() -> list[Any]:
    return [tables.message, tables.notification, tables.event, tables.delivery]


# -- tables that were whole -------------------------------------------------------------------------------------------


def test_what_was_there_stays_and_what_comes_goes_on(whole: Flask) -> None:
    same: dict[str, Any] = {"notification_ids": [new_id("04l")]}
    send(whole, acme(), **same)
    part(parts_of(whole).engine)
    assert send(whole, acme(), **same) == ["duplicate"]
    assert send(whole, acme(Id=TWO, ERP_Id__c="A-2")) == ["created"]
    assert run(whole, "SELECT id FROM om_message ORDER BY id") == [1, 2, 3]
    assert len(set(months(whole, "om_notification"))) == 1


def test_to_part_them_again_does_nothing(app: Flask) -> None:
    assert part(parts_of(app).engine) == []
    parts = parts_of(app)
    assert not missing(parts.engine, parts.models)
    assert not upgrade(parts.engine, parts.models)


def test_an_index_that_a_migration_drops_is_there_by_its_name(app: Flask) -> None:
    """The names are the whole table's; a migration to come knows no other."""
    with parts_of(app).engine.connect() as connection:
        for table in tables_of_months():
            assert {each["name"] for each in inspect(connection).get_indexes(table.name)} == {
                index.name for index in table.indexes
            }


def test_receiving_goes_on_beside_it(whole: Flask) -> None:
    """Messages wait for a moment, and each is applied once."""
    number, engine = count(), parts_of(whole).engine

    def tell(_: int) -> list[str]:
        at = next(number)
        return send(whole, acme(Id=f"0010000000{at:05d}AAA", ERP_Id__c=f"A-{at}"))

    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(tell, turn) for turn in range(200)]
        part(engine)
        assert Counter(outcome for each in told for outcome in each.result()) == {"created": 200}
    assert run(whole, "SELECT count(*) FROM om_notification") == [200]


# -- applied once, whatever the month ---------------------------------------------------------------------------------


def refuse(sender: Any, **_: Any) -> None:
    raise ValueError("not today")


def created(app: Flask, **same: Any) -> None:
    """The record is not there any more, so that nothing but the ledger tells of it."""
    send(app, acme(), **same)
    run(app, "DELETE FROM account")


def quarantined(app: Flask, **same: Any) -> None:
    with pre_save.connected_to(refuse):
        send(app, acme(), **same)


@pytest.mark.parametrize("before", [created, quarantined])
def test_a_notification_of_another_month_is_a_duplicate(app: Flask, before: Callable[..., None]) -> None:
    """As if it had come next month, and again now: the two lines would be in two partitions."""
    same: dict[str, Any] = {"notification_ids": [new_id("04l")]}
    before(app, **same)
    run(app, "UPDATE om_notification SET entered_at = :then", then=next_month())
    assert send(app, acme(), **same) == ["duplicate"]
    assert tables_of(app)["account"] == []
    assert run(app, "SELECT repeats FROM om_notification") == [1]


def test_of_many_in_a_message_only_those_are_duplicates_that_were_here(app: Flask) -> None:
    ids = [new_id("04l") for _ in range(3)]
    records = [acme(Id=f"00100000000000{n}AAA", ERP_Id__c=f"A-{n}") for n in range(3)]
    send(app, records[1], notification_ids=[ids[1]])
    run(app, "DELETE FROM account")
    run(app, "UPDATE om_notification SET entered_at = :then", then=next_month())
    assert send(app, *records, notification_ids=ids) == ["created", "duplicate", "created"]


def line(notification_id: str, entered_at: datetime) -> dict[str, Any]:
    return {"i": notification_id, "o": "00D", "m": 1, "at": entered_at}


def enter(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(text("SET LOCAL lock_timeout = '20s'"))
    connection.execute(
        text("""INSERT INTO om_notification (notification_id, organization_id, message_id, outcome, entered_at)
                VALUES (:i, :o, :m, 'empty', :at)"""),
        values,
    )


def turn() -> datetime:
    return next_month().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_two_that_enter_one_notification_at_the_turn_of_a_month_take_turns(app: Flask) -> None:
    """Neither sees the other's line before its commit, and they are in two partitions."""
    engine, eve = parts_of(app).engine, turn() - timedelta(milliseconds=1)

    def enter_after_it() -> None:
        with engine.begin() as other:
            enter(other, line("04l1", turn()))

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            enter(connection, line("04l1", eve))
            waits = pool.submit(enter_after_it)
            wait_until_somebody_waits(engine)
        with pytest.raises(IntegrityError, match="The notification 04l1 is in the ledger of another month"):
            waits.result(30)


def wait_until_somebody_waits(engine: Engine) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(400):
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
            connection.execute(text("SELECT pg_sleep(0.02)"))
    pytest.fail("nobody waits")


@pytest.mark.parametrize(("moment", "taken"), [(timedelta(minutes=59), 1), (timedelta(hours=2), 0)])
def test_locks_are_taken_about_the_turn_of_a_month_only(app: Flask, moment: timedelta, taken: int) -> None:
    mine = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    with parts_of(app).engine.begin() as connection:
        for at, notification in ((turn() - moment, "04l1"), (turn() + moment, "04l2")):
            before = connection.scalar(mine) or 0
            enter(connection, line(notification, at))
            assert (connection.scalar(mine) or 0) - before == taken


# -- months that come and go ------------------------------------------------------------------------------------------


def test_rows_for_which_no_month_was_made_are_moved_when_it_is(app: Flask) -> None:
    engine, then = parts_of(app).engine, datetime.now(UTC) + timedelta(days=150)
    send(app, acme())
    run(app, "UPDATE om_message SET received_at = :then", then=then)
    assert months(app, "om_message") == ["om_message_default"]
    part(engine, now=then)
    assert months(app, "om_message") == [f"om_message_{then:%Y_%m}"]
    assert run(app, "SELECT id FROM om_message") == [1]


def test_a_month_goes_at_once_and_prune_leaves_it_alone(app: Flask) -> None:
    parts = parts_of(app)
    send(app, acme())
    gone = sum(prune(parts.engine, Limits.of(parts.settings, LATER)), Counter[str]())
    assert gone == {"bodies": 1}, "for bodies have a time of their own"
    done = part(parts.engine, now=LATER)
    assert {step.partition.table.name for step in done if step.doing is Doing.DROP} == {
        each.name for each in tables_of_months()
    }
    assert [run(app, f"SELECT count(*) FROM {each.name}") for each in tables_of_months()] == [[0]] * 4
    assert send(app, acme(Name="Zenith")) == ["updated"]


def test_a_month_that_is_not_old_enough_stays(app: Flask) -> None:
    """Of its youngest line, not of its oldest."""
    engine, ends = parts_of(app).engine, turn()
    send(app, acme())
    for then, is_gone in ((ends + timedelta(days=29), False), (ends + timedelta(days=31), True)):
        part(engine, now=then)
        assert (months(app, "om_notification") == []) is is_gone


def test_what_is_open_in_quarantine_holds_its_month(app: Flask) -> None:
    engine = parts_of(app).engine
    quarantined(app)
    send(app, acme(Id=TWO, ERP_Id__c="A-2"))
    kept = [step for step in part(engine, now=LATER) if step.doing is Doing.KEEP]
    assert {step.why for step in kept} == {"1 notifications of it are in quarantine"}
    assert {step.partition.table.name for step in kept} == {"om_message", "om_notification"}
    assert run(app, "SELECT count(*) FROM om_notification") == [2]
    [*_] = retry(parts_of(app), entries(parts_of(app), Wanted()))
    part(engine, now=LATER)
    assert [row["salesforce_id"] for row in tables_of(app)["account"]] == [ONE, TWO]
    assert run(app, "SELECT count(*) FROM om_notification") == [0]


def test_what_is_still_to_be_delivered_holds_its_month(app: Flask) -> None:
    receiver(committed, durable="crm")(lambda sender, **_: None)
    engine = parts_of(app).engine
    send(app, acme())
    kept = [step for step in part(engine, now=LATER) if step.doing is Doing.KEEP]
    assert [(step.partition.table.name, step.why) for step in kept] == [
        (name, "1 deliveries of it are still to be made") for name in ("om_delivery", "om_event")
    ]
    assert status(app) == (1, 0, 0)
    deliver_all(app)
    part(engine, now=LATER)
    assert run(app, "SELECT count(*) FROM om_delivery") == [0]


def test_the_next_delivery_is_found_in_the_order_of_the_indexes(app: Flask) -> None:
    """A month after the other, merged and not sorted."""
    receiver(committed, durable="crm")(lambda sender, **_: None)
    send(app, acme())
    engine = parts_of(app).engine
    with engine.begin() as connection:
        [event], [waits] = (connection.execute(each.select()).mappings() for each in (tables.event, tables.delivery))
        others = range(event["id"] + 1, event["id"] + 20_001)
        connection.execute(insert(tables.event), [{**event, "id": at} for at in others])
        connection.execute(insert(tables.delivery), [{**waits, "event_id": at, "record_id": f"{at}"} for at in others])
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT om_delivery"):
            with connection.connection.driver_connection.cursor() as beside:
                plans.extend(said for (said,) in beside.execute(f"EXPLAIN {statement}", parameters))

    listen(engine, "before_cursor_execute", explain)
    assert outbox.claim(engine, ["crm"]) is not None
    assert any("due_at" in said and "Index Scan" in said for said in plans), plans
    assert not any("Sort  " in said or "Seq Scan" in said for said in plans), plans


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_first_what_it_would_do(whole: Flask, url: str, project: Path) -> None:
    settings = {"DATABASE_URL": url, "OMRECEIVER_WSDL_DIR": "nowhere"}
    engine = parts_of(whole).engine
    said = CliRunner(env=settings).invoke(main, ["db", "partition", "--dry-run", "--ahead", "1"])
    assert said.exit_code == 0, said.output
    assert [each.split("\t")[0] for each in said.stdout.splitlines()] == ["what", *["part", "make"] * 4]
    with engine.connect() as connection:
        assert all(there.partitions is None for there in look(connection))
    done = CliRunner(env=settings).invoke(main, ["db", "partition", "--ahead", "1"])
    assert done.stdout == said.stdout
    again = CliRunner(env=settings).invoke(main, ["db", "partition", "--ahead", "1", "--json"])
    assert (again.exit_code, again.stdout) == (0, "[]\n")


@pytest.mark.parametrize("server_url", ["mariadb"], indirect=True)
def test_other_databases_are_pruned_only(make_app: MakeApp, server_url: str, sqlite_url: str) -> None:
    for url in (server_url, sqlite_url):
        with pytest.raises(ConfigurationError, match=r"is for PostgreSQL\. Use `omreceiver db prune`"):
            part(parts_of(make_app(url)).engine)


# -- everything else --------------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_everything_else_works_on_parted_tables(name: str, url: str, tmp_path: Path) -> None:
    """The tests of another file, in a process whose tables are parted."""
    wanted = "postgresql and not " + " and not ".join(OTHERWISE)
    files = [f"tests/test_{name}.py", f"{Path(__file__)}::{test_the_tables_of_postgresql_are_parted.__name__}"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", wanted, *files]
    environment = {**os.environ, "TEST_PARTED": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]


def test_the_tables_of_postgresql_are_parted(whole: Flask) -> None:
    """Run with the tests of each file above too, which else would prove nothing."""
    if not PARTED:
        part(parts_of(whole).engine)
    with parts_of(whole).engine.connect() as connection:
        assert all(there.partitions for there in look(connection))
