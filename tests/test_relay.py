"""Durable receivers: an event is written with the record, and a relay delivers it until its receiver returns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field, committed, post_save, receiver
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.relays import outbox
from omreceiver.relays.outbox import Fate
from omreceiver.signals import Change, durable_receivers
from omreceiver.store import tables
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.conftest import ROOT, MakeApp

Calls = list[dict[str, Any]]


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
        since: Mapped[datetime | None] = Field("Since__c")

    return make_app(database_url, base)


@pytest.fixture
def calls() -> Iterator[Calls]:
    """A durable receiver named erp, for every class, that records how it was called."""
    seen: Calls = []

    @receiver(committed, durable="erp")
    def to_erp(sender: type, **arguments: Any) -> None:
        if arguments["instance"].name == "Bad":
            raise ConnectionError("the ERP is away")
        seen.append({"sender": sender, **arguments})

    yield seen
    durable_receivers.disconnect("erp")


def send(app: Flask, **fields: Any) -> None:
    record = {"ERP_Id__c": "A-1", "Id": "001000000000001AAA", **fields}
    assert post(app, compose("Account", record)).ack


def deliver_all(app: Flask) -> list[Fate]:
    parts = parts_of(app)
    return list(iter(lambda: outbox.deliver_next(parts.engine, parts.models), None))


def make_due(app: Flask) -> None:
    """The pause is over."""
    with parts_of(app).engine.begin() as connection:
        waiting = tables.delivery.c.due_at.is_not(None)
        connection.execute(update(tables.delivery).where(waiting).values(due_at=datetime(2026, 1, 1, tzinfo=UTC)))


def rows(app: Flask, table: Any) -> int:
    with parts_of(app).engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_an_event_reaches_its_receiver_once(app: Flask, calls: Calls) -> None:
    send(app, Name="Acme", AnnualRevenue="12.50", Since__c="2026-01-02T03:04:05.000Z")
    assert calls == []
    assert deliver_all(app) == [Fate.DELIVERED]
    [call] = calls
    assert call["sender"].__name__ == "Account"
    assert (call["instance"].external_id, call["created"], call["raw"]) == ("A-1", True, False)
    assert call["changed"] == {
        "name": Change(None, "Acme"),
        "revenue": Change(None, Decimal("12.50")),
        "since": Change(None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    }
    assert deliver_all(app) == []


def test_a_receiver_that_raises_is_called_again_and_delays_nobody(app: Flask, calls: Calls) -> None:
    send(app, Name="Bad")
    send(app, Name="Good", ERP_Id__c="A-2", Id="001000000000002AAA")
    assert sorted(deliver_all(app)) == [Fate.DELIVERED, Fate.FAILED]
    assert deliver_all(app) == []
    assert outbox.status(parts_of(app).engine) == outbox.Status(waiting=1, failing=1, parked=0)
    send(app, Name="Mended")
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED, Fate.DELIVERED]
    assert [call["instance"].name for call in calls] == ["Good", "Mended", "Mended"]


def test_after_the_last_attempt_it_is_parked_with_its_error(
    app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 2)
    send(app, Name="Bad")
    assert deliver_all(app) == [Fate.FAILED]
    make_due(app)
    assert deliver_all(app) == [Fate.PARKED]
    make_due(app)
    assert deliver_all(app) == []
    with parts_of(app).engine.connect() as connection:
        [delivery] = connection.execute(tables.delivery.select()).mappings()
    assert (delivery["attempts"], delivery["error"]) == (2, "ConnectionError: the ERP is away")
    assert outbox.status(parts_of(app).engine) == outbox.Status(waiting=0, failing=0, parked=1)


def test_a_claim_of_a_relay_that_died_runs_out(app: Flask, calls: Calls) -> None:
    send(app, Name="Acme")
    assert outbox._claim(parts_of(app).engine) is not None
    assert deliver_all(app) == []
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED]


def test_a_receiver_that_takes_the_relay_down_is_parked_in_the_end(
    app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 2)
    send(app, Name="Acme")
    for _ in range(2):
        assert outbox._claim(parts_of(app).engine) is not None  # and then the process was killed
        make_due(app)
    assert deliver_all(app) == [Fate.PARKED]
    assert calls == []


def test_a_receiver_that_takes_its_time_holds_up_no_message(app: Flask, calls: Calls) -> None:
    @receiver(committed, durable="slow")
    def slow(sender: type, instance: Any, **arguments: Any) -> None:
        if instance.external_id == "A-1":
            send(app, Name="meanwhile", ERP_Id__c="A-2", Id="001000000000002AAA")

    try:
        send(app, Name="Acme")
        assert set(deliver_all(app)) == {Fate.DELIVERED}
    finally:
        durable_receivers.disconnect("slow")
    assert {call["instance"].name for call in calls} == {"Acme", "meanwhile"}


def test_what_rolls_back_leaves_no_event(app: Flask, calls: Calls) -> None:
    @receiver(post_save)
    def refuse(sender: type, **arguments: object) -> None:
        raise RuntimeError("not today")

    try:
        send(app, Name="Acme")
    finally:
        post_save.disconnect(refuse)
    assert rows(app, tables.event) == 0


def test_without_a_durable_receiver_nothing_is_written(app: Flask) -> None:
    send(app, Name="Acme")
    assert rows(app, tables.event) == rows(app, tables.delivery) == 0


def test_names_are_for_one_receiver_of_committed(calls: Calls) -> None:
    with pytest.raises(DeclarationError, match="Two durable receivers are named 'erp'"):

        @receiver(committed, durable="erp")
        def other(sender: type, **arguments: object) -> None: ...

    with pytest.raises(DeclarationError, match="must hear `committed`"):
        receiver(post_save, durable="erp")


MODELS = """
from omreceiver import committed, receiver

@receiver(committed, durable="print")
def show(sender, instance, changed, event_id, **kwargs):
    print("event", event_id, instance.external_id, changed["last_name"].new)
"""


def test_the_relay_is_a_process_of_its_own(tmp_path: Path, sqlite_url: str) -> None:
    """Started as the Procfile starts it; the message is received by another process."""
    (tmp_path / "hooks.py").write_text(MODELS)
    settings = {"DATABASE_URL": sqlite_url, "OMRECEIVER_MODELS": "hooks", "PYTHONPATH": f"{tmp_path}:{ROOT}"}

    def omreceiver(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "omreceiver", *arguments]
        return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=True, timeout=60)

    omreceiver("db", "create")
    omreceiver("replay", "fixtures/contact-created")
    assert '"waiting": 1' in omreceiver("relay", "--status", "--json").stdout
    relayed = omreceiver("relay", "--once")
    assert relayed.stdout.splitlines() == ["event 1 c-1001 Lind", "delivered\tfailed\tparked", "1\t0\t0"]
    assert relayed.stderr == "durable receivers: print\n"
