"""Events to real brokers by kombu, RabbitMQ and Redis, with a network that can be cut; and to standard output."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from kombu import Connection, Exchange, Queue
from kombu.utils.url import parse_url
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field
from omreceiver.errors import ConfigurationError
from omreceiver.relays import delivery
from omreceiver.relays import exchange as module
from omreceiver.relays.delivery import Fate
from omreceiver.relays.exchange import exchange
from omreceiver.relays.lines import lines
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.brokers import BROKERS, broker_url, forget
from tests.conftest import ROOT, MakeApp
from tests.deliveries import attempts, deliver_all, last_error, make_due, status
from tests.processes import free_port, run
from tests.proxy import Proxy


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str, base: Any, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(delivery, "_resting", {})

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    return make_app(sqlite_url, [Account])


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    return broker_url(request.param)


@pytest.fixture
def name() -> str:
    """Of an exchange and a queue that are this test's alone."""
    return f"omreceiver-test-{uuid4().hex}"


@pytest.fixture
def queue(broker: str, name: str) -> Iterator[Any]:
    """A queue of a subscriber to all accounts."""
    with Connection(broker) as connection:
        bound = Queue(name, Exchange(name, type="topic"), routing_key="Account.*", no_ack=True)(connection.channel())
        bound.declare()
        yield bound
        bound.exchange.delete()
    forget(broker, name)


#: outlives a restart of the broker
PERSISTENT = 2


@contextmanager
def behind_proxy(broker: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before a broker, with the URL that leads through it."""
    parsed = parse_url(broker)
    proxy = Proxy((str(parsed["hostname"]), int(parsed["port"])))
    host, port = proxy.address
    try:
        yield proxy, broker.replace(f"{parsed['hostname']}:{parsed['port']}", f"{host}:{port}")
    finally:
        proxy.close()


def send(app: Flask, **fields: Any) -> None:
    assert post(app, compose("Account", {"ERP_Id__c": "A-1", "Id": "001000000000001AAA", **fields})).ack


def test_a_connection_that_went_stale_is_made_anew(app: Flask, broker: str, name: str, queue: Any) -> None:
    with behind_proxy(broker) as (proxy, there):
        exchange("warehouse", there, to=name)
        send(app, Name="one")
        assert deliver_all(app) == [Fate.DELIVERED]
        proxy.cut()
        proxy.mend()
        send(app, Name="two")
        assert deliver_all(app) == [Fate.DELIVERED]


def test_an_event_reaches_a_queue_that_is_bound(app: Flask, broker: str, name: str, queue: Any) -> None:
    exchange("warehouse", broker, to=name, sender="Account")
    send(app, Name="Müller")
    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.DELIVERED] * 2
    created, updated = queue.get(), queue.get()
    assert (created.delivery_info["routing_key"], updated.delivery_info["routing_key"]) == (
        "Account.created",
        "Account.updated",
    )
    told = json.loads(updated.body)
    assert (told["data"]["key"], told["data"]["changed"]["name"]) == ("A-1", ["Müller", "Acme"])
    assert updated.content_type == "application/json"
    assert updated.properties["delivery_mode"] == PERSISTENT
    assert updated.properties["message_id"] == f"warehouse-{told['data']['event_id']}"


def test_what_no_queue_takes_has_failed(app: Flask, name: str) -> None:
    """RabbitMQ says so. On Redis an exchange without a queue takes everything and keeps nothing."""
    exchange("warehouse", broker_url("rabbitmq"), to=name)
    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.FAILED]
    assert "NO_ROUTE" in last_error(app)


def test_while_the_broker_is_away_events_wait(
    app: Flask, broker: str, name: str, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes with a connection open, and comes back. No attempt is counted, and the relay does not run hot."""
    with behind_proxy(broker) as (proxy, there):
        exchange("warehouse", there, to=name)
        send(app, Name="one")
        assert deliver_all(app) == [Fate.DELIVERED]
        proxy.cut()
        send(app, Name="two")
        send(app, Name="three", ERP_Id__c="A-2", Id="001000000000002AAA")
        assert deliver_all(app) == [Fate.AWAY]
        assert status(app) == (2, 1, 0)
        assert attempts(app) == [1, 0, 0]
        proxy.mend()
        assert deliver_all(app) == [], "it is left alone for a moment"
        monkeypatch.setattr(delivery, "_resting", {})
        assert deliver_all(app) == [Fate.DELIVERED] * 2
        names = [json.loads(queue.get().body)["data"]["changed"]["name"][1] for _ in range(3)]
        assert sorted(names) == ["one", "three", "two"]
        assert queue.get() is None


def test_a_broker_that_has_gone_silent_is_away(
    app: Flask, broker: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    with behind_proxy(broker) as (proxy, there):
        exchange("warehouse", there, to=name)
        proxy.stall()
        send(app, Name="Acme")
        assert deliver_all(app) == [Fate.AWAY]
        assert attempts(app) == [0]


def test_a_broker_that_refuses_the_user_is_away(app: Flask, name: str) -> None:
    exchange("warehouse", broker_url("rabbitmq").replace("guest:guest@", "guest:wrong@"), to=name)
    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.AWAY]
    assert "ACCESS_REFUSED" in last_error(app)


@pytest.mark.parametrize("url", ["amqp://guest:s3/cret@localhost//", "ampq://guest:s3cret@localhost//"])
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="The URL of the exchange 'warehouse' cannot be") as raised:
        exchange("warehouse", url)
    assert "s3" not in "".join(traceback.format_exception(raised.value))


def test_another_receiver_does_not_wait_for_the_broker(
    app: Flask, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delivery, "REST", timedelta(minutes=1))
    exchange("warehouse", f"amqp://guest:guest@127.0.0.1:{free_port()}//", to=name)
    lines("log")
    for number in range(3):
        send(app, Name=f"Acme {number}")
    assert sorted(deliver_all(app)) == [Fate.AWAY, *[Fate.DELIVERED] * 3]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["data"]["changed"]["name"] for each in told] == [
        [None, "Acme 0"],
        ["Acme 0", "Acme 1"],
        ["Acme 1", "Acme 2"],
    ]
    assert [each["type"] for each in told] == ["Account.created", "Account.updated", "Account.updated"]


def test_a_missing_library_is_answered_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kombu", None)
    with pytest.raises(ConfigurationError, match=r"needs kombu.*Run `pip install 'omreceiver\[kombu\]'`\."):
        exchange("warehouse", "amqp://")


HOOKS = """
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Record
from omreceiver.relays.lines import lines


class Account(Record, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")


lines("log", sender="Account")
"""


def test_the_relay_prints_lines_for_a_pipe(app: Flask, tmp_path: Path, sqlite_url: str) -> None:
    """Nothing else is on standard output; and what the pipe does not take waits, and comes once."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    lines("log", sender="Account")
    send(app, Name="Acme")
    send(app, Name="Acme Ltd")
    settings = {
        "DATABASE_URL": sqlite_url,
        "OMRECEIVER_MODELS": "hooks",
        "OMRECEIVER_WSDL_DIR": "nowhere",
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
    }
    once = f"{sys.executable} -m omreceiver relay --once"
    full = run(["sh", "-c", f"{once} >/dev/full"], tmp_path, **settings)
    assert (full.returncode, full.stderr.splitlines()[-1]) == (1, "1 failed")
    make_due(app)
    relayed = run(["sh", "-c", once], tmp_path, **settings)
    assert [json.loads(line)["type"] for line in relayed.stdout.splitlines()] == ["Account.created", "Account.updated"]
    assert relayed.stderr.splitlines() == ["durable receivers: log", "2 delivered"]
