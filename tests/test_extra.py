"""`extra` holds the fields that a record's class has no column for, and gives them back to a class that has one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Mapped

from omreceiver import Change, ExternalId, Field, post_save
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import Case, post
from tests.conftest import MakeApp, tables_of
from tests.wsdls import wsdl_text

PLAIN, PARTNER, CUSTOMER = "012000000000003AAA", "012000000000001AAA", "012000000000002AAA"
#: one action sends what kind of account it is, the other one what some of the kinds have
SHARED = {"ERP_Id__c": "xsd:string", "SystemModstamp": "xsd:dateTime"}
WSDLS = {
    "Kind": {**SHARED, "RecordTypeId": "ent:ID"},
    "Terms": {**SHARED, "Limit__c": "xsd:double", "Since__c": "xsd:date", "Tier__c": "xsd:string"},
}
ACTIONS = {"Kind": "04kxx000000kin1AAA", "Terms": "04kxx000000ter1AAA"}
TERMS = {"Limit__c": "1250.5", "Since__c": "2026-03-01", "Tier__c": "Gold"}


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any, tmp_path: Path) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        record_type: Mapped[str | None] = Field("RecordTypeId")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        credit: Mapped[Decimal | None] = Field("Limit__c")
        since: Mapped[date | None] = Field("Since__c")
        tier: Mapped[str | None] = Field("Tier__c")

    class CustomerAccount(Account, when={"RecordTypeId": CUSTOMER}):  # type: ignore[call-arg]
        tier_since: Mapped[date | None] = Field("Tier__c")
        limit: Mapped[Decimal | None] = Field("Limit__c")

    for stem, fields in WSDLS.items():
        (tmp_path / f"{stem}.wsdl").write_text(wsdl_text("Account", fields), encoding="utf-8")
    return make_app(database_url, [Account, PartnerAccount, CustomerAccount], wsdl_dir=tmp_path)


def send(app: Flask, action: str, second: int, **fields: str) -> str:
    stamp = datetime(2026, 11, 20, 12, 0, second, tzinfo=UTC)
    record: dict[str, str | datetime] = {
        "Id": "001000000000001AAA",
        "ERP_Id__c": "A-1",
        "SystemModstamp": stamp,
        **fields,
    }
    answer = post(app, compose("Account", record, action_id=ACTIONS[action]), case=Case(Path("m.xml"), wsdl=action))
    assert answer.ack, answer
    [outcome] = answer.outcomes.values()
    return outcome


def extra(app: Flask) -> Any:
    [row] = tables_of(app)["account"]
    return row["extra"]


def partner(app: Flask) -> list[Any]:
    return [(row["credit"], row["since"], row["tier"]) for row in tables_of(app)["partner_account"]]


def test_what_has_waited_goes_into_the_columns_of_the_class_that_the_record_turns_into(
    app: Flask, signals: Recorder
) -> None:
    send(app, "Kind", 1, RecordTypeId=PLAIN)
    send(app, "Terms", 2, **TERMS)
    assert extra(app) == TERMS
    assert send(app, "Kind", 3, RecordTypeId=PARTNER) == "retyped"
    assert (partner(app), extra(app)) == ([(Decimal("1250.5"), date(2026, 3, 1), "Gold")], None)
    assert signals.of(post_save)[-1].changed["tier"] == Change(None, "Gold")


def test_and_back_when_it_turns_into_another_one(app: Flask) -> None:
    send(app, "Kind", 1, RecordTypeId=PARTNER)
    send(app, "Terms", 2, **TERMS)
    assert send(app, "Kind", 3, RecordTypeId=PLAIN) == "retyped"
    assert (partner(app), extra(app)) == ([], TERMS)


def test_a_blank_does_not_wait(app: Flask) -> None:
    send(app, "Kind", 1, RecordTypeId=PARTNER)
    send(app, "Terms", 2, Tier__c="Gold")
    send(app, "Terms", 3)
    send(app, "Kind", 4, RecordTypeId=PLAIN)
    assert (partner(app), extra(app)) == ([], None)


def test_it_makes_no_difference_which_message_comes_first(app: Flask) -> None:
    send(app, "Kind", 3, RecordTypeId=PARTNER)
    assert send(app, "Terms", 2, **TERMS) == "updated"
    assert (partner(app), extra(app)) == ([(Decimal("1250.5"), date(2026, 3, 1), "Gold")], None)


def test_classes_side_by_side_take_it_from_each_other(app: Flask) -> None:
    """Each has a column of its own for the limit; what the other one cannot read goes on waiting."""
    send(app, "Kind", 1, RecordTypeId=PARTNER)
    send(app, "Terms", 2, **TERMS)
    send(app, "Kind", 3, RecordTypeId=CUSTOMER)
    [customer] = tables_of(app)["customer_account"]
    assert (customer["limit"], customer["tier_since"]) == (Decimal("1250.5"), None)
    assert extra(app) == {"Since__c": "2026-03-01", "Tier__c": "Gold"}
    send(app, "Kind", 4, RecordTypeId=PARTNER)
    assert (partner(app), extra(app)) == ([(Decimal("1250.5"), date(2026, 3, 1), "Gold")], None)
