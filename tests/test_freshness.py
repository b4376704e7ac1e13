"""Several actions on one sObject: each clears its own fields only, and each is as fresh as its own last message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Mapped

from omreceiver import Change, ExternalId, Field, post_save
from omreceiver.app import parts_of
from omreceiver.store import tables
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import Case, Replayed, post
from tests.accounts import TWO, at
from tests.conftest import MakeApp, tables_of
from tests.statements import statements
from tests.wsdls import wsdl_text

RECORD = "001000000000001AAA"
SALES, SERVICE = "04kxx000000sal1AAA", "04kxx000000ser1AAA"
#: what the outbound messages of two teams select of an account
WSDLS = {
    "Sales": {
        "ERP_Id__c": "xsd:string",
        "Name": "xsd:string",
        "Rating": "xsd:string",
        "SystemModstamp": "xsd:dateTime",
    },
    "Service": {
        "ERP_Id__c": "xsd:string",
        "Name": "xsd:string",
        "Phone": "xsd:string",
        "SystemModstamp": "xsd:dateTime",
    },
}
#: and of two that send a little only
PHONES, KEYS = "04kxx000000pho1AAA", "04kxx000000key1AAA"
WSDLS |= {
    "Phones": {"Phone": "xsd:string", "SystemModstamp": "xsd:dateTime"},
    "Keys": {"ERP_Id__c": "xsd:string", "SystemModstamp": "xsd:dateTime"},
}
ACTIONS = {"Sales": SALES, "Service": SERVICE, "Phones": PHONES, "Keys": KEYS}


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any, tmp_path: Path) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        rating: Mapped[str | None] = Field("Rating")
        phone: Mapped[str | None] = Field("Phone")

    for stem, fields in WSDLS.items():
        (tmp_path / f"{stem}.wsdl").write_text(wsdl_text("Account", fields), encoding="utf-8")
    return make_app(database_url, base, wsdl_dir=tmp_path)


def send(app: Flask, team: str, second: int, **fields: str) -> str:
    """One message of a team's action about the account, as it was at a second; gives its outcome."""
    return outcome(message(app, team, {"SystemModstamp": at(second), **fields}))


def message(app: Flask, team: str, record: Mapping[str, Any], *, typed: bool = True) -> Replayed:
    body = compose("Account", {"Id": RECORD, "ERP_Id__c": "A-1", **record}, action_id=ACTIONS[team])
    if not typed:
        body = body.replace(b' xsi:type="sf:Account"', b"")
    return post(app, body, case=Case(Path("message.xml"), wsdl=team))


def outcome(answer: Replayed) -> str:
    assert answer.ack, answer
    [found] = answer.outcomes.values()
    return found


def send_only(app: Flask, team: str, second: int, **fields: str) -> str:
    """As `send`, of an action that selects nothing but these fields."""
    body = compose("Account", {"Id": RECORD, "SystemModstamp": at(second), **fields}, action_id=ACTIONS[team])
    return outcome(post(app, body, case=Case(Path("message.xml"), wsdl=team)))


def row(app: Flask) -> dict[str, Any]:
    [found] = tables_of(app)["account"]
    return {name: found[name] for name in ("name", "rating", "phone", "modstamp")}


def stamps(app: Flask) -> Any:
    return tables_of(app)["account"][0]["action_stamps"]


def test_two_actions_do_not_clear_each_others_columns(app: Flask) -> None:
    assert send(app, "Sales", 1, Name="Acme", Rating="Hot") == "created"
    assert send(app, "Service", 2, Name="Acme", Phone="555") == "updated"
    assert send(app, "Sales", 3, Name="Acme") == "updated"
    assert row(app) == {"name": "Acme", "rating": None, "phone": "555", "modstamp": at(3)}


def test_an_absent_field_that_is_selected_becomes_null_and_is_told(app: Flask, signals: Recorder) -> None:
    send(app, "Sales", 1, Name="Acme", Rating="Hot")
    send(app, "Sales", 2, Name="Acme")
    assert signals.of(post_save)[-1].changed == {"rating": Change("Hot", None)}


def test_an_older_message_still_sets_what_no_newer_one_has_set(app: Flask, signals: Recorder) -> None:
    assert send(app, "Sales", 5, Name="Acme Ltd", Rating="Hot") == "created"
    assert send(app, "Service", 3, Name="Acme", Phone="555") == "updated"
    assert row(app) == {"name": "Acme Ltd", "rating": "Hot", "phone": "555", "modstamp": at(5)}
    assert signals.of(post_save)[-1].changed == {"phone": Change(None, "555")}


def test_records_that_lost_their_type_on_the_way_are_as_fresh_as_others(app: Flask) -> None:
    """The WSDL of the URL tells what they are."""
    message(app, "Sales", {"SystemModstamp": at(5), "Name": "Acme Ltd"}, typed=False)
    message(app, "Service", {"SystemModstamp": at(3), "Name": "Acme", "Phone": "555"}, typed=False)
    assert row(app) == {"name": "Acme Ltd", "rating": None, "phone": "555", "modstamp": at(5)}


def test_and_what_is_older_than_its_own_action_is_stale(app: Flask) -> None:
    send(app, "Sales", 5, Name="Acme", Rating="Hot")
    send(app, "Service", 3, Name="Acme", Phone="555")
    assert send(app, "Service", 2, Name="Acme", Phone="554") == "stale"
    assert send(app, "Sales", 4, Name="Late", Rating="Cold") == "stale"
    assert send(app, "Service", 4, Name="Late", Phone="556") == "updated"
    assert row(app) == {"name": "Acme", "rating": "Hot", "phone": "556", "modstamp": at(5)}


def test_the_second_action_may_come_first(app: Flask) -> None:
    send(app, "Service", 1, Name="Acme", Phone="555")
    assert send(app, "Sales", 3, Name="Acme Ltd", Rating="Hot") == "updated"
    assert send(app, "Service", 2, Name="Acme", Phone="556") == "updated"
    assert row(app) == {"name": "Acme Ltd", "rating": "Hot", "phone": "556", "modstamp": at(3)}


def test_equal_stamps_of_two_actions_are_both_applied(app: Flask) -> None:
    assert send(app, "Sales", 1, Name="Acme", Rating="Hot") == "created"
    assert send(app, "Service", 1, Name="Acme Ltd", Phone="555") == "updated"
    assert row(app) == {"name": "Acme Ltd", "rating": "Hot", "phone": "555", "modstamp": at(1)}


def test_nothing_is_stored_for_it_while_one_action_sends(app: Flask) -> None:
    send(app, "Sales", 1, Name="Acme", Rating="Hot")
    send(app, "Sales", 2, Name="Acme", Rating="Cold")
    assert stamps(app) is None
    send(app, "Service", 3, Name="Acme", Phone="555")
    assert stamps(app) == {"first": at(2).isoformat(), SERVICE: at(3).isoformat()}


def test_other_field_lists_are_asked_for_only_when_a_message_is_late(app: Flask) -> None:
    send(app, "Sales", 1, Name="Acme", Rating="Hot")
    send(app, "Service", 2, Name="Acme", Phone="555")
    engine = parts_of(app).engine
    with statements(engine) as in_time:
        send(app, "Sales", 3, Name="Acme", Rating="Cold")
    with statements(engine) as late:
        send(app, "Service", 2, Name="Acme", Phone="556")
    assert [sum("om_action" in s and "FROM" in s for s in sent) for sent in (in_time, late)] == [0, 1]


def test_a_field_that_is_not_mapped_keeps_its_freshness_too(app: Flask) -> None:
    """Fax is in no WSDL: it is kept in `extra`, under the action that sends it."""
    send(app, "Sales", 5, Name="Acme", Fax="1")
    send(app, "Service", 3, Name="Late", Fax="0", Site="Berlin")
    assert tables_of(app)["account"][0]["extra"] == {"Fax": "1", "Site": "Berlin"}


def test_every_action_is_known_with_what_it_has_sent(app: Flask) -> None:
    send(app, "Sales", 1, Name="Acme")
    send(app, "Sales", 2, Name="Acme", Rating="Hot")
    send(app, "Service", 3, Name="Acme")
    with parts_of(app).engine.connect() as connection:
        rows = connection.execute(select(tables.action).order_by(tables.action.c.seen_at)).all()
    assert [(row.sobject, row.first, row.wsdl) for row in rows] == [
        ("Account", True, "Sales"),
        ("Account", None, "Service"),
    ]
    assert rows[0].fields == ["ERP_Id__c", "Name", "Rating", "SystemModstamp"]


def test_an_action_that_a_setting_binds_has_the_list_of_its_wsdl(
    make_app: MakeApp, sqlite_url: str, base: Any, app: Flask, tmp_path: Path
) -> None:
    bound = make_app(sqlite_url, base, wsdl_dir=tmp_path, OMRECEIVER_ACTIONS=f"{SALES}=Sales,{SERVICE}=Service")
    for action, fields in ((SALES, {"Rating": "Hot"}), (SERVICE, {"Phone": "555"}), (SALES, {})):
        record: dict[str, Any] = {"Id": RECORD, "ERP_Id__c": "A-1", "SystemModstamp": at(1), **fields}
        assert post(bound, compose("Account", record, action_id=action)).ack
    assert (row(bound)["rating"], row(bound)["phone"]) == (None, "555")


def test_a_record_that_is_back_begins_anew_for_every_action(app: Flask) -> None:
    """What was sent before it went is stale, whichever action sent it."""
    send(app, "Sales", 1, Name="Acme", Rating="Hot")
    send(app, "Service", 2, Name="Acme", Phone="555")
    send(app, "Sales", 5, Name="Acme", IsDeleted="true")
    assert send(app, "Sales", 7, Name="Acme", Rating="Hot") == "created"
    assert send(app, "Service", 4, Name="Acme", Phone="554") == "stale"
    assert send(app, "Service", 6, Name="Acme", Phone="556") == "updated"
    assert row(app) == {"name": "Acme", "rating": "Hot", "phone": "556", "modstamp": at(7)}


def test_a_key_is_as_old_as_the_last_message_that_sent_it(app: Flask) -> None:
    """Another record may claim it, though an action without the key has sent something newer."""
    assert send(app, "Sales", 1, Name="Acme") == "created"
    assert send_only(app, "Phones", 5, Phone="555") == "updated"
    assert send(app, "Sales", 3, Id=TWO, Name="Acme anew") == "updated"
    assert tables_of(app)["account"][0]["salesforce_id"] == TWO


def test_an_older_message_still_moves_the_key_that_no_newer_one_sends(app: Flask) -> None:
    assert send_only(app, "Keys", 1, ERP_Id__c="A-1") == "created"
    assert send_only(app, "Phones", 5, Phone="555") == "updated"
    assert send_only(app, "Keys", 3, ERP_Id__c="A-2") == "rekeyed"
    assert tables_of(app)["account"][0]["external_id"] == "A-2"


def test_a_row_that_is_taken_over_is_fresh_for_every_action(app: Flask) -> None:
    send(app, "Sales", 1, Name="Acme", Rating="Hot")
    send(app, "Service", 1, Name="Acme")
    send(app, "Sales", 4, Id=TWO, ERP_Id__c="A-2", Name="Two")
    send(app, "Sales", 5, Id=TWO, ERP_Id__c="A-2", Name="Two", IsDeleted="true")
    assert send(app, "Sales", 7, Id=TWO, Name="Two again", Rating="Hot") == "updated"
    assert send(app, "Service", 4, Id=TWO, Name="Two", Phone="554") == "stale"
    assert row(app)["phone"] is None
