"""reference_resolved, and the key prefixes that are learned on the way: by messages, on every database."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, Session

from omreceiver import ExternalId, Field, Reference, post_save, reference_resolved
from omreceiver.app import parts_of
from omreceiver.records.prefixes import key_prefix
from omreceiver.signals import recording
from omreceiver.testing import compose
from omreceiver.testing.replay import Replayed, post
from tests.conftest import MakeApp
from tests.statements import statements

LEAD, CONTACT = "00Q000000000001EAA", "003000000000001AAA"
TASKS = [f"00T00000000000{at}AAA" for at in range(4)]


@pytest.fixture
def models(base: Any) -> Any:
    """A task waits for a contact or a lead; a call is a task with a recording."""

    class Lead(base, sobject="Lead"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Key__c")
        company: Mapped[str | None] = Field("Company")

    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class Task(base, sobject="Task"):  # type: ignore[call-arg]
        who: Mapped[Any] = Reference("WhoId", "Contact", "Lead")
        owner: Mapped[Any] = Reference("OwnerId", "User")
        parent: Mapped[Any] = Reference("Parent__c", "Task")

    class Call(Task, when={"TaskSubtype": "Call"}):  # type: ignore[call-arg]
        __tablename__ = "phone_call"
        transcript: Mapped[Any] = Reference("Transcript__c", "Lead")

    return {model.__name__: model for model in (Lead, Contact, Task, Call)}


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any, models: Any) -> Flask:
    return make_app(database_url, base)


def send(app: Flask, sobject: str, *records: dict[str, Any]) -> Replayed:
    answer = post(app, compose(sobject, *records))
    assert answer.ack, answer
    return answer


def test_it_is_sent_for_every_record_that_waited(app: Flask, models: Any) -> None:
    send(app, "Task", *({"Id": task, "WhoId": LEAD} for task in TASKS[:2]), {"Id": TASKS[2], "WhoId": CONTACT})
    send(app, "Task", {"Id": TASKS[3], "TaskSubtype": "Call", "Transcript__c": LEAD})
    with recording(reference_resolved) as sent:
        send(app, "Lead", {"Id": LEAD, "Key__c": "L-1", "Company": "Acme"})

    told = [(each.sender.__name__, each.instance.external_id, each.arguments["reference"]) for each in sent]
    assert told == [("Task", TASKS[0], "who"), ("Task", TASKS[1], "who"), ("Call", TASKS[3], "transcript")]
    assert {each.arguments["target"].company for each in sent} == {"Acme"}
    assert sent[0].instance.who is sent[0].arguments["target"], "the reference is loaded, though the session is gone"
    assert {each.arguments["message"].sobject for each in sent} == {"Lead"}
    assert {each.raw for each in sent} == {False}


def test_an_update_resolves_nothing_and_another_id_does(app: Flask) -> None:
    """A record that was deleted in Salesforce and made anew has the same key and another ID."""
    again = "00Q000000000002AAA"
    send(app, "Lead", {"Id": LEAD, "Key__c": "L-1", "Company": "Acme"})
    send(app, "Task", {"Id": TASKS[0], "WhoId": LEAD}, {"Id": TASKS[1], "WhoId": again})
    with recording(reference_resolved) as sent:
        send(app, "Lead", {"Id": LEAD, "Key__c": "L-1", "Company": "Acme Inc."})
        assert sent == []
        send(app, "Lead", {"Id": again, "Key__c": "L-1", "Company": "Acme Inc."})
    assert [each.instance.external_id for each in sent] == [TASKS[1]]


def test_what_arrives_in_one_message_has_not_waited(app: Flask) -> None:
    """Nor has a record that names itself."""
    with recording(reference_resolved) as sent:
        send(app, "Task", {"Id": TASKS[0], "Parent__c": TASKS[1]}, {"Id": TASKS[1], "Parent__c": TASKS[1]})
        assert sent == []
        send(app, "Task", {"Id": TASKS[2], "Parent__c": TASKS[3]})
        send(app, "Task", {"Id": TASKS[3], "Parent__c": TASKS[3]})
    assert [each.instance.external_id for each in sent] == [TASKS[2]]


def test_only_the_classes_that_somebody_hears_are_looked_through(app: Flask, models: Any) -> None:
    with (
        reference_resolved.connected_to(lambda sender, **_: None, models["Call"]),
        statements(parts_of(app).engine) as sent,
    ):
        send(app, "Lead", {"Id": LEAD, "Key__c": "L-1"})
    assert len([statement for statement in sent if "phone_call" in statement]) == 2, "by who, and by transcript"
    with (
        reference_resolved.connected_to(lambda sender, **_: None, models["Contact"]),
        statements(parts_of(app).engine) as sent,
    ):
        send(app, "Lead", {"Id": "00Q000000000002EAA", "Key__c": "L-2"})
    assert [statement for statement in sent if "phone_call" in statement] == []


def test_a_receiver_may_write_and_one_that_raises_stops_nobody(
    app: Flask, models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    send(app, "Task", {"Id": TASKS[0], "WhoId": LEAD})

    def write(sender: Any, target: Any, session: Session, **_: Any) -> None:
        session.get(type(target), target.external_id).company = "written"  # type: ignore[union-attr]

    def fail(sender: Any, **_: Any) -> None:
        raise ValueError("no")

    with (
        reference_resolved.connected_to(fail, models["Task"]),
        reference_resolved.connected_to(write, models["Task"]),
        caplog.at_level(logging.ERROR),
    ):
        answer = send(app, "Lead", {"Id": LEAD, "Key__c": "L-1", "Company": "Acme"})

    assert list(answer.outcomes.values()) == ["created"]
    [logged] = [record.message for record in caplog.records]
    assert logged.startswith("the reference_resolved receiver ")
    assert logged.endswith(".fail raised")
    with Session(parts_of(app).engine) as session:
        assert session.scalar(select(models["Lead"].company)) == "written"


def test_a_search_that_fails_is_logged_and_the_ack_stands(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("DROP TABLE phone_call"))
    with recording(reference_resolved) as sent, caplog.at_level(logging.ERROR):
        send(app, "Lead", {"Id": LEAD, "Key__c": "L-1"})
    assert sent == []
    assert [record.message for record in caplog.records] == ["the records that wait were not found"]


def test_nothing_is_looked_for_when_nobody_listens(app: Flask) -> None:
    send(app, "Lead", {"Id": LEAD, "Key__c": "L-1"})
    with statements(parts_of(app).engine) as sent:
        send(app, "Lead", {"Id": "00Q000000000002AAA", "Key__c": "L-2"})
    assert [statement for statement in sent if "task" in statement or "om_key_prefix" in statement] == []


def test_a_receiver_in_the_transaction_sees_its_references(app: Flask) -> None:
    send(app, "Lead", {"Id": LEAD, "Key__c": "L-1", "Company": "Acme"})
    companies: list[str] = []

    def on_task(sender: Any, instance: Any, **_: Any) -> None:
        companies.append(instance.who.company)

    with post_save.connected_to(on_task):
        answer = send(app, "Task", {"Id": TASKS[0], "WhoId": LEAD[:15]})
    assert list(answer.outcomes.values()) == ["created"], answer
    assert companies == ["Acme"]


# -- key prefixes -----------------------------------------------------------------------------------------------------


def learned(app: Flask) -> set[tuple[str, str]]:
    with parts_of(app).engine.connect() as connection:
        return {(row.prefix, row.sobject) for row in connection.execute(select(key_prefix))}


def test_prefixes_are_learned_from_traffic(app: Flask, models: Any) -> None:
    send(app, "Task", {"Id": TASKS[0], "WhoId": LEAD}, {"Id": TASKS[1], "WhoId": CONTACT})
    assert learned(app) == {("00T", "Task")}
    send(app, "Lead", {"Id": "00Q000000000009AAA", "Key__c": "L-9"})
    assert learned(app) == {("00T", "Task"), ("00Q", "Lead")}

    with Session(parts_of(app).engine) as session:
        tasks = session.scalars(select(models["Task"]).order_by(models["Task"].external_id))
        assert [task.who_type for task in tasks] == ["Lead", None], "the lead itself has not arrived"


def test_another_process_may_have_learned_them(app: Flask) -> None:
    parts = parts_of(app)
    send(app, "Task", {"Id": TASKS[0]})
    parts.key_prefixes.known.clear()
    send(app, "Task", {"Id": TASKS[1]})
    assert learned(app) == {("00T", "Task")}
    assert parts.key_prefixes.known == {("00T", "Task")}


def test_what_has_no_id_or_no_name_teaches_nothing(app: Flask) -> None:
    for sobject, record_id in (("Task", "too-short"), ("x" * 81, "a0x000000000001AAA")):
        post(app, compose(sobject, {"Id": record_id}))
    assert learned(app) == set()


def test_prefixes_are_known_from_describes_as_soon_as_there_are_tables(
    make_app: MakeApp, sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "Lead.describe.json").write_text(json.dumps({"name": "Lead", "keyPrefix": "00Q", "fields": []}))
    (tmp_path / "Note.describe.json").write_text(json.dumps({"name": "Note", "keyPrefix": None, "fields": []}))
    assert learned(make_app(sqlite_url, wsdl_dir=tmp_path)) == {("00Q", "Lead")}
