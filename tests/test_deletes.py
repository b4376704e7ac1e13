"""Records that were deleted in Salesforce: who tells it, what goes, what stays, and what does not come back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from omreceiver import (
    Change,
    ExternalId,
    Field,
    Tombstone,
    committed,
    post_delete,
    post_save,
    pre_delete,
    pre_save,
)
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.signals import recording
from omreceiver.store import tables
from omreceiver.testing import compose
from omreceiver.testing.replay import Replayed, post
from tests.accounts import ONE, PARTNER, TWO, at
from tests.conftest import MakeApp, tables_of
from tests.wsdls import select_fields

DELETED = Tombstone("Deleted_Object__c", record_id="Object_Id__c", sobject="Object_Type__c")
SIGNALS = (pre_save, post_save, pre_delete, post_delete, committed)


def declare(base: Any, on_delete: str) -> Any:
    class Account(base, sobject="Account", on_delete=on_delete):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")
        notes: Mapped[str | None]

    return Account


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    # SQLAlchemy holds classes weakly
    account = declare(base, "delete")
    return make_app(database_url, [account, *account.__subclasses__(), DELETED])


@pytest.fixture
def marking(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    account = declare(base, "mark")
    return make_app(database_url, [account, *account.__subclasses__(), DELETED])


def acme(second: int = 1, **fields: Any) -> dict[str, Any]:
    record = {"Id": ONE, "ERP_Id__c": "A-1", "Name": "Acme", "RecordTypeId": PARTNER, "Tier__c": "Gold"}
    return {**record, "SystemModstamp": at(second), **fields}


def send(app: Flask, *records: Mapping[str, Any], sobject: str = "Account", **options: Any) -> list[str]:
    answer = send_message(app, *records, sobject=sobject, **options)
    assert answer.ack, answer
    assert answer.receipt is not None
    for settled in answer.receipt.settled:
        print(settled.outcome, settled.error or "", settled.traceback or "")
    return [answer.outcomes[n.id] for n in answer.receipt.message.notifications]


def send_message(app: Flask, *records: Mapping[str, Any], sobject: str = "Account", **options: Any) -> Replayed:
    return post(app, compose(sobject, *records, **options))


def tombstone(app: Flask, second: int, record_id: str = ONE, sobject: str | None = "Account") -> list[str]:
    """What an Apex delete trigger has written, as its own outbound message tells it."""
    record = {"Object_Id__c": record_id, "Object_Type__c": sobject, "SystemModstamp": at(second)}
    return send(app, {name: value for name, value in record.items() if value}, sobject="Deleted_Object__c")


def counts(app: Flask) -> dict[str, int]:
    return {name: len(rows) for name, rows in tables_of(app).items()}


def gone(app: Flask) -> dict[str, datetime]:
    with parts_of(app).engine.connect() as connection:
        t = tables.tombstone.c
        return {row.salesforce_id: row.deleted_at for row in connection.execute(select(t.salesforce_id, t.deleted_at))}


# -- who tells it -----------------------------------------------------------------------------------------------------


def test_is_deleted_removes_the_rows_of_every_class(app: Flask) -> None:
    send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2"))
    assert send(app, acme(2, IsDeleted="true")) == ["deleted"]
    assert counts(app) == {"account": 1, "partner_account": 1}


def test_is_deleted_that_is_false_is_a_save(app: Flask) -> None:
    assert send(app, acme(IsDeleted="false")) == ["created"]


def test_a_tombstone_names_the_record(app: Flask) -> None:
    send(app, acme())
    assert tombstone(app, 2) == ["deleted"]
    assert counts(app) == {"account": 0, "partner_account": 0}


@pytest.mark.parametrize("sobject", [None, "Kunde", "Account"])
def test_a_tombstone_without_an_sobject_that_is_known_is_looked_for_in_all(app: Flask, sobject: str | None) -> None:
    send(app, acme())
    assert tombstone(app, 2, sobject=sobject) == ["deleted"]
    assert counts(app)["account"] == 0


def test_a_tombstone_of_15_characters(app: Flask) -> None:
    record_id = "001M000000qfPySIAU"
    send(app, acme(Id=record_id))
    assert tombstone(app, 2, record_id[:15]) == ["deleted"]
    assert counts(app)["account"] == 0


def test_a_tombstone_that_names_no_record_is_quarantined(app: Flask) -> None:
    assert tombstone(app, 2, "the account") == ["quarantined"]


def test_a_message_of_a_hundred_tombstones(app: Flask) -> None:
    ids = [f"001000000000{number:03d}AAA" for number in range(100)]
    send(app, *(acme(Id=each, ERP_Id__c=each) for each in ids))
    told = [{"Object_Id__c": each, "Object_Type__c": "Account", "SystemModstamp": at(2)} for each in ids[:99]]
    assert send(app, *told, sobject="Deleted_Object__c") == ["deleted"] * 99
    assert counts(app) == {"account": 1, "partner_account": 1}


def test_a_notification_without_anything_is_empty(app: Flask) -> None:
    """Salesforce: "if a record is deleted before delivery, the notification contains no data"."""
    send(app, acme())
    body = compose("Account", acme()).replace(b"sf:", b"none:").replace(b"xmlns:none:", b"xmlns:sf:")
    start, end = body.index(b"<sObject"), body.index(b"</sObject>") + len(b"</sObject>")
    answer = post(app, body[:start] + body[end:])
    assert list(answer.outcomes.values()) == ["empty"]
    assert counts(app)["account"] == 1


def test_one_that_holds_the_id_only_names_the_record_that_was_deleted_before_delivery(app: Flask) -> None:
    """No record lacks a SystemModstamp, and its action has sent one before."""
    send(app, acme())
    assert send(app, {"Id": ONE}) == ["deleted"]
    assert send(app, {"Id": TWO}) == ["empty"]
    assert counts(app)["account"] == 0


def test_one_whose_action_selects_nothing_but_the_id_is_a_save(make_app: MakeApp, sqlite_url: str, base: Any) -> None:
    class Lead(base, sobject="Lead"):  # type: ignore[call-arg]
        pass

    assert send(make_app(sqlite_url, base), {"Id": "00Q000000000001AAA"}, sobject="Lead") == ["created"]


# -- what does not come back ------------------------------------------------------------------------------------------


def test_an_older_save_does_not_bring_the_record_back_and_a_newer_one_does(app: Flask) -> None:
    send(app, acme())
    send(app, acme(5, IsDeleted="true"))
    assert send(app, acme(3)) == ["stale"]
    assert send(app, acme(5)) == ["stale"]
    assert counts(app)["account"] == 0
    assert send(app, acme(6, Name="Back")) == ["created"]
    assert gone(app) == {}


def test_a_delete_may_come_before_the_record(app: Flask) -> None:
    assert tombstone(app, 5) == ["deleted"]
    assert send(app, acme(4)) == ["stale"]
    assert send(app, acme(6)) == ["created"]


def test_a_delete_that_comes_after_the_undelete_is_stale(app: Flask) -> None:
    send(app, acme(6))
    assert tombstone(app, 5) == ["stale"]
    assert send(app, acme(5, IsDeleted="true")) == ["stale"]
    assert counts(app)["account"] == 1


def test_a_delete_twice(app: Flask) -> None:
    send(app, acme())
    assert [tombstone(app, 2), tombstone(app, 3)] == [["deleted"], ["deleted"]]
    assert gone(app) == {ONE: at(3)}


def test_the_same_tombstone_again_is_a_duplicate(app: Flask) -> None:
    record = {"Object_Id__c": ONE, "SystemModstamp": at(2)}
    ids = ["04l000000000001AAA"]
    assert send(app, record, sobject="Deleted_Object__c", notification_ids=ids) == ["deleted"]
    assert send(app, record, sobject="Deleted_Object__c", notification_ids=ids) == ["duplicate"]


def test_a_save_and_a_delete_in_one_message(app: Flask) -> None:
    send(app, acme(1))
    assert send(app, acme(3, IsDeleted="true"), acme(2, Name="Late")) == ["deleted", "stale"]
    assert send(app, acme(5, Name="Back"), acme(4, IsDeleted="true")) == ["created", "stale"]
    assert send(app, acme(6), acme(6, IsDeleted="true")) == ["stale", "deleted"]


def test_a_tombstone_without_a_stamp_counts_from_its_arrival(app: Flask) -> None:
    send(app, acme())
    assert send(app, {"Object_Id__c": ONE, "Object_Type__c": "Account"}, sobject="Deleted_Object__c") == ["deleted"]
    assert send(app, acme(59)) == ["stale"]
    assert abs(gone(app)[ONE] - datetime.now(UTC)).total_seconds() < 60


# -- what receivers hear ----------------------------------------------------------------------------------------------


def test_receivers_hear_of_it_with_the_last_values(app: Flask) -> None:
    send(app, acme())
    with recording(*SIGNALS) as sent:
        send(app, acme(2, IsDeleted="true"))
    assert [each.signal for each in sent] == ["pre_delete", "post_delete", "committed"]
    for sender, arguments in ((each.sender, each.arguments) for each in sent):
        assert sender.__name__ == "PartnerAccount"
        assert (arguments["instance"].name, arguments["instance"].tier) == ("Acme", "Gold")
        assert (arguments["deleted"], arguments["created"]) == (True, False)
        assert arguments["changed"]["tier"] == Change("Gold", None)


def test_pre_delete_has_the_record_in_its_session(app: Flask) -> None:
    send(app, acme())
    seen = []

    def on_delete(sender: Any, instance: Any, session: Session, **_: Any) -> None:
        seen.append((instance in session, session.get(sender, "A-1") is instance))

    with pre_delete.connected_to(on_delete):
        send(app, acme(2, IsDeleted="true"))
    assert seen == [(True, True)]


def test_one_that_raises_keeps_the_record_and_quarantines_the_notification(app: Flask) -> None:
    send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2"))

    def refuse(sender: Any, instance: Any, **_: Any) -> None:
        if instance.external_id == "A-1":
            raise ValueError("not this one")

    with pre_delete.connected_to(refuse):
        told = send(app, acme(2, IsDeleted="true"), acme(2, Id=TWO, ERP_Id__c="A-2", IsDeleted="true"))
    assert told == ["quarantined", "deleted"]
    assert [row["external_id"] for row in tables_of(app)["account"]] == ["A-1"]


def test_a_constraint_of_the_users_own_keeps_it_too(make_app: MakeApp, database_url: str, base: Any) -> None:
    account = declare(base, "delete")

    class Order(base, sobject="Order"):  # type: ignore[call-arg]
        account_key: Mapped[str | None] = mapped_column(ForeignKey(account.external_id))

    app = make_app(database_url, base)
    send(app, acme())
    send(app, {"Id": "801000000000001AAA"}, sobject="Order")
    with Session(parts_of(app).engine) as session, session.begin():
        session.scalars(select(Order)).one().account_key = "A-1"
    assert send(app, acme(2, IsDeleted="true")) == ["quarantined"]
    assert counts(app)["account"] == 1
    with Session(parts_of(app).engine) as session, session.begin():
        session.execute(delete(Order))


def test_a_delete_that_is_stale_or_of_no_record_sends_nothing(app: Flask) -> None:
    send(app, acme(6))
    with recording(*SIGNALS) as sent:
        send(app, acme(5, IsDeleted="true"))
        tombstone(app, 2, TWO)
    assert sent == []


# -- marked -----------------------------------------------------------------------------------------------------------


def marked(app: Flask) -> Any:
    [row] = tables_of(app)["account"]
    return row["name"], row["modstamp"], row["deleted_at"]


def test_a_class_that_marks_keeps_its_rows(marking: Flask) -> None:
    send(marking, acme())
    assert tombstone(marking, 5) == ["deleted"]
    assert counts(marking) == {"account": 1, "partner_account": 1}
    assert marked(marking) == ("Acme", at(1), at(5))


def test_is_deleted_marks_and_brings_the_last_values(marking: Flask) -> None:
    send(marking, acme())
    assert send(marking, acme(5, Name="Acme at last", IsDeleted="true")) == ["deleted"]
    assert marked(marking) == ("Acme at last", at(5), at(5))


def test_what_was_saved_before_still_arrives_and_the_mark_stays(marking: Flask) -> None:
    send(marking, acme(1))
    tombstone(marking, 5)
    assert send(marking, acme(3, Name="Renamed")) == ["updated"]
    assert marked(marking) == ("Renamed", at(3), at(5))


def test_a_newer_save_takes_the_mark_away(marking: Flask) -> None:
    send(marking, acme(1))
    tombstone(marking, 5)
    assert send(marking, acme(6)) == ["updated"]
    assert marked(marking) == ("Acme", at(6), None)
    assert tombstone(marking, 5) == ["stale"]


def test_a_second_notification_without_data_tells_nothing_new(marking: Flask) -> None:
    """Of each change that was waiting one is sent: the mark stays where it was, and nobody is told again."""
    send(marking, acme())
    assert send(marking, {"Id": ONE}) == ["deleted"]
    before = tables_of(marking)
    with recording(*SIGNALS) as sent:
        assert send(marking, {"Id": ONE}) == ["empty"]
    assert (sent, tables_of(marking)) == ([], before)


def test_a_mark_may_come_before_the_record(marking: Flask) -> None:
    tombstone(marking, 5)
    assert send(marking, acme(3)) == ["created"]
    assert marked(marking) == ("Acme", at(3), at(5))
    assert send(marking, acme(6)) == ["updated"]
    assert marked(marking)[2] is None


def test_receivers_hear_of_a_mark_as_of_a_delete(marking: Flask) -> None:
    send(marking, acme())
    with recording(*SIGNALS) as sent:
        tombstone(marking, 5)
    assert [each.signal for each in sent] == ["pre_delete", "post_delete", "committed"]
    assert [each.instance.name for each in sent] == ["Acme"] * 3


def test_a_record_that_takes_over_the_row_of_a_marked_one_lives(marking: Flask) -> None:
    send(marking, acme(1))
    tombstone(marking, 2)
    assert send(marking, acme(3, Id=TWO, Name="Acme again")) == ["updated"]
    assert marked(marking) == ("Acme again", at(3), None)


# -- what is declared -------------------------------------------------------------------------------------------------


def test_the_setting_says_it_for_built_classes(make_app: MakeApp, sqlite_url: str, tmp_path: Any) -> None:
    select_fields(tmp_path, "Account", Name="string", SystemModstamp="dateTime")
    app = make_app(sqlite_url, wsdl_dir=tmp_path, OMRECEIVER_ON_DELETE="mark")
    send(app, {"Id": ONE, "Name": "Acme", "SystemModstamp": at(1)})
    send(app, {"Id": ONE, "Name": "Acme", "SystemModstamp": at(2), "IsDeleted": "true"})
    assert tables_of(app)["account"][0]["deleted_at"] == at(2)


def test_on_delete_is_the_roots_to_say(base: Any) -> None:
    account = declare(base, "delete")
    with pytest.raises(DeclarationError, match="Write it on Account"):
        type("Other", (account,), {"__module__": __name__}, on_delete="mark")
    with pytest.raises(DeclarationError, match='expected "delete" or "mark"'):
        type("Wrong", (base,), {"__module__": __name__}, sobject="Wrong", on_delete="keep")


def test_a_tombstone_is_no_record(base: Any, make_app: MakeApp, sqlite_url: str, tmp_path: Any) -> None:
    select_fields(tmp_path, "Deleted_Object__c", Object_Id__c="string", Object_Type__c="string")
    account = declare(base, "delete")
    app = make_app(sqlite_url, [account, DELETED], wsdl_dir=tmp_path)
    assert parts_of(app).models.sobjects == ["Account"]


def test_a_deletion_that_brings_another_key_and_class_along_is_told_of_the_record_as_it_was(marking: Flask) -> None:
    send(marking, acme(1))
    with recording(*SIGNALS) as sent:
        assert send(marking, acme(3, ERP_Id__c="A-9", RecordTypeId=None, IsDeleted="true")) == ["deleted"]
    assert [each.signal for each in sent] == ["pre_delete", "post_delete", "committed"]
    assert [(each.instance.external_id, each.instance.tier) for each in sent] == [("A-1", "Gold")] * 3


def test_the_deletion_of_what_was_never_here_is_told_to_nobody(marking: Flask) -> None:
    with recording(*SIGNALS) as sent:
        assert send(marking, acme(3, IsDeleted="true")) == ["deleted"]
    assert (sent, marked(marking)) == ([], ("Acme", at(3), at(3)))


def test_a_column_of_yours_may_be_named_deleted_at_where_nothing_is_marked(
    make_app: MakeApp, database_url: str, base: Any
) -> None:
    class Lead(base, sobject="Lead"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Key__c")
        deleted_at: Mapped[str | None] = Field("Deleted_At__c")

    app = make_app(database_url, base)
    for record_id, key, second in (("1", "A", 1), ("2", "B", 1), ("1", "B", 2), ("3", "B", 3), ("2", "B", 2)):
        lead = {
            "Id": f"00Q00000000000{record_id}EAA",
            "Key__c": key,
            "Deleted_At__c": "noon",
            "SystemModstamp": at(second),
        }
        assert "quarantined" not in send(app, lead, sobject="Lead")
    assert {row["external_id"]: row["deleted_at"] for row in tables_of(app)["lead"]}["B"] == "noon"


# -- in one second ----------------------------------------------------------------------------------------------------


def test_a_record_deleted_in_the_second_of_its_save_is_deleted(app: Flask) -> None:
    send(app, acme(5))
    assert tombstone(app, 5) == ["deleted"]
    assert counts(app)["account"] == 0


def test_a_record_marked_in_the_second_of_its_save_is_marked(marking: Flask) -> None:
    send(marking, acme(5))
    assert send(marking, acme(5, IsDeleted="true")) == ["deleted"]
    assert marked(marking)[2] == at(5)


def test_a_save_of_the_second_in_which_a_record_was_deleted_does_not_bring_it_back(marking: Flask) -> None:
    send(marking, acme(1))
    tombstone(marking, 5)
    send(marking, acme(5))
    assert marked(marking)[2] == at(5)


# -- keys of what is marked -------------------------------------------------------------------------------------------


def test_a_marked_record_whose_row_was_given_away_does_not_come_back(marking: Flask) -> None:
    send(marking, acme(1), acme(1, Id=TWO, ERP_Id__c="A-2"))
    tombstone(marking, 2)
    assert send(marking, acme(3, Id=TWO)) == ["rekeyed"]
    assert send(marking, acme(1, ERP_Id__c="A-9")) == ["stale"]
    assert [row["salesforce_id"] for row in tables_of(marking)["account"]] == [TWO]


def test_a_record_whose_key_is_its_id_is_marked_and_stays(make_app: MakeApp, database_url: str, base: Any) -> None:
    account = declare(base, "mark")
    records = [account, *account.__subclasses__(), DELETED]
    app = make_app(database_url, records, OMRECEIVER_MISSING_EXTERNAL_ID="use-salesforce-id")
    send(app, acme(Id=TWO, ERP_Id__c="A-2"))
    assert send(app, {name: value for name, value in acme().items() if name != "ERP_Id__c"}) == ["created"]
    assert tombstone(app, 5) == ["deleted"]
    held = {row["external_id"]: row["deleted_at"] for row in tables_of(app)["account"]}
    assert held == {ONE: at(5), "A-2": None}


def test_a_deletion_that_does_not_tell_the_class_marks_all_the_same(marking: Flask) -> None:
    send(marking, acme(1))
    told = {"Id": ONE, "ERP_Id__c": "A-1", "Name": "Acme", "SystemModstamp": at(5), "IsDeleted": "true"}
    assert send(marking, told, action_id="04kxx00000000zzBAA") == ["deleted"]
    assert marked(marking) == ("Acme", at(5), at(5))
    assert counts(marking) == {"account": 1, "partner_account": 1}
