"""The outbox: which delivery is whose, when it is due again, and what one may not do to another's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.event import listen
from sqlalchemy.orm import Mapped

from omreceiver import Field, committed, receiver
from omreceiver.app import parts_of
from omreceiver.relays import delivery, lease, outbox
from omreceiver.relays.delivery import Fate
from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.deadline import Deadline
from tests.accounts import ONE, TWO, acme, send
from tests.conftest import MakeApp
from tests.deliveries import deliver_all, make_due, status, wait_for

Calls = list[dict[str, Any]]


@pytest.fixture
def calls() -> Calls:
    """A durable receiver named erp that records how it was called, and refuses accounts that are named Bad."""
    seen: Calls = []

    @receiver(committed, durable="erp")
    def to_erp(sender: type, instance: Any, **sent: Any) -> None:
        if instance.name == "Bad":
            raise ConnectionError("the ERP is away")
        seen.append({"instance": instance, **sent})

    return seen


@pytest.fixture
def app(make_app: MakeApp, database_url: str, account: Any, calls: Calls) -> Flask:
    return make_app(database_url, [account])


def deliveries(app: Flask) -> list[Any]:
    with parts_of(app).engine.connect() as connection:
        return list(connection.execute(tables.delivery.select().order_by(tables.delivery.c.event_id)))


def count(app: Flask, table: Any) -> int:
    with parts_of(app).engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


# -- whose ------------------------------------------------------------------------------------------------------------


def test_an_event_is_for_the_receivers_of_its_class(
    make_app: MakeApp, sqlite_url: str, base: Any, account: Any
) -> None:
    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    app = make_app(sqlite_url, [account, Contact])
    receiver(committed, sender="Contact", durable="mail")(lambda sender, **_: None)
    send(app, acme())
    assert (count(app, tables.delivery), count(app, tables.event)) == (0, 0)


def test_a_task_claims_the_delivery_of_its_receiver_and_only_until_it_was_delivered(app: Flask) -> None:
    receiver(committed, durable="index")(lambda sender, **_: None)
    send(app, acme())
    engine = parts_of(app).engine
    [event_id] = {row.event_id for row in deliveries(app)}
    for name in ("index", "erp"):
        taken = outbox.claim_handed_over(engine, event_id, name, 0)
        assert taken is not None
        assert taken.event.receiver == name
        outbox.delivered(engine, taken)
        assert outbox.claim_handed_over(engine, event_id, name, taken.attempts) is None


def test_a_relay_that_was_suspended_does_not_touch_what_another_has_in_its_hands(app: Flask) -> None:
    send(app, acme())
    engine = parts_of(app).engine
    suspended = outbox.claim(engine, ["erp"])
    make_due(app)
    mine = outbox.claim(engine, ["erp"])
    assert suspended is not None
    assert mine is not None
    before = deliveries(app)
    outbox.failed(engine, suspended, "late", timedelta())
    outbox.delivered(engine, suspended)
    assert deliveries(app) == before
    outbox.delivered(engine, mine)
    assert status(app) == (0, 0, 0)


def test_a_record_that_was_created_anew_under_its_key_stands_for_the_one_that_is_gone(app: Flask, calls: Calls) -> None:
    send(app, acme())
    send(app, acme(Id=TWO))
    assert deliver_all(app) == [Fate.DELIVERED] * 2
    assert [(call["salesforce_id"], call["instance"].salesforce_id) for call in calls] == [(ONE, TWO), (TWO, TWO)]


# -- when -------------------------------------------------------------------------------------------------------------


def test_the_pause_doubles_up_to_two_hours(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    send(app, acme(Name="Bad"))
    pauses = []
    for _ in range(12):
        make_due(app)
        began = datetime.now(UTC)
        assert deliver_all(app) == [Fate.FAILED]
        pauses.append((deliveries(app)[0].due_at - began) / outbox.FIRST_PAUSE)
    for pause, expected in zip(pauses, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440), strict=True):
        assert expected <= pause < expected + 1
    assert outbox.LONGEST_PAUSE / outbox.FIRST_PAUSE == 1440


def test_what_was_handed_over_is_told_again_after_an_hour(app: Flask) -> None:
    send(app, acme())
    assert outbox.claim(parts_of(app).engine, [], ["erp"]) is not None
    [row] = deliveries(app)
    assert timedelta(minutes=59) < row.due_at - datetime.now(UTC) <= outbox.HANDED_OVER


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_first_is_found_though_postgresql_does_not_know_yet_how_many_wait(app: Flask) -> None:
    """Nothing that is due is sorted: it is read in the order of its index."""
    send(app, acme())
    engine = parts_of(app).engine
    with engine.begin() as connection:
        [event], [waits] = (connection.execute(each.select()).mappings() for each in (tables.event, tables.delivery))
        others = range(event["id"] + 1, event["id"] + 20_001)
        connection.execute(tables.event.insert(), [{**event, "id": at} for at in others])
        connection.execute(tables.delivery.insert(), [{**waits, "event_id": at, "record_id": f"{at}"} for at in others])
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT om_delivery"):
            with connection.connection.driver_connection.cursor() as beside:
                plans.extend(line for (line,) in beside.execute(f"EXPLAIN {statement}", parameters))

    listen(engine, "before_cursor_execute", explain)
    assert outbox.claim(engine, ["erp"]) is not None
    assert any("ix_om_delivery_due_at" in line for line in plans)
    assert not any("Sort" in line for line in plans)


def test_unpark_leaves_what_was_delivered(app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 1)
    send(app, acme(Id=TWO, ERP_Id__c="A-2"))
    send(app, acme(Name="Bad"))
    assert sorted(deliver_all(app)) == [Fate.DELIVERED, Fate.PARKED]
    assert outbox.unpark(parts_of(app).engine, "erp") == 1
    assert deliver_all(app) == [Fate.PARKED]
    assert [call["key"] for call in calls] == ["A-2"]


def test_a_renewal_that_fails_is_tried_again() -> None:
    """The database may be away for a moment, and the receiver still runs."""
    turns: list[int] = []

    def renew() -> None:
        turns.append(1)
        raise ConnectionError("the database is away")

    with lease.renewed(renew, timedelta(milliseconds=10)):
        wait_for(lambda: len(turns) >= 3)


# -- inline -----------------------------------------------------------------------------------------------------------


def test_inline_ends_with_the_time_of_the_message(make_app: MakeApp, sqlite_url: str, account: Any) -> None:
    app, called = make_app(sqlite_url, [account]), list[str]()

    @receiver(committed, durable="slow")
    def slow(sender: type, key: str, **_: Any) -> None:
        called.append(key)
        time.sleep(1.2)

    for number in range(3):
        send(app, acme(Id=f"00100000000000{number}AAA", ERP_Id__c=f"A-{number}"))
    parts = parts_of(app)
    short, spent = (Deadline.of(Message("00D", "04k", ()), timedelta(seconds=each)) for each in (1, 0))
    delivery.deliver_inline(parts.engine, parts.models, 3, short)
    assert called == ["A-2"], "the time is up, and nothing from before is delivered"
    delivery.deliver_inline(parts.engine, parts.models, 2, spent)
    assert called == ["A-2"]


def test_the_ack_stands_when_events_cannot_be_delivered(
    make_app: MakeApp, sqlite_url: str, account: Any, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(sqlite_url, [account], OMRECEIVER_RELAY="inline")

    @receiver(committed)
    def breaks(sender: type, session: Any, **_: Any) -> None:
        session.execute(text("ALTER TABLE om_delivery RENAME TO elsewhere"))

    assert send(app, acme()) == ["created"]
    assert "events are not delivered now" in caplog.text
    committed.disconnect(breaks)
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO om_delivery"))
    assert deliver_all(app) == [Fate.DELIVERED]
    assert [call["key"] for call in calls] == ["A-1"]
