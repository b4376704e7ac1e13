"""External IDs that move, swap, are taken over, and are written in every way; on every database."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session

from omreceiver import Change, ExternalId, Field, Reference, post_save
from omreceiver.app import parts_of
from omreceiver.store import tables
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import post
from tests.accounts import ONE, PARTNER, THREE, TWO, at, send
from tests.conftest import MakeApp, tables_of


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")
        notes: Mapped[str | None]

    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        account = Reference("AccountId", "Account")

    return make_app(database_url, base)


def account(record_id: str, key: str | None, second: int, **fields: Any) -> dict[str, Any]:
    common = {"Id": record_id, "Name": record_id[-4], "RecordTypeId": PARTNER, "SystemModstamp": at(second)}
    return {**common, **({"ERP_Id__c": key} if key is not None else {}), **fields}


def keys(app: Flask) -> dict[str, str]:
    """Key → the record that has it; every one in the class below too."""
    rows = tables_of(app)
    assert [row["external_id"] for row in rows["account"]] == [row["external_id"] for row in rows["partner_account"]]
    return {row["external_id"]: row["salesforce_id"] for row in rows["account"]}


def test_two_records_that_swap_their_keys_in_one_message_end_swapped(app: Flask, signals: Recorder) -> None:
    send(app, account(ONE, "A", 1), account(TWO, "B", 1))
    signals.clear()
    assert send(app, account(ONE, "B", 2), account(TWO, "A", 2)) == ["rekeyed", "rekeyed"]
    assert keys(app) == {"A": TWO, "B": ONE}
    assert [sent.changed for sent in signals.of(post_save)] == [
        {"external_id": Change("A", "B")},
        {"external_id": Change("B", "A")},
    ]


def test_three_that_go_round(app: Flask) -> None:
    send(app, account(ONE, "A", 1), account(TWO, "B", 1), account(THREE, "C", 1))
    assert send(app, account(ONE, "B", 2), account(TWO, "C", 2), account(THREE, "A", 2)) == ["rekeyed"] * 3
    assert keys(app) == {"A": THREE, "B": ONE, "C": TWO}


def test_a_key_that_is_left_and_taken_in_one_message(app: Flask) -> None:
    send(app, account(ONE, "A", 1))
    assert send(app, account(TWO, "A", 3), account(ONE, "B", 2)) == ["created", "rekeyed"]
    assert keys(app) == {"A": TWO, "B": ONE}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_swap_in_two_messages_in_either_order(app: Flask, turn: int) -> None:
    """Between the two, one of them is kept under its Salesforce ID."""
    send(app, account(ONE, "A", 1), account(TWO, "B", 1))
    first, second = [account(ONE, "B", 2), account(TWO, "A", 2)][::turn]
    assert send(app, first) == ["rekeyed"]
    assert set(keys(app)) == {first["ERP_Id__c"], second["Id"]}
    assert send(app, second) == ["rekeyed"]
    assert keys(app) == {"A": TWO, "B": ONE}


def test_a_claim_that_is_older_than_the_holders_loses(app: Flask) -> None:
    send(app, account(ONE, "A", 1), account(TWO, "B", 5))
    assert send(app, account(ONE, "B", 3, Name="Renamed")) == ["rekeyed"]
    assert keys(app) == {"B": TWO, ONE: ONE}
    assert send(app, account(ONE, "C", 4)) == ["rekeyed"]
    assert keys(app) == {"B": TWO, "C": ONE}


def test_a_record_created_anew_takes_the_row_over_with_what_is_yours_in_it(app: Flask, signals: Recorder) -> None:
    send(app, account(ONE, "A", 1))
    partner: Any = parts_of(app).models.named("PartnerAccount")
    with Session(parts_of(app).engine) as session, session.begin():
        session.scalars(select(partner.model)).one().notes = "call on Monday"
    signals.clear()
    assert send(app, account(TWO, "A", 2)) == ["updated"]
    assert keys(app) == {"A": TWO}
    assert tables_of(app)["partner_account"][0]["notes"] == "call on Monday"
    assert signals.of(post_save)[0].changed["salesforce_id"] == Change(ONE, TWO)


def test_the_record_that_lost_its_row_does_not_take_it_back_with_what_is_older(app: Flask) -> None:
    send(app, account(ONE, "A", 2))
    send(app, account(TWO, "A", 3))
    assert send(app, account(ONE, "A", 1)) == ["stale"]
    assert send(app, account(ONE, "Z", 2)) == ["stale"]
    assert keys(app) == {"A": TWO}
    assert send(app, account(ONE, "B", 4)) == ["created"]
    assert keys(app) == {"A": TWO, "B": ONE}


def test_an_older_record_of_the_same_key_is_stale(app: Flask) -> None:
    send(app, account(TWO, "A", 3))
    assert send(app, account(ONE, "A", 2)) == ["stale"]
    assert keys(app) == {"A": TWO}


@pytest.mark.parametrize("turn", [1, -1])
def test_two_records_with_one_key_in_one_message_are_one_row_the_freshest(app: Flask, turn: int) -> None:
    outcomes = send(app, *[account(ONE, "A", 2), account(TWO, "A", 1)][::turn])
    assert keys(app) == {"A": ONE}
    assert sorted(outcomes) == ["created", "stale"]


def test_the_same_record_twice_in_one_message_applies_the_newest(app: Flask, signals: Recorder) -> None:
    records = [account(ONE, "A", second, Name=str(second)) for second in (2, 3, 1)]
    assert send(app, *records) == ["stale", "created", "stale"]
    assert tables_of(app)["account"][0]["name"] == "3"
    assert len(signals.of(post_save)) == 1


def test_references_by_id_follow_a_record_whose_key_moves(app: Flask) -> None:
    send(app, account(ONE, "A", 1))
    assert post(app, compose("Contact", {"Id": "003000000000001AAA", "AccountId": ONE})).ack
    send(app, account(ONE, "B", 2))
    contact: Any = parts_of(app).models.named("Contact")
    with Session(parts_of(app).engine) as session:
        assert session.scalars(select(contact.model)).one().account.external_id == "B"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  A-1\t", "A-1"),
        ("Zoë's Öl-Handel №1", "Zoë's Öl-Handel №1"),
        ("株式会社", "株式会社"),
        ("🦔", "🦔"),
        ("k" * 255, "k" * 255),
        ("0013", "0013"),
        ("O'Brien; DROP TABLE account", "O'Brien; DROP TABLE account"),
    ],
)
def test_keys_are_texts_of_any_letters_without_spaces_around(app: Flask, text: str, key: str) -> None:
    assert send(app, account(ONE, text, 1)) == ["created"]
    assert send(app, account(ONE, key, 2)) == ["unchanged"]
    assert list(keys(app)) == [key]


@pytest.mark.parametrize(
    ("text", "error"), [(None, "MissingExternalId"), ("   ", "MissingExternalId"), ("k" * 256, "KeyTooLong")]
)
def test_a_key_that_is_blank_or_too_long_is_quarantined(app: Flask, text: str | None, error: str) -> None:
    send(app, account(TWO, "known", 1))
    assert send(app, account(ONE, text, 1)) == ["quarantined"]
    with parts_of(app).engine.connect() as connection:
        assert connection.scalars(select(tables.quarantine.c.error)).all() == [error]


def test_a_blank_key_may_be_replaced_by_the_salesforce_id(make_app: MakeApp, database_url: str, app: Flask) -> None:
    records = [layout.model for layout in parts_of(app).models]
    other = make_app(database_url, records, OMRECEIVER_MISSING_EXTERNAL_ID="use-salesforce-id")
    send(other, account(TWO, "known", 1))
    assert send(other, account(ONE, None, 1)) == ["created"]
    assert send(other, account(ONE, "A", 2)) == ["rekeyed"]
    assert keys(other) == {"A": ONE, "known": TWO}


def test_keys_that_differ_in_case_are_two_and_swap_as_two(app: Flask) -> None:
    assert send(app, account(ONE, "key", 1), account(TWO, "KEY", 1)) == ["created", "created"]
    assert send(app, account(ONE, "KEY", 2), account(TWO, "key", 2)) == ["rekeyed", "rekeyed"]
    assert keys(app) == {"KEY": ONE, "key": TWO}


def test_an_id_whose_last_letters_do_not_fit_is_taken_and_noted(app: Flask) -> None:
    assert send(app, account("001M000000qfPySXXX", "A", 1)) == ["created"]
    with parts_of(app).engine.connect() as connection:
        [detail] = connection.scalars(select(tables.notification.c.detail))
    assert detail["notes"] == ["The last three characters of 001M000000qfPySXXX do not fit the others."]


def test_a_notification_without_an_id_is_known_by_its_hash(app: Flask) -> None:
    body = compose("Account", account(ONE, "A", 1), notification_ids=["none"]).replace(b"<Id>none</Id>", b"")
    assert [list(post(app, body).outcomes.values()) for _ in range(2)] == [["created"], ["duplicate"]]
