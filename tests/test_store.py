"""The store on every database: outcomes, constant statements, quarantine of the bad one, conflicts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import CheckConstraint, create_engine, select, text
from sqlalchemy.orm import Mapped, Session, foreign, mapped_column, relationship

from omreceiver import ExternalId, Field, OutboundMessages, Reference, post_save, pre_save
from omreceiver.app import parts_of
from omreceiver.store import tables
from omreceiver.store.upgrade import upgrade
from omreceiver.testing import Recorder, compose, new_id
from omreceiver.testing.messages import ACTION
from omreceiver.testing.replay import Replayed, post
from tests.accounts import ONE, PARTNER, TWO, at
from tests.conftest import MakeApp, tables_of
from tests.statements import of_the_message, statements


@pytest.fixture
def account(base: Any) -> Any:
    """Account, and PartnerAccount below it with a column that is the user's."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
        rating: Mapped[str | None] = Field("Rating")
        __table_args__ = (CheckConstraint("rating <> 'refused'"), {"mysql_charset": "utf8mb4"})

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")
        notes: Mapped[str | None]
        score: Mapped[int] = mapped_column(default=7)

    return Account


@pytest.fixture
def app(make_app: MakeApp, database_url: str, account: Any, base: Any) -> Flask:
    return make_app(database_url, base)


def send(app: Flask, *records: Mapping[str, Any], **options: Any) -> list[str]:
    """Send one message of Accounts; gives the outcomes in the order of its notifications."""
    answer = send_message(app, *records, **options)
    assert answer.ack, answer
    assert answer.receipt is not None
    return [answer.outcomes[n.id] for n in answer.receipt.message.notifications]


def send_message(app: Flask, *records: Mapping[str, Any], **options: Any) -> Replayed:
    return post(app, compose("Account", *records, **options))


def acme(**fields: Any) -> dict[str, Any]:
    return {"Id": ONE, "ERP_Id__c": "A-1", "Name": "Acme", "SystemModstamp": at(1), **fields}


def test_created_then_updated_then_unchanged_then_stale(app: Flask) -> None:
    assert send(app, acme()) == ["created"]
    assert send(app, acme(Name="Acme Ltd", SystemModstamp=at(2))) == ["updated"]
    assert send(app, acme(Name="Acme Ltd", SystemModstamp=at(3))) == ["unchanged"]
    assert send(app, acme(Name="Late", SystemModstamp=at(2))) == ["stale"]
    [row] = tables_of(app)["account"]
    assert (row["name"], row["modstamp"]) == ("Acme Ltd", at(3))


def test_equal_stamps_are_applied(app: Flask) -> None:
    """They have a precision of one second."""
    assert send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2")) == ["created", "created"]
    assert send(app, acme(Name="In the same second")) == ["updated"]


def test_without_a_stamp_everything_is_applied(app: Flask) -> None:
    assert send(app, {"Id": ONE, "ERP_Id__c": "A-1", "Name": "a"}) == ["created"]
    assert send(app, {"Id": ONE, "ERP_Id__c": "A-1", "Name": "b"}) == ["updated"]


def test_last_modified_date_stands_in_for_system_modstamp(app: Flask) -> None:
    old, new = {**acme(), "LastModifiedDate": at(1)}, {**acme(Name="new"), "LastModifiedDate": at(2)}
    del old["SystemModstamp"], new["SystemModstamp"]
    assert send(app, new) == ["created"]
    assert send(app, old) == ["stale"]
    assert tables_of(app)["account"][0]["extra"] is None


def test_the_ledger_knows_each_notification_once(app: Flask) -> None:
    ids = [new_id("04l"), new_id("04l")]
    records = [acme(), acme(Id=TWO, ERP_Id__c="A-2")]
    assert send(app, *records, notification_ids=ids) == ["created", "created"]
    assert send(app, *records, notification_ids=ids) == ["duplicate", "duplicate"]
    assert send(app, acme(Name="again", SystemModstamp=at(9)), notification_ids=ids[:1]) == ["duplicate"]
    with parts_of(app).engine.connect() as connection:
        assert len(connection.execute(tables.notification.select()).all()) == 2
        entered = tables.message.c
        outcomes = connection.scalars(select(entered.outcomes).order_by(entered.id)).all()
    assert outcomes == [{"created": 2}, {"duplicate": 2}, {"duplicate": 1}]


def test_one_notification_twice_in_one_message(app: Flask) -> None:
    twice = new_id("04l")
    answer = send_message(app, acme(), acme(), notification_ids=[twice, twice])
    assert answer.ack
    assert len(tables_of(app)["account"]) == 1


def test_one_record_twice_in_one_message_applies_the_newest(app: Flask, signals: Recorder) -> None:
    newer = acme(Name="newer", SystemModstamp=at(2))
    assert send(app, newer, acme(Name="older")) == ["created", "stale"]
    assert tables_of(app)["account"][0]["name"] == "newer"
    assert len(signals.of(post_save)) == 1


def test_what_is_not_mapped_is_kept_in_extra(app: Flask) -> None:
    send(app, acme(Phone="+1 555", Fax="none"))
    assert tables_of(app)["account"][0]["extra"] == {"Phone": "+1 555", "Fax": "none"}
    assert send(app, acme(Phone="+1 556", SystemModstamp=at(2))) == ["updated"]
    assert tables_of(app)["account"][0]["extra"] == {"Phone": "+1 556"}


def test_a_field_an_action_has_sent_before_is_cleared_when_absent(app: Flask) -> None:
    """There is no WSDL here: the field list is what the action has ever sent."""
    send(app, acme(Rating="Hot"))
    assert send(app, acme(SystemModstamp=at(2))) == ["updated"]
    assert tables_of(app)["account"][0]["rating"] is None


def test_a_field_that_another_action_sends_is_left_alone(app: Flask) -> None:
    send(app, acme(Rating="Hot"))
    send(app, acme(Name="Renamed", SystemModstamp=at(2)), action_id="04kxx00000000zzBAA")
    [row] = tables_of(app)["account"]
    assert (row["name"], row["rating"]) == ("Renamed", "Hot")


def test_a_leaf_class_fills_its_table_and_leaves_the_users_columns_alone(app: Flask, account: Any) -> None:
    partner = acme(RecordTypeId=PARTNER, Tier__c="Gold")
    assert send(app, partner) == ["created"]
    [leaf] = tables_of(app)["partner_account"]
    assert (leaf["tier"], leaf["notes"], leaf["score"]) == ("Gold", None, 7)
    with Session(parts_of(app).engine) as session, session.begin():
        found = session.get_one(account, "A-1")
        assert type(found).__name__ == "PartnerAccount"
        found.notes, found.score = "call on Monday", 9
    assert send(app, {**partner, "Tier__c": "Silver", "SystemModstamp": at(2)}) == ["updated"]
    [leaf] = tables_of(app)["partner_account"]
    assert (leaf["tier"], leaf["notes"], leaf["score"]) == ("Silver", "call on Monday", 9)


def test_a_record_whose_type_changes_moves_to_its_class_and_back(app: Flask) -> None:
    send(app, acme(RecordTypeId="012000000000002AAA", Tier__c="None"))
    assert send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold", SystemModstamp=at(2))) == ["retyped"]
    assert [row["child_name"] for row in tables_of(app)["account"]] == ["PartnerAccount"]
    assert [row["tier"] for row in tables_of(app)["partner_account"]] == ["Gold"]
    assert send(app, acme(RecordTypeId="012000000000002AAA", SystemModstamp=at(3))) == ["retyped"]
    assert tables_of(app)["partner_account"] == []
    assert tables_of(app)["account"][0]["child_name"] == "Account"


def test_an_action_that_does_not_send_the_type_leaves_the_class(app: Flask) -> None:
    send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold"))
    without_type = acme(Name="Renamed", Tier__c="Silver", SystemModstamp=at(2))
    assert send(app, without_type, action_id="04kxx00000000zzBAA") == ["updated"]
    assert [row["tier"] for row in tables_of(app)["partner_account"]] == ["Silver"]
    assert tables_of(app)["account"][0]["name"] == "Renamed"


def test_a_new_external_id_moves_the_key_through_every_table(app: Flask) -> None:
    send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold"))
    moved = acme(ERP_Id__c="A-9", RecordTypeId=PARTNER, Tier__c="Gold", SystemModstamp=at(2))
    assert send(app, moved) == ["rekeyed"]
    assert [row["external_id"] for row in tables_of(app)["account"]] == ["A-9"]
    assert [row["external_id"] for row in tables_of(app)["partner_account"]] == ["A-9"]


def test_the_same_external_id_with_a_new_record_takes_the_new_id(app: Flask) -> None:
    send(app, acme())
    assert send(app, acme(Id=TWO, SystemModstamp=at(2))) == ["updated"]
    assert [row["salesforce_id"] for row in tables_of(app)["account"]] == [TWO]


def test_an_action_without_the_external_id_finds_the_record_by_its_id(app: Flask) -> None:
    send(app, acme())
    other = {"Id": ONE, "Name": "Found", "SystemModstamp": at(2)}
    assert send(app, other, action_id="04kxx00000000zzBAA") == ["updated"]
    unknown = {"Id": TWO, "Name": "Unknown", "SystemModstamp": at(2)}
    assert send(app, unknown, action_id="04kxx00000000zzBAA") == ["quarantined"]
    assert [row["name"] for row in tables_of(app)["account"]] == ["Found"]


def test_ids_and_keys_that_differ_only_in_case_are_two(app: Flask) -> None:
    lower, upper = "001000000000abcAAA", "001000000000ABCAAA"
    assert send(app, acme(Id=lower, ERP_Id__c="key"), acme(Id=upper, ERP_Id__c="KEY")) == [
        "created",
        "created",
    ]
    assert len(tables_of(app)["account"]) == 2


def test_one_bad_record_of_a_hundred_costs_itself_only(app: Flask) -> None:
    """A constraint of the database: nobody can see it coming."""
    records = [acme(Id=new_id("001"), ERP_Id__c=f"A-{i}", Rating="refused" if i == 42 else "Hot") for i in range(100)]
    outcomes = send(app, *records)
    assert Counter(outcomes) == {"created": 99, "quarantined": 1}
    assert outcomes[42] == "quarantined"
    with parts_of(app).engine.connect() as connection:
        [entry] = connection.execute(tables.quarantine.select()).mappings()
    assert entry["error"] == "ConstraintViolated"
    assert "<sf:Rating>refused</sf:Rating>" in entry["fragment"]
    assert "Traceback" in entry["traceback"]
    assert (entry["action_id"], entry["sobject"]) == (ACTION, "Account")


def test_values_that_cannot_be_read_and_objects_without_a_class(app: Flask) -> None:
    assert send(app, acme(AnnualRevenue="a lot"), acme(Id=TWO, ERP_Id__c="A-2")) == ["quarantined", "created"]
    answer = post(app, compose("Opportunity", {"Name": "Big"}))
    assert answer.ack
    assert list(answer.outcomes.values()) == ["quarantined"]
    with parts_of(app).engine.connect() as connection:
        kept = tables.quarantine.c
        reasons = connection.scalars(select(kept.reason).order_by(kept.id)).all()
    assert reasons == [
        "AnnualRevenue holds 'a lot', expected a number",
        "No mapped class takes Opportunity. Put its WSDL into the WSDL folder, or declare a class for it, and restart.",
    ]


def test_text_of_any_length_and_any_letters(app: Flask) -> None:
    long = "ß🦔\n" * 40_000
    assert send(app, acme(Name=long)) == ["created"]
    assert tables_of(app)["account"][0]["name"] == long
    assert send(app, acme(ERP_Id__c="k" * 256, Id=TWO)) == ["quarantined"]


def test_a_repeat_is_counted_whether_somebody_watches_or_not(app: Flask) -> None:
    engine, ids = parts_of(app).engine, [new_id("04l")]
    with statements(engine):
        assert [send(app, acme(), notification_ids=ids)[0] for _ in range(2)] == ["created", "duplicate"]
    assert send(app, acme(), notification_ids=ids) == ["duplicate"]
    with engine.connect() as connection:
        assert connection.scalars(select(tables.notification.c.repeats)).all() == [2]


@pytest.mark.parametrize("kind", ["created", "updated", "unchanged"])
def test_the_number_of_statements_does_not_grow(app: Flask, kind: str) -> None:
    """At most two for each class table plus four, for one notification and for a hundred."""
    engine, numbers = parts_of(app).engine, []
    for count, first in ((1, 0), (100, 100)):
        ids = [new_id("001") for _ in range(count)]

        def partners(name: str, second: int, ids: list[str] = ids, first: int = first) -> list[dict[str, Any]]:
            common = {"RecordTypeId": PARTNER, "Tier__c": name, "Name": name, "SystemModstamp": at(second)}
            return [{"Id": record_id, "ERP_Id__c": f"A-{first + i}", **common} for i, record_id in enumerate(ids)]

        if kind == "created":
            send(app, acme(Id=new_id("001"), ERP_Id__c=f"warm-{first}", RecordTypeId=PARTNER, Tier__c="a"))
        else:
            send(app, *partners("a", 1))
        with statements(engine) as sent:
            outcomes = send(app, *partners("b" if kind == "updated" else "a", 2 if kind == "updated" else 1))
        assert set(outcomes) == {kind}
        numbers.append(len(of_the_message(sent)))
    assert numbers[0] == numbers[1], sent
    assert numbers[1] <= 2 * 2 + 4, sent


def test_the_same_message_in_the_same_moment(app: Flask, signals: Recorder) -> None:
    """Eight threads, one message: stored once, acknowledged eight times."""
    records = [acme(Id=new_id("001"), ERP_Id__c=f"A-{i}") for i in range(20)]
    body = compose("Account", *records)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(app, body), range(8)))
    assert all(answer.ack for answer in answers)
    outcomes = Counter(outcome for answer in answers for outcome in answer.outcomes.values())
    assert outcomes == {"created": 20, "duplicate": 140}
    assert len(tables_of(app)["account"]) == 20
    assert len([sent for sent in signals if sent.signal == "committed"]) == 20


def test_overlapping_messages_in_opposite_order(app: Flask) -> None:
    records = [acme(Id=new_id("001"), ERP_Id__c=f"A-{i}") for i in range(30)]
    bodies = [
        compose(
            "Account",
            *({**r, "Name": f"{turn}", "SystemModstamp": at(turn)} for r in records[:: 1 if turn % 2 else -1]),
        )
        for turn in range(12)
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: post(app, body), bodies))
    assert all(answer.ack for answer in answers), [answer.fault for answer in answers]
    assert {row["name"] for row in tables_of(app)["account"]} == {"11"}


def test_a_database_without_tables_is_no_reason_to_quarantine(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("DROP TABLE partner_account"))
    answer = send_message(app, acme())
    assert (answer.status, answer.ack) == (503, False)
    with parts_of(app).engine.connect() as connection:
        assert connection.execute(tables.notification.select()).all() == []


def test_references_hold_ids_of_18_characters(make_app: MakeApp, database_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        account: Mapped[Account | None] = Reference("AccountId", "Account")

    app = make_app(database_url, base)
    post(app, compose("Contact", {"Id": "003000000000001AAA", "AccountId": "001000000000abc"}))
    with Session(parts_of(app).engine) as session:
        contact = session.get_one(Contact, "003000000000001AAA")
        assert contact.account_id == "001000000000abcAAA"
        assert [contact.account] == [None]
        post(app, compose("Account", {"Id": "001000000000abcAAA", "Name": "Here now"}))
        session.rollback()
        arrived: Any = contact.account
        assert arrived.name == "Here now"


def test_keys_move_on_a_connection_of_yours_that_is_older_than_the_receiver(
    make_app: MakeApp, sqlite_url: str, account: Any, base: Any
) -> None:
    """SQLite forgets foreign keys with each connection, and the pool of your engine may hold one already."""
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    app = Flask("users_app")
    app.config.update(OMRECEIVER_WSDL_DIR="nowhere", TESTING=True)
    upgrade(engine, OutboundMessages(base, engine).init_app(app).models)

    assert send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold")) == ["created"]
    assert send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold", ERP_Id__c="A-9")) == ["rekeyed"]

    assert {name: [row["external_id"] for row in rows] for name, rows in tables_of(app).items()} == {
        "account": ["A-9"],
        "partner_account": ["A-9"],
    }
    engine.dispose()


def test_receivers_get_a_record_with_a_joined_collection_of_yours(
    make_app: MakeApp, database_url: str, base: Any
) -> None:
    class Note(base, sobject="Note"):  # type: ignore[call-arg]
        parent_id: Mapped[str | None] = Field("ParentId")

    class Case(base, sobject="Case"):  # type: ignore[call-arg]
        notes: Mapped[list[Any]] = relationship(
            Note,
            primaryjoin=lambda: foreign(Note.parent_id) == Case.salesforce_id,
            lazy="joined",
            viewonly=True,
        )

    app, seen = make_app(database_url, base), []
    case = "500000000000001AAA"
    post(app, compose("Note", {"ParentId": case}, {"ParentId": case}))
    with post_save.connected_to(lambda sender, instance, **_: seen.append(len(instance.notes))):
        answer = post(app, compose("Case", {"Id": case}))
    assert list(answer.outcomes.values()) == ["created"]
    assert seen == [2]


def test_a_key_that_pre_save_sets_is_folded_as_any_other(
    make_app: MakeApp, database_url: str, base: Any, signals: Recorder
) -> None:
    class Lead(base, sobject="Lead"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Email", case_sensitive=False)

    app = make_app(database_url, base)

    def set_key(sender: Any, instance: Any, **_: Any) -> None:
        instance.external_id, instance.child_name = " ANN@Example.com ", "Somebody"

    with pre_save.connected_to(set_key):
        answer = post(app, compose("Lead", {"Email": "bob@example.com"}))
    assert list(answer.outcomes.values()) == ["created"]
    [row] = tables_of(app)["lead"]
    assert (row["external_id"], row["child_name"]) == ("ann@example.com", "Lead")


def test_what_is_in_quarantine_is_a_duplicate_when_it_comes_again(app: Flask) -> None:
    """Its record is not here, so only the ledger's key tells."""
    bad = new_id("04l")
    assert send(app, acme(Rating="refused"), notification_ids=[bad]) == ["quarantined"]
    assert send(app, acme(Rating="refused"), notification_ids=[bad]) == ["duplicate"]
    with parts_of(app).engine.connect() as connection:
        assert len(connection.execute(tables.quarantine.select()).all()) == 1


def test_a_repeated_notification_does_not_bring_back_a_record_that_was_removed(app: Flask) -> None:
    once = new_id("04l")
    send(app, acme(), notification_ids=[once])
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("DELETE FROM account"))
    both = send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2"), notification_ids=[once, new_id("04l")])
    assert both == ["duplicate", "created"]
    assert [row["external_id"] for row in tables_of(app)["account"]] == ["A-2"]


def test_a_key_that_changes_hands_in_one_message_leaves_two_records(app: Flask) -> None:
    send(app, acme(Name="one"))
    moved, taker = (
        acme(ERP_Id__c="A-9", Name="one", SystemModstamp=at(2)),
        acme(Id=TWO, Name="two", SystemModstamp=at(2)),
    )
    assert send(app, moved, taker) == ["rekeyed", "created"]
    held = [(row["external_id"], row["salesforce_id"], row["name"]) for row in tables_of(app)["account"]]
    assert held == [("A-1", TWO, "two"), ("A-9", ONE, "one")]


def test_a_leaf_whose_fields_are_not_sent_moves_with_its_key(app: Flask) -> None:
    send(app, acme(RecordTypeId=PARTNER))
    moved = {"Id": ONE, "ERP_Id__c": "A-9", "RecordTypeId": PARTNER, "SystemModstamp": at(2)}
    assert send(app, moved, action_id="04kxx00000000zzBAA") == ["rekeyed"]
    assert [row["external_id"] for row in tables_of(app)["partner_account"]] == ["A-9"]


def test_a_message_that_waited_for_another_sees_all_of_it(app: Flask) -> None:
    """The second message waits for the first one's lock; what it then reads must be new in every table."""
    partner = acme(RecordTypeId=PARTNER, Tier__c="x")
    send(app, partner)
    has_written = threading.Event()

    def hold(sender: type, instance: Any, **kwargs: object) -> None:
        if instance.tier == "y":
            has_written.set()
            time.sleep(0.5)

    with post_save.connected_to(hold), ThreadPoolExecutor(1) as pool:
        second = pool.submit(send, app, {**partner, "Tier__c": "y", "SystemModstamp": at(2)})
        assert has_written.wait(10)
        assert send(app, {**partner, "Tier__c": "x", "SystemModstamp": at(3)}) == ["updated"]
        assert second.result() == ["updated"]
    assert [row["tier"] for row in tables_of(app)["partner_account"]] == ["x"]
