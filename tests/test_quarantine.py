"""The quarantine: what is in it is stored again when its cause is mended, or dropped; it leaves a trace of both."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field, committed, post_save, pre_delete, pre_save
from omreceiver.app import parts_of
from omreceiver.errors import Unavailable
from omreceiver.redo import Retried, entries, retry
from omreceiver.store import quarantine, tables
from omreceiver.store.quarantine import Entry, Wanted
from omreceiver.testing import Recorder, compose, new_id
from omreceiver.testing.replay import Case, post
from tests.accounts import ONE, PARTNER, THREE, TWO, acme, at, send
from tests.conftest import ROOT, MakeApp, tables_of


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        revenue: Mapped[Decimal | None] = Field("AnnualRevenue")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    return make_app(database_url, base)


def refusing(*names: str) -> AbstractContextManager[Any]:
    """While this lasts, a receiver of ours refuses accounts with one of these names."""

    def refuse(sender: Any, instance: Any, **_: Any) -> None:
        if instance.name in names:
            raise ValueError(f"no {instance.name} today")

    return pre_save.connected_to(refuse)


def retry_all(app: Flask, **wanted: Any) -> list[Retried]:
    parts = parts_of(app)
    return list(retry(parts, entries(parts, Wanted(**wanted))))


def outcomes(results: list[Retried]) -> list[tuple[int, str]]:
    return [(result.entry.number, result.outcome) for result in results]


def entry(app: Flask, number: int = 1) -> Entry:
    found = quarantine.entry(parts_of(app).engine, number)
    assert found is not None
    return found


def ledger(app: Flask) -> list[tuple[str, Any]]:
    """Outcome and detail of every line, by record."""
    with parts_of(app).engine.connect() as connection:
        lines = connection.execute(tables.notification.select().order_by(tables.notification.c.record_id))
        return [(line.outcome, line.detail) for line in lines]


# -- retry ------------------------------------------------------------------------------------------------------------


def test_a_retry_that_succeeds_leaves_a_trace_of_both(app: Flask, signals: Recorder) -> None:
    with refusing("Acme"):
        assert send(app, acme()) == ["quarantined"]
    signals.clear()
    [result] = retry_all(app)
    assert (result.entry.number, result.entry.record_id, result.outcome, result.reason) == (1, ONE, "created", None)
    assert [row["name"] for row in tables_of(app)["account"]] == ["Acme"]
    assert signals.names() == [("pre_save", "Account"), ("post_save", "Account"), ("committed", "Account")]

    settled = entry(app)
    assert (settled.outcome, settled.attempts) == ("created", 1)
    assert settled.settled_at is not None
    assert settled.settled_at >= settled.quarantined_at
    assert "no Acme today" in settled.reason
    [(outcome, detail)] = ledger(app)
    assert (outcome, detail["before"]) == ("created", "quarantined")
    assert retry_all(app) == [], "what is settled is not stored again"


def test_a_receiver_may_raise_what_no_database_stores(app: Flask) -> None:
    """A file's name in bytes of another encoding, and NUL."""

    def refuse(sender: Any, instance: Any, **_: Any) -> None:
        if instance.name == "Acme":
            raise ValueError(f"no file {os.fsdecode(bytes([0xFF]))}\0")

    with post_save.connected_to(refuse):
        assert send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2", Name="Beta")) == ["quarantined", "created"]
    assert entry(app).reason == "A post_save receiver raised ValueError: no file \\udcff\\0"
    assert "\\udcff" in (entry(app).traceback or "")


def test_an_sobject_of_any_name_goes_to_quarantine(app: Flask) -> None:
    """Salesforce's have 40 letters, and with prefix and suffix a few more; the column holds 80."""
    body = compose("Account", acme()).replace(b"sf:Account", b"sf:" + b"A" * 200)
    assert list(post(app, body).outcomes.values()) == ["quarantined"]
    assert (entry(app).sobject or "").startswith("A" * 80)


def test_a_receiver_of_what_is_committed_may_raise_it_too(app: Flask) -> None:
    def refuse(sender: Any, **_: Any) -> None:
        raise ValueError("no file \0")

    with committed.connected_to(refuse):
        assert send(app, acme()) == ["created"]
    [(_, detail)] = ledger(app)
    assert list(detail["raised"].values()) == ["ValueError: no file \\0"]


def test_what_fails_again_stays_with_the_new_reason(app: Flask) -> None:
    with refusing("Acme"):
        send(app, acme())

    def refuse(sender: Any, **_: Any) -> None:
        raise LookupError("nor tomorrow")

    with post_save.connected_to(refuse):
        [result] = retry_all(app)
    assert (result.outcome, result.is_settled) == ("quarantined", False)
    assert result.reason == "A post_save receiver raised LookupError: nor tomorrow"
    still = entry(app)
    assert (still.reason, still.attempts, still.settled_at, still.outcome) == (result.reason, 1, None, None)
    assert "LookupError" in (still.traceback or "")
    assert tables_of(app)["account"] == []
    assert outcomes(retry_all(app)) == [(1, "created")]
    assert entry(app).attempts == 2


def test_a_retry_respects_freshness(app: Flask) -> None:
    """A newer message has come meanwhile."""
    with refusing("Acme"):
        send(app, acme())
    assert send(app, acme(Name="Acme Ltd", SystemModstamp=at(2))) == ["created"]
    assert outcomes(retry_all(app)) == [(1, "stale")]
    assert [row["name"] for row in tables_of(app)["account"]] == ["Acme Ltd"]
    assert entry(app).outcome == "stale"
    assert Counter(outcome for outcome, _ in ledger(app)) == {"created": 1, "stale": 1}


def test_a_delete_without_a_stamp_counts_from_when_it_came(app: Flask) -> None:
    """It waited in quarantine while the record was restored in Salesforce, which is newer."""
    first, deleted, restored = (datetime.now(UTC) - timedelta(hours=ago) for ago in (3, 2, 1))
    send(app, acme(SystemModstamp=first))

    def refuse(sender: Any, **_: Any) -> None:
        raise ValueError("not now")

    with pre_delete.connected_to(refuse):
        assert send(app, {"Id": ONE, "IsDeleted": "true"}, action_id="04kxx00000000zzBAA") == ["quarantined"]
    with parts_of(app).engine.begin() as connection:
        connection.execute(update(tables.quarantine).values(quarantined_at=deleted))
    assert send(app, acme(Name="restored", SystemModstamp=restored)) == ["updated"]
    assert outcomes(retry_all(app)) == [(1, "stale")]
    assert [row["name"] for row in tables_of(app)["account"]] == ["restored"]


def test_of_one_record_that_waits_twice_the_newest_is_applied(app: Flask) -> None:
    with refusing("old", "new"):
        send(app, acme(Name="new", SystemModstamp=at(2)))
        send(app, acme(Name="old"))
    assert outcomes(retry_all(app)) == [(1, "created"), (2, "stale")]
    assert [row["name"] for row in tables_of(app)["account"]] == ["new"]


def test_those_that_came_in_one_way_share_a_transaction_and_each_is_told(app: Flask) -> None:
    """A hundred at once; the bad one of them costs itself only."""
    names = [f"n{i}" for i in range(150)]
    records = [acme(Id=new_id("001"), ERP_Id__c=name, Name=name) for name in names]
    with refusing(*names):
        send(app, *records[:75])
        send(app, *records[75:])
    with refusing("n7"):
        results = retry_all(app)
    assert [result.entry.number for result in results] == list(range(1, 151))
    assert [result.entry.number for result in results if not result.is_settled] == [8]
    assert Counter(result.outcome for result in results) == {"created": 149, "quarantined": 1}
    with parts_of(app).engine.connect() as connection:
        again = connection.execute(tables.message.select().where(tables.message.c.again)).all()
    assert [sum(message.outcomes.values()) for message in again] == [100, 50]
    assert len(tables_of(app)["account"]) == 149


def test_each_goes_the_way_that_it_came(make_app: MakeApp, database_url: str, signals: Recorder) -> None:
    """By the URL of its WSDL, and as live as it was."""
    app = make_app(database_url, wsdl_dir=ROOT / "wsdl")
    case = ROOT / "fixtures" / "contact-created" / "message.xml"

    def refuse(sender: Any, **_: Any) -> None:
        raise ValueError("not now")

    with app.test_client() as client, pre_save.connected_to(refuse):
        url = parts_of(app).settings.path + "/Contact"
        assert client.post(url, data=case.read_bytes(), content_type="text/xml").status_code == 200
    with pre_save.connected_to(refuse):
        post(app, compose("Lead", {"LastName": "Muster", "Company": "Muster AG"}), raw=True)
    signals.clear()
    assert outcomes(retry_all(app)) == [(1, "created"), (2, "created")]
    came = [(s.arguments["message"].wsdl, s.arguments["raw"]) for s in signals.of(post_save)]
    assert came == [("Contact", False), (None, True)]


def test_an_entry_from_before_heads_were_kept(app: Flask) -> None:
    with refusing("Acme"):
        send(app, acme())
    with parts_of(app).engine.begin() as connection:
        connection.execute(update(tables.quarantine).values(head=None))
    assert outcomes(retry_all(app)) == [(1, "created")]
    assert entry(app).outcome == "created"


def test_a_notification_without_an_id_is_known_again(app: Flask) -> None:
    """The hash of its content stands for it, in whatever surroundings it is."""
    body = re.sub(rb"<Id>04l\w+</Id>", b"", compose("Account", acme()))
    with refusing("Acme"):
        post(app, body)
    assert entry(app).notification_id.startswith("#")
    assert outcomes(retry_all(app)) == [(1, "created")]
    assert [outcome for outcome, _ in ledger(app)] == ["created"]


def test_an_organization_that_is_let_in_no_more_is_refused(make_app: MakeApp, database_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    app = make_app(database_url, base)
    with refusing("Acme"):
        send(app, acme())
    closed = make_app(database_url, base, OMRECEIVER_ORGANIZATIONS="00D000000000001AAA")
    [result] = retry_all(closed)
    assert (result.outcome, result.is_settled) == ("refused", False)
    assert "is not among OMRECEIVER_ORGANIZATIONS" in (result.reason or "")
    assert entry(closed).settled_at is None


def test_while_the_database_is_away_everything_stays_as_it_is(app: Flask) -> None:
    with refusing("Acme"):
        send(app, acme())
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("DROP TABLE partner_account"))
    with pytest.raises(Unavailable):
        retry_all(app)
    assert (entry(app).attempts, entry(app).settled_at) == (0, None)


def test_the_head_is_kept_without_the_session_id(app: Flask) -> None:
    secret = b"InventedSessionIdThatMustNotBeKept"
    body = compose("Account", acme()).replace(b'<SessionId xsi:nil="true"/>', b"<SessionId>" + secret + b"</SessionId>")
    assert secret in body
    with refusing("Acme"):
        post(app, body)
    head = entry(app).head or ""
    assert "<ActionId>04kxx00000000blBAA</ActionId>" in head
    assert "<Notification" not in head
    assert secret.decode() not in head


# -- which ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def four(app: Flask) -> Flask:
    """Four entries: an account that a receiver refuses, a partner account, a wrong value, an sObject without class."""
    with refusing("Acme", "Partner 100%"):
        send(app, acme())
        send(app, acme(Id=TWO, ERP_Id__c="A-2", Name="Partner 100%", RecordTypeId=PARTNER))
    send(app, acme(Id=THREE, ERP_Id__c="A-3", AnnualRevenue="a lot"))
    send(app, {"Name": "Big"}, sobject="Opportunity")
    return app


#: conditions, the name of an sObject or a class, and the numbers of the entries that meet them
CHOICES: list[tuple[dict[str, Any], str | None, list[int]]] = [
    ({}, None, [1, 2, 3, 4]),
    ({"numbers": frozenset({2, 4, 9})}, None, [2, 4]),
    ({}, "Account", [1, 2, 3]),
    ({}, "PartnerAccount", [2]),
    ({}, "Opportunity", [4]),
    ({}, "Nothing", []),
    ({"reason": "no acme"}, None, [1]),
    ({"reason": "100%"}, None, [2]),
    ({"reason": "ReceiverRaised"}, None, [1, 2]),
    ({"reason": "receiverraised"}, "PartnerAccount", [2]),
    ({"reason": "NoClass"}, "Account", []),
    ({"reason": "_"}, None, [1, 2]),
]


def test_entries_by_number_class_and_reason(four: Flask) -> None:
    """A class is an sObject or a mapped one, with those below it; % and _ are letters like any other."""
    for wanted, name, numbers in CHOICES:
        found = [each.number for each in entries(parts_of(four), Wanted(**wanted), name)]
        assert found == numbers, (wanted, name)


def test_what_lost_its_type_on_the_way_is_of_the_sobject_of_its_url(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, wsdl_dir=ROOT / "wsdl")
    body = re.sub(rb' xsi:type="sf:\w+"', b"", compose("Contact", {"LastName": "Keyless"}))
    post(app, body, case=Case(Path("message.xml"), "Contact"))
    post(app, body.replace(b"04l", b"04m"))
    assert [(each.number, each.sobject) for each in entries(parts_of(app), Wanted())] == [(1, "Contact"), (2, None)]
    assert [each.number for each in entries(parts_of(app), Wanted(), "Contact")] == [1]


def test_many_are_read_some_at_a_time(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "BATCH", 2)
    with refusing("Acme"):
        send(app, *(acme(Id=new_id("001"), ERP_Id__c=f"A-{number}") for number in range(5)))
    for newest_first, numbers in ((False, [1, 2, 3, 4, 5]), (True, [5, 4, 3, 2, 1])):
        found = entries(parts_of(app), Wanted(), newest_first=newest_first)
        assert [each.number for each in found] == numbers


def test_the_newest_come_first_when_asked_for(four: Flask) -> None:
    found = entries(parts_of(four), Wanted(), newest_first=True)
    assert [each.number for each in found] == [4, 3, 2, 1]


def test_only_what_was_asked_for_is_retried(four: Flask) -> None:
    assert outcomes(retry_all(four, numbers=frozenset({2}))) == [(2, "created")]
    assert [row["external_id"] for row in tables_of(four)["partner_account"]] == ["A-2"]
    assert [found.number for found in entries(parts_of(four), Wanted())] == [1, 3, 4]
    assert [found.number for found in entries(parts_of(four), Wanted(is_open=False))] == [1, 2, 3, 4]


def test_an_sobject_gets_its_class_and_leaves_quarantine(make_app: MakeApp, database_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    before = make_app(database_url, base)
    assert send(before, {"Name": "Big", "Id": "006000000000001AAA"}, sobject="Opportunity") == ["quarantined"]

    class Opportunity(base, sobject="Opportunity"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    after = make_app(database_url, base)
    parts = parts_of(after)
    assert outcomes(list(retry(parts, entries(parts, Wanted(), "Opportunity")))) == [(1, "created")]
    assert [row["name"] for row in tables_of(after)["opportunity"]] == ["Big"]


# -- drop -------------------------------------------------------------------------------------------------------------


def test_what_is_dropped_stays_as_a_trace_and_out_of_the_tables(four: Flask) -> None:
    quarantine.drop(parts_of(four).engine, [1, 4])
    dropped = entry(four)
    assert (dropped.outcome, dropped.attempts) == ("dropped", 0)
    assert dropped.settled_at is not None
    assert "no Acme today" in dropped.reason
    assert [found.number for found in entries(parts_of(four), Wanted())] == [2, 3]
    assert outcomes(retry_all(four, numbers=frozenset({1}))) == []
    assert [outcome for outcome, _ in ledger(four)] == ["quarantined"] * 4


def test_what_is_settled_cannot_be_dropped(four: Flask) -> None:
    retry_all(four, numbers=frozenset({1}))
    quarantine.drop(parts_of(four).engine, [1])
    assert entry(four).outcome == "created"
