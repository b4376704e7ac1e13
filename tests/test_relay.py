"""Durable receivers: an event is written with the record, and a relay delivers it until its receiver returns."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field, Settings, committed, post_save, receiver
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.relays import delivery, lease, outbox
from omreceiver.relays.delivery import Fate
from omreceiver.signals import Change
from omreceiver.signals.durable import durable_receivers
from omreceiver.store import tables
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.conftest import ROOT, MakeApp
from tests.databases import SERVERS
from tests.deliveries import deliver_all, last_error, make_due, status, wait_for, waiting
from tests.proxy import proxied

Calls = list[dict[str, Any]]


@pytest.fixture
def account(base: Any) -> Any:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
        since: Mapped[datetime | None] = Field("Since__c")

    return Account


@pytest.fixture
def app(make_app: MakeApp, database_url: str, account: Any) -> Flask:
    return make_app(database_url, [account])


@pytest.fixture
def calls() -> Calls:
    """A durable receiver named erp, for every class, that records how it was called."""
    seen: Calls = []

    @receiver(committed, durable="erp")
    def to_erp(sender: type, **arguments: Any) -> None:
        if arguments["instance"].name == "Bad":
            raise ConnectionError("the ERP is away")
        seen.append({"sender": sender, **arguments})

    return seen


def send(app: Flask, **fields: Any) -> None:
    record = {"ERP_Id__c": "A-1", "Id": "001000000000001AAA", **fields}
    assert post(app, compose("Account", record)).ack


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
    assert status(app) == (1, 1, 0)
    send(app, Name="Mended")
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED, Fate.DELIVERED]
    assert [call["instance"].name for call in calls] == ["Good", "Mended", "Mended"]


def test_the_events_of_one_record_are_delivered_in_their_order(app: Flask, calls: Calls) -> None:
    """What comes after one that failed waits for it; another record and another receiver do not."""
    others: Calls = []

    @receiver(committed, durable="index")
    def index(sender: type, **sent: Any) -> None:
        others.append(sent)

    send(app, Name="Bad")
    assert sorted(deliver_all(app)) == [Fate.DELIVERED, Fate.FAILED]
    send(app, Name="Mended", ERP_Id__c="A-9")
    send(app, Name="Mended again", ERP_Id__c="A-9")
    assert deliver_all(app) == [Fate.DELIVERED] * 2
    assert [call["changed"]["name"].new for call in others] == ["Bad", "Mended", "Mended again"]
    assert calls == []
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED] * 3
    assert [call["changed"]["name"].new for call in calls] == ["Bad", "Mended", "Mended again"]
    assert {call["instance"].external_id for call in calls} == {"A-9"}, "the record is found under its new key"


def test_one_that_is_parked_holds_up_nobody(app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 1)
    send(app, Name="Bad")
    assert deliver_all(app) == [Fate.PARKED]
    send(app, Name="Mended")
    assert deliver_all(app) == [Fate.DELIVERED]


def test_the_web_process_may_call_them_itself(make_app: MakeApp, database_url: str, account: Any, calls: Calls) -> None:
    """Right after the commit; what failed is called again beside a later message, when its pause is over."""
    app = make_app(database_url, [account], OMRECEIVER_RELAY="inline")
    send(app, Name="Bad")
    assert (calls, status(app)) == ([], (1, 1, 0))
    send(app, Name="Good", ERP_Id__c="A-2", Id="001000000000002AAA")
    assert [call["instance"].name for call in calls] == ["Good"]
    send(app, Name="Mended")
    make_due(app)
    send(app, Name="Better", ERP_Id__c="A-2", Id="001000000000002AAA")
    assert [call["instance"].name for call in calls] == ["Good", "Better", "Mended"]
    assert deliver_all(app) == [Fate.DELIVERED]
    assert status(app) == (0, 0, 0)


def test_what_fails_is_not_called_twice_for_one_message(
    make_app: MakeApp, sqlite_url: str, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the receiver is: the sender waits for its ack."""
    monkeypatch.setattr(outbox, "FIRST_PAUSE", timedelta(milliseconds=1))
    app, called = make_app(sqlite_url, [account], OMRECEIVER_RELAY="inline"), list[str]()

    @receiver(committed, durable="erp")
    def fails(sender: type, key: str, **_: Any) -> None:
        called.append(key)
        time.sleep(0.02)
        raise ConnectionError("the ERP is away")

    keys = [f"A-{number}" for number in range(4)]
    assert post(app, compose("Account", *({"ERP_Id__c": key} for key in keys))).ack
    assert sorted(called) == keys


def test_a_relay_whose_lease_ran_out_changes_nothing_any_more(
    app: Flask, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    """It was suspended; another relay has delivered the event meanwhile."""
    send(app, Name="Acme")
    engine = parts_of(app).engine
    suspended = outbox.claim(engine, durable_receivers.names())
    assert suspended is not None
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED]
    outbox.failed(engine, suspended, "late", timedelta())
    assert status(app) == (0, 0, 0)
    assert deliver_all(app) == []
    assert "is another relay's by now" in caplog.text


def test_when_a_record_was_deleted_is_a_time_for_durable_receivers_too(
    make_app: MakeApp, sqlite_url: str, base: Any
) -> None:
    class Account(base, sobject="Account", on_delete="mark"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")

    app, told = make_app(sqlite_url, [Account]), list[Any]()
    receiver(committed, durable="erp", when=lambda sent: sent.deleted)(
        lambda sender, changed, **_: told.append(changed["deleted_at"].new)
    )
    send(app, SystemModstamp=datetime(2026, 11, 1, tzinfo=UTC))
    send(app, SystemModstamp=datetime(2026, 11, 2, tzinfo=UTC), IsDeleted="true")
    assert deliver_all(app) == [Fate.DELIVERED] * 2
    assert told == [datetime(2026, 11, 2, tzinfo=UTC)]


@pytest.mark.parametrize("said", ["\udcff", "\0", "x" * 100_000], ids=["surrogate", "nul", "long"])
def test_whatever_an_error_says_can_be_kept(app: Flask, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is no UTF-8, as Python gives it, would be refused by every database."""
    # what pytest captures it cannot carry either
    monkeypatch.setattr(delivery.log, "disabled", True)

    @receiver(committed, durable="erp")
    def fails(sender: type, **_: Any) -> None:
        raise OSError(said)

    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.FAILED]
    assert len(last_error(app)) <= outbox.LONGEST_ERROR
    assert last_error(app).startswith(("OSError: \\udcff", "OSError: \\0", "OSError: xxx"))


@pytest.mark.parametrize("ends", [asyncio.CancelledError, SystemExit])
def test_a_receiver_that_would_end_the_relay_has_failed(app: Flask, ends: type[BaseException]) -> None:
    @receiver(committed, durable="erp")
    def fails(sender: type, **_: Any) -> None:
        raise ends

    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.FAILED]


def test_the_next_of_one_record_is_found_though_many_wait_behind_it(
    make_app: MakeApp, database_url: str, account: Any, calls: Calls
) -> None:
    """With a look at each of them for each of them, ten thousand would take many seconds: more than the servers have
    for a statement.
    """
    app = make_app(database_url, [account], OMRECEIVER_TIME_LIMIT="6s")
    engine = parts_of(app).engine
    send(app, Name="Bad")
    deliver_all(app)
    event, waits = tables.event, tables.delivery
    with engine.begin() as connection:
        first = dict(connection.execute(event.select()).mappings().one())
        record_id = connection.scalar(select(waits.c.record_id))
        connection.execute(waits.update().values(due_at=datetime.now(UTC) + timedelta(hours=1)))
        behind = range(2, 10_002)
        connection.execute(event.insert(), [first | {"id": number} for number in behind])
        told = {"receiver": "erp", "record_id": record_id, "attempts": 0, "due_at": datetime(2026, 1, 1, tzinfo=UTC)}
        connection.execute(waits.insert(), [told | {"event_id": number} for number in behind])
    steps = Counter[str]()
    driver = engine.raw_connection()
    try:
        if engine.dialect.name == "sqlite":
            connection_of_sqlite: Any = driver.driver_connection
            connection_of_sqlite.set_progress_handler(lambda: steps.update(thousand=1), 1000)
    finally:
        driver.close()
    assert deliver_all(app) == []
    assert steps["thousand"] < 5000
    assert bool(steps) is (engine.dialect.name == "sqlite")


def test_what_was_handed_over_is_claimed_once_and_again_when_it_was_lost(app: Flask, calls: Calls) -> None:
    engine = parts_of(app).engine
    send(app, Name="Acme")
    handed = outbox.claim(engine, [], ["erp"])
    assert handed is not None
    assert (handed.attempts, deliver_all(app)) == (0, []), "nobody was called, and no relay does"
    assert outbox.claim_handed_over(engine, handed.event.event_id, "erp", 1) is None
    taken = outbox.claim_handed_over(engine, handed.event.event_id, "erp", 0)
    assert taken is not None
    assert outbox.claim_handed_over(engine, handed.event.event_id, "erp", 0) is None
    outbox.failed(engine, taken, "the worker could not", timedelta())
    again = outbox.claim_handed_over(engine, handed.event.event_id, "erp", taken.attempts)
    assert again is not None
    outbox.delivered(engine, again)
    assert status(app) == (0, 0, 0)
    send(app, Name="Lost")
    assert outbox.claim(engine, [], ["erp"]) is not None
    make_due(app)
    assert outbox.claim(engine, [], ["erp"]) is not None


def test_what_was_given_up_is_called_again_when_it_is_asked_for(
    app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 1)
    send(app, Name="Bad")
    assert deliver_all(app) == [Fate.PARKED]
    send(app, Name="Mended")
    engine = parts_of(app).engine
    assert (outbox.unpark(engine, "other"), outbox.unpark(engine, "erp"), outbox.unpark(engine, "erp")) == (0, 1, 0)
    assert deliver_all(app) == [Fate.DELIVERED] * 2
    assert [call["event_id"] for call in calls] == [1, 2]


def test_an_event_is_due_for_a_relay_whose_clock_is_behind(app: Flask, calls: Calls) -> None:
    send(app, Name="Acme")
    there = datetime.now(UTC) - timedelta(seconds=30)
    assert outbox.claim(parts_of(app).engine, ["erp"], until=there) is not None


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
    assert status(app) == (0, 0, 1)


def test_a_claim_of_a_relay_that_died_runs_out(app: Flask, calls: Calls) -> None:
    send(app, Name="Acme")
    assert outbox.claim(parts_of(app).engine, durable_receivers.names()) is not None
    assert deliver_all(app) == []
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED]


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
def test_no_other_relay_takes_a_delivery_whose_receiver_still_runs(
    app: Flask, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it runs longer than the lease, which is renewed meanwhile."""
    parts = parts_of(app)
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=2))
    taken: list[Fate | None] = []

    @receiver(committed, sender=account, durable="slow")
    def slow(sender: type, **_: Any) -> None:
        for _turn in range(12):
            time.sleep(0.25)
            taken.append(delivery.deliver_next(parts.engine, parts.models))

    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.DELIVERED]
    assert taken == [None] * 12


#: a call is a file: which event, which process, when
SHARED = """
import os, pathlib, time
from datetime import timedelta
from sqlalchemy.orm import Mapped
from omreceiver import ExternalId, Record, committed, receiver
from omreceiver.relays import lease

lease.LEASE = timedelta(seconds=6)

class Account(Record, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")

@receiver(committed, sender=Account, durable="shared")
def tell(sender, event_id, **kwargs):
    told = pathlib.Path(os.environ["TOLD"])
    (told / f"{event_id}-{os.getpid()}-{time.monotonic_ns()}").touch()
    if "HANG" in os.environ:
        time.sleep(60)
    crowd, until = int(os.environ.get("CROWD", 1)), time.monotonic() + 30
    while len({path.name.split("-")[1] for path in told.iterdir()}) < crowd and time.monotonic() < until:
        time.sleep(0.02)  # for the others to begin
    time.sleep(0.02)
"""


def test_two_relays_share_the_work_and_deliver_everything_once(server_url: str, tmp_path: Path) -> None:
    """Two processes on one table, and a third that is killed while a receiver runs: its delivery comes once more."""
    folder = tmp_path / "told"
    folder.mkdir()
    (tmp_path / "hooks.py").write_text(SHARED)
    settings = {
        "DATABASE_URL": server_url,
        "OMRECEIVER_MODELS": "hooks",
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "OMRECEIVER_WSDL_DIR": "nowhere",
        "TOLD": str(folder),
        "CROWD": "3",
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, "-m", "omreceiver"]

    def run(*arguments: str) -> None:
        subprocess.run([*command, *arguments], cwd=ROOT, env=settings, capture_output=True, check=True, timeout=60)

    def start(**more: str) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*command, "relay"], cwd=ROOT, env=settings | more, **quiet)  # type: ignore[call-overload,no-any-return]

    run("db", "create")
    for number in range(3):
        records = [{"ERP_Id__c": f"A-{number}-{at}", "Name": "Acme"} for at in range(20)]
        (tmp_path / f"message-{number}.xml").write_bytes(compose("Account", *records))
    run("replay", *(str(path) for path in sorted(tmp_path.glob("*.xml"))))

    killed = start(HANG="1")
    wait_for(lambda: len(list(folder.iterdir())) == 1)
    killed.kill()
    killed.wait(10)
    relays = [start(), start()]
    try:
        wait_for(lambda: len({path.name.split("-")[0] for path in folder.iterdir()}) == 60, seconds=100)
        engine = create_engine(Settings.from_mapping({"DATABASE_URL": server_url}).database_url)
        wait_for(lambda: not waiting(engine))
        engine.dispose()
    finally:
        for relay in relays:
            relay.terminate()
        assert [relay.wait(20) for relay in relays] == [0, 0]
    told = Counter(path.name.split("-")[0] for path in folder.iterdir())
    by = Counter(path.name.split("-")[1] for path in folder.iterdir())
    assert sorted(told.values()) == [1] * 59 + [2], "what the killed one had was delivered once more"
    assert len(by) == 3
    assert min(by[str(relay.pid)] for relay in relays) > 5


def test_a_receiver_that_takes_the_relay_down_is_parked_in_the_end(
    app: Flask, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ATTEMPTS", 2)
    send(app, Name="Acme")
    for _ in range(2):
        assert (
            outbox.claim(parts_of(app).engine, durable_receivers.names()) is not None
        )  # and then the process was killed
        make_due(app)
    assert deliver_all(app) == [Fate.PARKED]
    assert calls == []


def test_a_receiver_that_takes_its_time_holds_up_no_message(app: Flask, calls: Calls) -> None:
    @receiver(committed, durable="slow")
    def slow(sender: type, instance: Any, **arguments: Any) -> None:
        if instance.external_id == "A-1":
            send(app, Name="meanwhile", ERP_Id__c="A-2", Id="001000000000002AAA")

    send(app, Name="Acme")
    assert set(deliver_all(app)) == {Fate.DELIVERED}
    assert {call["instance"].name for call in calls} == {"Acme", "meanwhile"}


def test_the_backlog_is_told_by_receiver(
    app: Flask, account: Any, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver(committed, sender=account, durable="index")(lambda sender, **_: None)
    send(app, Name="Bad")
    before = datetime.now(UTC)
    lines = waiting(parts_of(app).engine)
    assert [(x.receiver, x.waiting, x.failing, x.parked) for x in lines] == [("erp", 1, 0, 0), ("index", 1, 0, 0)]
    assert all(line.oldest and timedelta() <= before - line.oldest < timedelta(minutes=1) for line in lines)
    monkeypatch.setattr(outbox, "ATTEMPTS", 1)
    deliver_all(app)
    [line] = waiting(parts_of(app).engine)
    assert (line.receiver, line.waiting, line.parked, line.oldest) == ("erp", 0, 1, None)
    assert line.error == "ConnectionError: the ERP is away"


#: a hundred records, each with a hundred events that wait
FILL = (
    "INSERT INTO om_event (id, created_at, message_id, notification_id, child_name, external_id, created, deleted, raw,"
    " changed) SELECT n, {now} - {step}, 1, 'n', 'Account', n % 100, true, false, false, '{{}}' FROM {numbers}",
    "INSERT INTO om_delivery (event_id, receiver, record_id, due_at, attempts)"
    " SELECT id, 'erp', external_id, created_at, 0 FROM om_event",
)
WORDS = {
    "postgresql": {
        "now": "now()",
        "step": "interval '1 second'",
        "numbers": "generate_series(1, 10000) s (n)",
        "analyze": "ANALYZE",
    },
    "mariadb": {
        "now": "UTC_TIMESTAMP(6)",
        "step": "INTERVAL 1 SECOND",
        "numbers": "(SELECT seq AS n FROM seq_1_to_10000) s",
        "analyze": "ANALYZE TABLE om_event, om_delivery",
    },
}


def test_the_next_of_many_is_found_by_an_index(server_url: str, make_app: MakeApp, account: Any, calls: Calls) -> None:
    """Not by looking at all that wait; with a million of them that would take seconds for each."""
    engine = parts_of(make_app(server_url, [account])).engine
    words = WORDS[engine.dialect.name]
    with engine.begin() as connection:
        for statement in (*FILL, words["analyze"]):
            connection.execute(text(statement.format(**words)))
    with engine.connect() as connection:
        due = (
            outbox._due(["erp"], datetime.now(UTC), None)
            .limit(1)
            .compile(connection, compile_kwargs={"literal_binds": True})
        )
        plan = [str(row) for row in connection.execute(text(f"EXPLAIN {due}".replace(":", r"\:")))]
    assert any("ix_om_delivery_due_at" in line for line in plan), plan
    assert not any("Hash" in line or "Seq Scan" in line for line in plan), plan
    claimed = [outbox.claim(engine, durable_receivers.names()) for _ in range(3)]
    assert [each and each.event.event_id for each in claimed] == [1, 2, 3]


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
    assert relayed.stdout.splitlines() == ["event 1 c-1001 Lind"]
    assert relayed.stderr.splitlines() == ["durable receivers: print", "1 delivered"]
    assert omreceiver("relay", "--unpark", "print").stdout.splitlines() == ["receiver\tunparked", "print\t0"]


def test_a_relay_waits_for_its_database(server_url: str, tmp_path: Path) -> None:
    """Its connections end; what comes afterwards is delivered by the same process."""
    folder = tmp_path / "told"
    folder.mkdir()
    (tmp_path / "hooks.py").write_text(SHARED)
    settings = {"OMRECEIVER_MODELS": "hooks", "OMRECEIVER_WSDL_DIR": "nowhere", "TOLD": str(folder)}
    settings |= {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "PATH": os.environ["PATH"]}
    with proxied(server_url) as (proxy, url):
        command = [sys.executable, "-m", "omreceiver"]

        def store(key: str) -> None:
            (tmp_path / f"{key}.xml").write_bytes(compose("Account", {"ERP_Id__c": key, "Name": "Acme"}))
            there = settings | {"DATABASE_URL": server_url}
            subprocess.run([*command, "replay", f"{key}.xml"], cwd=tmp_path, env=there, check=True, timeout=60)

        subprocess.run(
            [*command, "db", "create"], cwd=tmp_path, env=settings | {"DATABASE_URL": url}, check=True, timeout=60
        )
        with (tmp_path / "relay.log").open("wb") as log:
            relay = subprocess.Popen(
                [*command, "relay"], cwd=tmp_path, env=settings | {"DATABASE_URL": url}, stdout=log, stderr=log
            )
        try:
            store("before")
            wait_for(lambda: len(list(folder.iterdir())) == 1)
            proxy.cut()
            store("meanwhile")
            wait_for(lambda: "the database is away" in (tmp_path / "relay.log").read_text())
            proxy.mend()
            # the first may come once more, if the relay could not write down that it was delivered
            wait_for(lambda: {path.name.split("-")[0] for path in folder.iterdir()} == {"1", "2"})
        finally:
            relay.terminate()
            assert relay.wait(20) == 0, (tmp_path / "relay.log").read_text()
