"""Message → Plan: typed values, absent fields, keys, stamps, and every outcome that is known before the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped

from omreceiver import ExternalId, Field, RecordMixin, Settings
from omreceiver.errors import (
    FromTheFuture,
    KeyTooLong,
    MissingExternalId,
    NoClass,
    NoRecordId,
    NoStamp,
    UnreadableValue,
    Unstorable,
)
from omreceiver.records.models import Models
from omreceiver.schema.notification import Message, Notification
from omreceiver.store.plan import Outcome, Plan, make
from omreceiver.store.reading import Reading, Row

PARTNER = "012000000000001AAA"
ONE, TWO, THREE = "001000000000001AAA", "001000000000002AAA", "001000000000003AAA"
SELECTED = frozenset({"ERP_Id__c", "Name", "AnnualRevenue", "RecordTypeId"})


class Base(RecordMixin, DeclarativeBase):
    """A base of these tests' own."""


class Account(Base, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")
    revenue: Mapped[Decimal | None] = Field("AnnualRevenue")


class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):
    tier: Mapped[str | None] = Field("Tier__c")
    notes: Mapped[str | None]


class Case(Base, sobject="Case"):
    subject: Mapped[str | None] = Field("Subject")


class Order(Base, sobject="Order"):
    external_id: Mapped[str] = ExternalId("Number__c", number=True)


class Lead(Base, sobject="Lead"):
    external_id: Mapped[str] = ExternalId("Email", case_sensitive=False)


MODELS = Models([Account, PartnerAccount, Case, Order, Lead])


def notify(sobject: str | None = "Account", record_id: str | None = ONE, **fields: str | None) -> Notification:
    """A notification as message.read gives it; each has an ID of its own."""
    notification_id = f"04l{abs(hash((sobject, record_id, *fields.items()))) % 10**15:015d}"
    return Notification(notification_id, sobject, record_id, fields, fragment=str)


def account(record_id: str | None = ONE, **fields: str | None) -> Notification:
    return notify("Account", record_id, **{"ERP_Id__c": "A-1", **fields})


def plan(*notifications: Notification, selected: frozenset[str] = SELECTED, **options: Any) -> Plan:
    settings = Settings(missing_external_id=options.pop("missing", "quarantine"))
    message = Message("00Dxx0000001gPFEAY", "04kxx00000000blBAA", notifications)
    everything = selected | message.sent_fields()
    return make(message, Reading(MODELS, everything, settings, **options)).newest()


def row_of(notification: Notification, **options: Any) -> Row:
    found = plan(notification, **options)
    assert found.settled == ()
    [row] = found.rows
    return row


def error_of(notification: Notification, **options: Any) -> Unstorable:
    found = plan(notification, **options)
    assert found.rows == ()
    [settled] = found.settled
    assert settled.outcome is Outcome.QUARANTINED
    assert settled.error is not None
    return settled.error


# -- one record -------------------------------------------------------------------------------------------------------


def test_a_row_is_a_record_in_typed_values() -> None:
    sent = account(Name="Acme", AnnualRevenue="1.25E7", SystemModstamp="2026-07-01T12:00:00.000Z")

    row = row_of(sent)

    assert row.notification is sent
    assert row.layout.model is Account
    assert (row.key, row.salesforce_id) == ("A-1", ONE)
    assert row.modstamp == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert row.values == {"name": "Acme", "revenue": Decimal("12500000")}


def test_a_selected_field_that_is_absent_is_none() -> None:
    assert row_of(account(Name="Acme")).values == {"name": "Acme", "revenue": None}


def test_a_field_that_is_not_selected_is_left_alone() -> None:
    assert row_of(account(Name="Acme"), selected=frozenset({"ERP_Id__c", "Name"})).values == {"name": "Acme"}


def test_a_field_that_is_sent_as_nil_is_none() -> None:
    assert row_of(account(Name=None), selected=frozenset({"ERP_Id__c"})).values == {"name": None}


def test_what_is_selected_and_not_mapped_is_extra() -> None:
    row = row_of(account(Site="HQ", Fax=None), selected=SELECTED | {"Phone"})

    assert row.extra == {"Site": "HQ", "Fax": None, "Phone": None, "RecordTypeId": None}


def test_what_is_yours_is_in_no_plan() -> None:
    row = row_of(account(RecordTypeId=PARTNER, Tier__c="Gold"))

    assert row.layout.model is PartnerAccount
    assert row.values == {"name": None, "revenue": None, "tier": "Gold"}


def test_the_leaf_is_known_when_its_discriminator_is_selected() -> None:
    assert row_of(account()).is_leaf_known
    assert not row_of(account(), selected=frozenset({"ERP_Id__c"})).is_leaf_known
    assert row_of(notify("Case"), selected=frozenset()).is_leaf_known


def test_a_record_id_of_15_characters_becomes_18() -> None:
    assert row_of(account("001M000000qfPyS")).salesforce_id == "001M000000qfPySIAU"
    assert row_of(account(f"\n {ONE} ")).salesforce_id == ONE


@pytest.mark.parametrize("record_id", [None, "", "001", "nobody"])
def test_a_record_has_an_id(record_id: str | None) -> None:
    assert isinstance(error_of(account(record_id)), NoRecordId)


# -- stamps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "hour"),
    [
        ({"SystemModstamp": "2026-07-01T12:00:00.000Z"}, 12),
        ({"LastModifiedDate": "2026-07-01T11:00:00.000Z"}, 11),
        ({"SystemModstamp": "2026-07-01T12:00:00.000Z", "LastModifiedDate": "2026-07-01T11:00:00.000Z"}, 12),
        ({"SystemModstamp": None, "LastModifiedDate": "2026-07-01T11:00:00.000Z"}, 11),
        ({}, None),
    ],
)
def test_the_better_stamp_tells_how_fresh_a_record_is(fields: dict[str, str | None], hour: int | None) -> None:
    stamp = row_of(account(**fields)).modstamp

    assert stamp == (None if hour is None else datetime(2026, 7, 1, hour, tzinfo=UTC))


def test_a_stamp_is_no_extra() -> None:
    assert "SystemModstamp" not in row_of(account(SystemModstamp="2026-07-01T12:00:00.000Z")).extra
    assert "LastModifiedDate" not in row_of(account(LastModifiedDate="2026-07-01T12:00:00.000Z")).extra


def test_a_stamp_that_cannot_be_read_is_an_unreadable_value() -> None:
    error = error_of(account(SystemModstamp="yesterday"))

    assert isinstance(error, UnreadableValue)
    assert error.field == "SystemModstamp"


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sobject", "fields", "key"),
    [
        ("Account", {"ERP_Id__c": " A-1 "}, "A-1"),
        ("Account", {"ERP_Id__c": "a-1"}, "a-1"),
        ("Account", {"ERP_Id__c": "x" * 255}, "x" * 255),
        ("Account", {"ERP_Id__c": f"  {'x' * 255}  "}, "x" * 255),
        ("Lead", {"Email": "Ann@Example.com"}, "ann@example.com"),
        ("Order", {"Number__c": "13.0"}, "13"),
        ("Order", {"Number__c": "13"}, "13"),
        ("Case", {}, ONE),
    ],
)
def test_the_key_is_folded(sobject: str, fields: dict[str, str | None], key: str) -> None:
    assert row_of(notify(sobject, **fields), selected=frozenset()).key == key


@pytest.mark.parametrize("blank", [None, "", "  ", "\n"])
def test_a_selected_key_that_is_blank_is_quarantined_with_the_cure(blank: str | None) -> None:
    error = error_of(account(ERP_Id__c=blank))

    assert isinstance(error, MissingExternalId)
    assert str(error) == (
        "ERP_Id__c is blank. Fill it in Salesforce, or set OMRECEIVER_MISSING_EXTERNAL_ID=use-salesforce-id."
    )


def test_or_the_salesforce_id_takes_its_place_as_the_setting_says() -> None:
    missing = "use-salesforce-id"

    assert row_of(notify(), missing=missing).key == ONE
    assert row_of(account(ERP_Id__c=None), missing=missing).key == ONE
    assert row_of(account(), missing=missing).key == "A-1"


def test_in_the_form_in_which_the_key_is_stored() -> None:
    selected, mixed_case = frozenset({"Email", "Number__c"}), "001M000000qfPySIAU"

    lead = row_of(notify("Lead", mixed_case), selected=selected, missing="use-salesforce-id")
    order = row_of(notify("Order", mixed_case), selected=selected, missing="use-salesforce-id")

    assert lead.key == mixed_case.lower()
    assert order.key == mixed_case
    assert lead.salesforce_id == order.salesforce_id == mixed_case


@pytest.mark.parametrize("missing", ["quarantine", "use-salesforce-id"])
def test_without_a_selected_key_a_record_is_known_by_its_id(missing: str) -> None:
    row = row_of(notify(Name="Acme"), selected=frozenset({"Name"}), missing=missing)

    assert (row.key, row.salesforce_id) == (None, ONE)


@pytest.mark.parametrize(("text", "is_delete"), [("true", True), (" 1 ", True), ("false", False), (None, False)])
def test_what_is_deleted_says_so_as_every_checkbox_does(text: str | None, is_delete: bool) -> None:
    found = plan(account(IsDeleted=text, SystemModstamp="2026-11-20T12:00:00.000Z"))
    assert bool(found.deletes) is is_delete


def test_what_is_said_of_it_and_is_no_checkbox_is_quarantined() -> None:
    error = error_of(account(IsDeleted="maybe"))
    assert "IsDeleted" in str(error)


@pytest.mark.parametrize(
    "notification",
    [
        account(ERP_Id__c="x" * 256),
        notify("Order", Number__c="1" * 256),
        notify("Order", Number__c="1E300"),
    ],
)
def test_a_key_that_is_too_long_is_quarantined_and_not_cut(notification: Notification) -> None:
    assert isinstance(error_of(notification, selected=frozenset()), KeyTooLong)


@pytest.mark.parametrize("text", ["A-1", "NaN", "1E999999999"])
def test_a_key_that_should_be_a_number_and_is_none_is_quarantined(text: str) -> None:
    error = error_of(notify("Order", Number__c=text), selected=frozenset())

    assert isinstance(error, UnreadableValue)
    assert error.field == "Number__c"


# -- what cannot be stored --------------------------------------------------------------------------------------------


def test_a_value_that_cannot_be_read_is_quarantined_with_field_text_and_expectation() -> None:
    error = error_of(account(Name="Acme", AnnualRevenue="a lot"))

    assert isinstance(error, UnreadableValue)
    assert str(error) == "AnnualRevenue holds 'a lot', expected a number"
    assert error.expected == "a number"


@pytest.mark.parametrize("text", ["1E99999999999", "9" * 10_000 + "x", "NaN", "1_000", ""])
def test_no_text_of_a_number_costs_more_than_its_own_notification(text: str) -> None:
    found = plan(account(AnnualRevenue=text), account(TWO, ERP_Id__c="A-2", AnnualRevenue="1.0"))

    assert [row.salesforce_id for row in found.rows] == [TWO]
    assert [settled.outcome for settled in found.settled] == [Outcome.QUARANTINED]


def test_an_error_shows_no_more_of_a_text_than_one_can_read() -> None:
    assert len(str(error_of(account(AnnualRevenue="x" * 100_000)))) < 200


def test_an_unreadable_value_keeps_the_traceback_and_other_errors_have_none() -> None:
    unreadable, keyless = plan(account(AnnualRevenue="a lot")), plan(notify())

    assert "ValueError: a number like 13.0" in (unreadable.settled[0].traceback or "")
    assert keyless.settled[0].traceback is None


@pytest.mark.parametrize(
    ("sobject", "sentence"),
    [
        (
            "Opportunity",
            "No mapped class takes Opportunity. Put its WSDL into the WSDL folder, or declare a class for it, ",
        ),
        (None, "No mapped class takes an sObject without xsi:type. "),
    ],
)
def test_an_sobject_that_nobody_takes_is_quarantined(sobject: str | None, sentence: str) -> None:
    error = error_of(notify(sobject, Name="Acme"))

    assert isinstance(error, NoClass)
    assert str(error).startswith(sentence)


# -- many records -----------------------------------------------------------------------------------------------------


def at(second: int) -> str:
    return f"2026-07-01T12:00:{second:02d}.000Z"


def test_one_message_may_end_in_many_ways() -> None:
    deleted = notify(record_id=None)
    unreadable = account(TWO, ERP_Id__c="A-2", AnnualRevenue="a lot", SystemModstamp=at(1))
    older, newer = account(SystemModstamp=at(1), Name="old"), account(SystemModstamp=at(2), Name="new")
    unknown = notify("Opportunity", "006000000000001AAA", SystemModstamp=at(1))
    good = account(THREE, ERP_Id__c="A-3", SystemModstamp=at(1))

    found = plan(deleted, unreadable, older, newer, unknown, good)

    assert [row.notification for row in found.rows] == [newer, good]
    assert {(settled.notification.id, settled.outcome) for settled in found.settled} == {
        (deleted.id, Outcome.EMPTY),
        (unreadable.id, Outcome.QUARANTINED),
        (unknown.id, Outcome.QUARANTINED),
        (older.id, Outcome.STALE),
    }


@pytest.mark.parametrize("sobject", ["Account", "Opportunity", None])
def test_a_notification_of_nothing_is_empty_whatever_it_is_called(sobject: str | None) -> None:
    [settled] = plan(notify(sobject, record_id=None)).settled

    assert (settled.outcome, settled.error) == (Outcome.EMPTY, None)


def test_a_record_with_nothing_but_its_id_is_not_empty() -> None:
    assert row_of(notify("Case"), selected=frozenset({"Subject"})).values == {"subject": None}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_freshest_of_one_record_wins(turn: int) -> None:
    both = [account(SystemModstamp=at(1), Name="old"), account(SystemModstamp=at(2), Name="new")][::turn]

    assert [row.values["name"] for row in plan(*both).rows] == ["new"]


def test_of_equally_fresh_ones_the_last_wins() -> None:
    names = ["first", "second", "third"]

    assert [r.values["name"] for r in plan(*(account(Name=n) for n in names)).rows] == ["third"]
    assert [r.values["name"] for r in plan(*(account(Name=n, SystemModstamp=at(1)) for n in names)).rows] == ["third"]


def test_a_record_without_the_stamp_that_the_action_selects_is_quarantined() -> None:
    """No record lacks a SystemModstamp; without one it could overwrite what is newer."""
    error = error_of(account(Name="bare"), selected=SELECTED | {"SystemModstamp"})

    assert isinstance(error, NoStamp)
    dated = row_of(account(LastModifiedDate=at(1)), selected=SELECTED | {"SystemModstamp"})
    assert dated.modstamp == datetime(2026, 7, 1, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(("ahead", "is_stored"), [(timedelta(hours=23), True), (timedelta(hours=25), False)])
def test_a_stamp_from_the_future_would_freeze_the_record(ahead: timedelta, is_stored: bool) -> None:
    sent = account(SystemModstamp=(datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%S.000Z"))

    assert bool(plan(sent).rows) is is_stored
    if not is_stored:
        assert isinstance(error_of(sent), FromTheFuture)
        assert "more than a day ahead" in str(error_of(sent))


def test_the_same_record_in_15_and_18_characters_is_one() -> None:
    found = plan(account("001M000000qfPyS", Name="short"), account("001M000000qfPySIAU", Name="long"))

    assert [row.values["name"] for row in found.rows] == ["long"]


def test_two_records_with_one_key_are_two_rows() -> None:
    """Whose the key is depends on what the tables hold."""
    found = plan(account(ONE, SystemModstamp=at(2)), account(TWO, SystemModstamp=at(1)))

    assert [row.salesforce_id for row in found.rows] == [ONE, TWO]


def test_keys_are_compared_as_they_are_stored() -> None:
    leads = plan(notify("Lead", ONE, Email="A@b.example"), notify("Lead", TWO, Email="a@B.example"))
    orders = plan(notify("Order", ONE, Number__c="13.0"), notify("Order", TWO, Number__c="13"))
    accounts = plan(account(ONE, ERP_Id__c="a"), account(TWO, ERP_Id__c="A"))

    assert [len({row.key for row in found.rows}) for found in (leads, orders, accounts)] == [1, 1, 2]


def test_records_without_a_key_are_not_one() -> None:
    assert len(plan(notify(Name="a"), notify(record_id=TWO, Name="b"), selected=frozenset({"Name"})).rows) == 2


NOTIFICATIONS = st.builds(
    notify,
    st.sampled_from(["Account", "Case", "Order", "Opportunity", None]),
    st.sampled_from([ONE, TWO, THREE, ONE[:15], "bad", None]),
    ERP_Id__c=st.sampled_from(["A-1", "A-2", "", None]),
    Name=st.one_of(st.none(), st.text()),
    AnnualRevenue=st.one_of(st.none(), st.text(), st.sampled_from(["1.0", "1E7", "1E9999999999"])),
    Number__c=st.sampled_from(["1", "1.0", "one", None]),
    SystemModstamp=st.one_of(st.none(), st.integers(0, 59).map(at), st.just("yesterday")),
)


@given(st.lists(NOTIFICATIONS, max_size=8), st.sampled_from(["quarantine", "use-salesforce-id"]))
def test_every_notification_is_a_row_or_settled_and_never_both(sent: list[Notification], missing: str) -> None:
    found = plan(*sent, missing=missing)

    ends = [row.notification for row in found.rows] + [settled.notification for settled in found.settled]
    assert sorted(map(id, ends)) == sorted(map(id, sent))


@given(st.lists(NOTIFICATIONS, max_size=8))
def test_no_record_comes_twice(sent: list[Notification]) -> None:
    """Whose a key is that two records want is settled where the tables are known."""
    rows = plan(*sent).rows

    assert len({row.salesforce_id for row in rows}) == len(rows)


@given(st.lists(NOTIFICATIONS, max_size=8))
def test_rows_stay_in_the_order_of_the_message(sent: list[Notification]) -> None:
    places = {id(notification): place for place, notification in enumerate(sent)}
    order = [places[id(row.notification)] for row in plan(*sent).rows]

    assert order == sorted(order)


def test_a_row_that_was_dropped_reserves_no_key() -> None:
    """The middle one is older than the first, so its key is free for the last."""
    newest = account(ONE, ERP_Id__c="A-1", SystemModstamp=at(3))
    dropped = account(ONE, ERP_Id__c="A-2", SystemModstamp=at(2))
    other = account(TWO, ERP_Id__c="A-2", SystemModstamp=at(1))
    made = plan(newest, dropped, other)
    assert [row.notification for row in made.rows] == [newest, other]
    assert [settled.outcome for settled in made.settled] == [Outcome.STALE]
