"""LISTEN and NOTIFY on real PostgreSQL servers, one of them the test's own, which goes away under the listener."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from omreceiver import committed, receiver
from omreceiver.app import parts_of
from omreceiver.errors import ConfigurationError
from omreceiver.relays import lease, outbox
from omreceiver.relays import notify as module
from omreceiver.relays.notify import Event, listen, notify
from omreceiver.signals.durable import durable_receivers
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.conftest import MakeApp
from tests.databases import fresh_database
from tests.deliveries import deliver_all, make_due, status, wait_for
from tests.postgres import own_postgres

#: the most that PostgreSQL lets a notification carry, in bytes
LIMIT = 8000


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with fresh_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def app(make_app: MakeApp, url: str, account: Any) -> Flask:
    notify("dashboard", sender="Account")
    return make_app(url, [account])


def send(app: Flask, *keys: str, **fields: Any) -> None:
    assert post(app, compose("Account", *({"ERP_Id__c": key, "Name": f"{key}!", **fields} for key in keys))).ack


def take(url: str, count: int) -> list[Event]:
    """So many events, as a program that ends afterwards."""
    with closing(listen("dashboard", url)) as events:
        return [next(events) for _ in range(count)]


def test_a_listener_has_what_waited_and_then_what_comes(app: Flask, url: str) -> None:
    send(app, "A-1")
    with closing(listen("dashboard", url)) as events:
        first = next(events)
        assert (first.key, first.class_name, first.created, first.deleted, first.raw) == (
            "A-1",
            "Account",
            True,
            False,
            False,
        )
        assert (first.changed["name"], first.id) == ((None, "A-1!"), 1)
        assert timedelta() <= datetime.now(UTC) - first.at < timedelta(minutes=1)
        sender = Thread(target=send, args=(app, "A-2"))
        sender.start()
        assert next(events).key == "A-2"
        sender.join()
    assert deliver_all(app) == [], "a relay calls nobody for it"


def test_what_was_not_finished_comes_again_and_at_once(app: Flask, url: str) -> None:
    """The next event is asked for when the one before is done; here the program ends with it."""
    send(app, "A-1")
    assert [event.key for event in take(url, 1)] == ["A-1"]
    assert [event.key for event in take(url, 1)] == ["A-1"]
    send(app, "A-2")
    assert [event.key for event in take(url, 2)] == ["A-1", "A-2"]
    assert status(app)[0] == 1


def test_an_event_that_ends_its_listener_each_time_is_parked(
    app: Flask, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 2)
    send(app, "A-1")
    for _ in range(2):
        take(url, 1)
    make_due(app)
    send(app, "A-2")
    assert [event.key for event in take(url, 1)] == ["A-2"]
    assert status(app) == (1, 0, 1)


def test_listeners_of_one_name_share_and_those_of_two_have_all(app: Flask, url: str) -> None:
    notify("audit")
    send(app, "A-1", "A-2")
    with closing(listen("dashboard", url)) as one, closing(listen("dashboard", url)) as other:
        assert {next(one).key, next(other).key} == {"A-1", "A-2"}
    with closing(listen("audit", url)) as audit:
        assert [next(audit).key, next(audit).key] == ["A-1", "A-2"]


def test_the_changes_of_one_record_stay_in_order_among_listeners(app: Flask, url: str) -> None:
    one_id = "001000000000001AAA"
    for name in ("first", "second"):
        send(app, "A-1", Id=one_id, Name=name)
    send(app, "A-2")
    with closing(listen("dashboard", url)) as one, closing(listen("dashboard", url)) as other:
        assert next(one).changed["name"][1] == "first"
        assert next(other).key == "A-2"
        assert next(one).changed["name"] == ("first", "second")


@contextmanager
def hearing(app: Flask, url: str) -> Iterator[Callable[[], list[str]]]:
    """Gives what PostgreSQL tells a listener."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        schema = connection.execute("SELECT current_schema()").fetchall()[0][0]
        connection.execute(f'LISTEN "omreceiver.{schema}"')
        yield lambda: [each.payload for each in connection.notifies(timeout=1)]


def test_only_events_of_listeners_are_notified(app: Flask, url: str) -> None:
    durable_receivers.disconnect("dashboard")
    receiver(committed, durable="crm")(lambda sender, **_: None)
    notify("contacts", sender="Contact")
    with hearing(app, url) as heard:
        send(app, "A-1")
        assert heard() == []


def test_a_notification_carries_event_ids_and_never_too_many(app: Flask, url: str) -> None:
    """At the largest IDs that there are."""
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("SELECT setval('om_event_id_seq', 9223372036854770000)"))
    with hearing(app, url) as heard:
        send(app, *(f"A-{number}" for number in range(500)))
        payloads = heard()
    assert len(payloads) == 2
    assert all(len(each) < LIMIT for each in payloads)
    ids = [int(number) for each in payloads for number in each.split(",")]
    assert ids == list(range(9223372036854770001, 9223372036854770501))


def test_nobody_is_notified_of_what_did_not_change(app: Flask, url: str) -> None:
    with hearing(app, url) as heard:
        send(app, "A-1", Id="001000000000001AAA")
        send(app, "A-1", Id="001000000000001AAA")
        send(app, "", Name="no key: quarantined")
        assert heard() == ["1"]


def test_a_listener_outlives_its_server_and_catches_up(
    make_app: MakeApp, account: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is stopped as if its plug were pulled, with an event in the listener's hands, and again while it
    waits; events come while no listener is connected. Everything arrives once.
    """
    notify("dashboard", sender="Account")
    with own_postgres() as server:
        app = make_app(server.url, [account])
        # what it waits for must be heard, not looked for
        monkeypatch.setattr(module, "LOOK_AGAIN", timedelta(minutes=5))
        send(app, "A-1", "A-2")
        with closing(listen("dashboard", server.url)) as events:
            keys = [next(events).key]
            server.stop()
            server.start()
            keys.append(next(events).key)
            heard = Thread(target=lambda: keys.extend(next(events).key for _ in range(3)))
            heard.start()
            wait_for(lambda: _is_heard(server.url))
            server.stop()
            wait_for(lambda: "the database is away" in caplog.messages[-1])
            server.start()
            send(app, "A-3", "A-4")
            send(app, "A-5")
            heard.join(30)
            assert keys == ["A-1", "A-2", "A-3", "A-4", "A-5"]
        parts_of(app).engine.dispose()
    assert {record.levelno for record in caplog.records if record.name == module.log.name} == {logging.WARNING}


def _is_heard(url: str) -> bool:
    with closing(psycopg.connect(url)) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        return connection.execute(asked).fetchone() == (1,)


@pytest.mark.parametrize("url", ["sqlite://", "mariadb://root@127.0.0.1/test"])
def test_only_postgresql_has_listeners(url: str) -> None:
    with pytest.raises(ConfigurationError, match="has no LISTEN; use a webhook or an exchange instead"):
        next(listen("dashboard", url))


def test_elsewhere_events_wait_without_a_word(make_app: MakeApp, sqlite_url: str, account: Any) -> None:
    notify("dashboard")
    app = make_app(sqlite_url, [account])
    send(app, "A-1")
    assert (deliver_all(app), status(app)) == ([], (1, 0, 0))


# -- several of one name, and the end ---------------------------------------------------------------------------------


def test_what_one_gives_back_another_has_at_once(app: Flask, url: str) -> None:
    send(app, "A-1")
    with (
        ThreadPoolExecutor(1) as pool,
        closing(listen("dashboard", url)) as one,
        closing(listen("dashboard", url)) as other,
    ):
        assert next(one).key == "A-1"
        waits = pool.submit(next, other)
        time.sleep(1)
        one.close()
        assert waits.result(20).key == "A-1"


def test_what_a_listener_works_on_is_nobody_elses(app: Flask, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it takes longer than the lease."""
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=2))
    send(app, "A-1")
    with closing(listen("dashboard", url)) as events:
        next(events)
        time.sleep(3)
        assert outbox.claim(parts_of(app).engine, ["dashboard"]) is None


def test_a_listener_hears_of_some_fields(app: Flask, url: str) -> None:
    notify("names", fields={"Name"})
    one = {"Id": "001000000000001AAA"}
    send(app, "A-1", **one)
    send(app, "A-2", **one, Name="A-1!")
    send(app, "A-2", **one, Name="Acme")
    with closing(listen("names", url)) as events:
        assert [next(events).changed["name"][1] for _ in range(2)] == ["A-1!", "Acme"]


def test_a_listener_ends_though_its_server_is_away(
    make_app: MakeApp, account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    notify("dashboard", sender="Account")
    with own_postgres() as server:
        app = make_app(server.url, [account])
        send(app, "A-1")
        events = listen("dashboard", server.url)
        next(events)
        server.stop()
        events.close()
        assert "an event waits for the end of its lease" in caplog.text
        server.start()
        parts_of(app).engine.dispose()
