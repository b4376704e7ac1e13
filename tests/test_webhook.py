"""Webhooks: a real server gets what happened, verifies it with the library of Standard Webhooks, and may be away."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, Response, request
from sqlalchemy.orm import Mapped
from standardwebhooks import Webhook

from omreceiver import ExternalId, Field
from omreceiver.errors import ConfigurationError
from omreceiver.relays.delivery import Fate
from omreceiver.relays.webhook import webhook
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.conftest import MakeApp
from tests.deliveries import deliver_all, last_error, make_due
from tests.processes import free_port, live

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ONE = "001000000000001AAA"


@dataclass
class Partner:
    """Who receives the webhooks: a server, what it verified, and what it answers."""

    url: str = ""
    heard: list[tuple[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@pytest.fixture
def partner() -> Iterator[Partner]:
    app, partner = Flask("partner"), Partner()

    @app.post("/hooks")
    def take() -> Response:
        told = Webhook(SECRET).verify(request.data, dict(request.headers))
        partner.heard.append((request.headers["webhook-id"], told))
        status = partner.answers.pop(0) if partner.answers else 204
        return Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)

    with live(app) as url:
        partner.url = f"{url}/hooks"
        yield partner


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        revenue: Mapped[Decimal | None] = Field("AnnualRevenue")

    return make_app(database_url, [Account])


def send(app: Flask, **fields: Any) -> None:
    assert post(app, compose("Account", {"Id": ONE, "ERP_Id__c": "A-1", **fields})).ack


def test_a_change_is_posted_and_its_signature_holds(app: Flask, partner: Partner) -> None:
    webhook("partner", partner.url, SECRET, sender="Account")
    send(app, Name="Müller", AnnualRevenue="12.50")
    assert deliver_all(app) == [Fate.DELIVERED]
    [(message_id, told)] = partner.heard
    data = told["data"]
    assert (message_id, told["type"]) == (f"partner-{data['event_id']}", "Account.created")
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(told["timestamp"]) < timedelta(minutes=1)
    assert (data["class"], data["sobject"], data["key"], data["salesforce_id"]) == ("Account", "Account", "A-1", ONE)
    assert (data["created"], data["deleted"], data["raw"]) == (True, False, False)
    assert data["changed"]["name"] == [None, "Müller"]
    assert Decimal(data["changed"]["revenue"][1]) == Decimal(data["record"]["revenue"]) == Decimal("12.5")
    assert data["record"]["external_id"] == "A-1"


def test_a_record_that_is_deleted_is_told_without_the_record(app: Flask, partner: Partner) -> None:
    webhook("partner", partner.url, SECRET)
    send(app, Name="Acme")
    send(app, Name="Acme", IsDeleted="true")
    assert deliver_all(app) == [Fate.DELIVERED] * 2
    [_, (_, told)] = partner.heard
    assert (told["type"], told["data"]["record"]) == ("Account.deleted", None)
    assert told["data"]["changed"]["name"] == ["Acme", None]


@pytest.mark.parametrize("status", [302, 404, 410, 500])
def test_what_is_not_taken_is_posted_again_under_the_same_id(app: Flask, partner: Partner, status: int) -> None:
    partner.answers = [status]
    webhook("partner", partner.url, SECRET)
    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.FAILED]
    assert f"WebhookRefused: 127.0.0.1 answered {status} " in last_error(app)
    make_due(app)
    assert deliver_all(app) == [Fate.DELIVERED]
    assert len(partner.heard) == 2
    assert len({message_id for message_id, _ in partner.heard}) == 1


def test_the_url_may_be_a_secret(app: Flask, partner: Partner, caplog: pytest.LogCaptureFixture) -> None:
    """As that of a chat's webhook is."""
    caplog.set_level("INFO")
    partner.answers = [500]
    webhook("partner", f"{partner.url}?token=s3cret", SECRET)
    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.FAILED]
    ours = "".join(record.getMessage() for record in caplog.records if record.name != "werkzeug")
    assert "s3cret" not in last_error(app) + ours + caplog.text.replace('"POST /hooks?token=s3cret HTTP/1.1"', "")


def test_who_is_away_loses_nothing(app: Flask) -> None:
    webhook("partner", f"http://127.0.0.1:{free_port()}/hooks", SECRET)
    send(app, Name="Acme")
    assert deliver_all(app) == [Fate.FAILED]
    assert last_error(app).startswith("ConnectError: ")


def test_only_what_it_is_about(app: Flask, partner: Partner) -> None:
    webhook("partner", partner.url, SECRET, fields={"AnnualRevenue"}, when=lambda sent: not sent.created)
    send(app, AnnualRevenue="1")
    send(app, AnnualRevenue="1", Name="Acme")
    send(app, AnnualRevenue="2", Name="Acme")
    deliver_all(app)
    assert [[Decimal(each) for each in told["data"]["changed"]["revenue"]] for _, told in partner.heard] == [[1, 2]]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ä"])
def test_a_secret_that_cannot_be_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="The secret of the webhook 'partner' is no base64") as raised:
        webhook("partner", "https://example.com", secret)
    assert raised.value.__cause__ is None
    assert not secret or secret not in str(raised.value)


def test_a_url_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="The URL of the webhook 'partner' does not begin with https://"):
        webhook("partner", "ftp://example.com", SECRET)


def test_a_missing_library_is_answered_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "standardwebhooks", None)
    with pytest.raises(ConfigurationError, match=r"Run `pip install 'omreceiver\[webhook\]'`\."):
        webhook("partner", "https://example.com", SECRET)


def test_the_payload_is_json_whatever_a_record_holds(app: Flask, partner: Partner) -> None:
    webhook("partner", partner.url, SECRET)
    send(app, Name='"\u2028</script>', Unmapped__c="kept in extra")
    assert deliver_all(app) == [Fate.DELIVERED]
    [(_, told)] = partner.heard
    assert told["data"]["record"]["extra"] == {"Unmapped__c": "kept in extra"}
    assert json.dumps(told)


def test_who_does_not_answer_is_waited_for_no_longer_than_the_timeout(app: Flask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook("partner", f"http://127.0.0.1:{silent.getsockname()[1]}/hooks", SECRET, timeout=0.2)
        send(app, Name="Acme")
        assert deliver_all(app) == [Fate.FAILED]
    assert last_error(app).startswith("ReadTimeout")
