"""db rebuild: the records built anew from kept messages, beside the tables; what differs is told, and mended."""

from __future__ import annotations

import enum
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from sqlalchemy import CheckConstraint, Enum, ForeignKey, create_engine, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from omreceiver import ExternalId, Field, pre_save
from omreceiver.app import parts_of
from omreceiver.errors import ConfigurationError
from omreceiver.records.models import Models
from omreceiver.redo import rebuild, rebuilding
from omreceiver.store import quarantine, tables
from omreceiver.store.comparing import Comparison
from omreceiver.store.scratch import scratch
from omreceiver.store.upgrade import upgrade
from omreceiver.testing import Recorder
from tests.accounts import FOUR, ONE, PARTNER, THREE, TWO, at, send
from tests.conftest import MakeApp, tables_of
from tests.convergence import Story
from tests.convergence_run import DELETED, VERBS, Player, declare, stories, write_wsdls
from tests.databases import SPACE
from tests.wsdls import select_fields

OTHER = "04kxx00000000zzAAA"
MARTA = "003000000000001AAA"
M = tables.message.c


class Mood(enum.Enum):
    GOOD = 1
    BAD = 2


@pytest.fixture
def accounts(base: Any) -> list[Any]:
    """Account, with columns, defaults and constraints of the user's own; a class of the user's own below."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
        mood: Mapped[Mood] = mapped_column(Enum(Mood), default=Mood.GOOD)
        approved: Mapped[int] = mapped_column(default=1)
        __table_args__ = (CheckConstraint("approved = 1 OR name <> 'Acme'"), {"mysql_charset": "utf8mb4"})

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")
        notes: Mapped[str | None]

    class KeyAccount(PartnerAccount):
        discount: Mapped[Decimal | None] = Field("Discount__c")

    return [Account, PartnerAccount, KeyAccount]


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any, accounts: list[Any]) -> Flask:
    class Contact(base, sobject="Contact", on_delete="mark"):  # type: ignore[call-arg]
        last_name: Mapped[str | None] = Field("LastName")
        customer: Mapped[str | None] = mapped_column(ForeignKey("account.external_id", onupdate="CASCADE"))

    return make_app(database_url, [*accounts, Contact])


def acme(second: int = 1, **fields: Any) -> dict[str, Any]:
    return {"Id": ONE, "ERP_Id__c": "A-1", "Name": "Acme", "SystemModstamp": at(second), **fields}


def partner(second: int = 1, **fields: Any) -> dict[str, Any]:
    return acme(second, **{"Id": TWO, "ERP_Id__c": "A-2", "RecordTypeId": PARTNER, "Tier__c": "Gold", **fields})


def marta(second: int = 1, **fields: Any) -> dict[str, Any]:
    return {"Id": MARTA, "LastName": "Muster", "SystemModstamp": at(second), **fields}


def damage(app: Flask, *statements: str) -> None:
    with parts_of(app).engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def insert_row(app: Flask, row: dict[str, Any]) -> None:
    """Put a row back into the root of accounts."""
    [account] = [table for table in parts_of(app).models.tables() if table.name == "account"]
    with parts_of(app).engine.begin() as connection:
        connection.execute(account.insert(), row)


def restore(app: Flask, backup: dict[str, list[dict[str, Any]]]) -> None:
    """Have the class tables hold what they held."""
    class_tables = parts_of(app).models.tables()
    with parts_of(app).engine.begin() as connection:
        for table in reversed(class_tables):
            connection.execute(table.delete())
        for table in class_tables:
            for row in backup[table.name]:
                connection.execute(table.insert(), row)


def everything(app: Flask) -> dict[str, Any]:
    """Every row of every table, ours included."""
    with parts_of(app).engine.connect() as connection:
        kept = {table.name: connection.execute(table.select()).all() for table in tables.metadata.sorted_tables}
    return {**tables_of(app), **{name: sorted(map(repr, rows)) for name, rows in kept.items()}}


def told(found: Comparison) -> dict[str, tuple[str, dict[str, tuple[Any, Any]]]]:
    """Salesforce ID → what is wrong, and column → (there, rebuilt)."""
    return {
        each.salesforce_id: (str(each.what), {name: (there, rebuilt) for name, there, rebuilt in each.columns()})
        for each in found.differences
    }


def mended(app: Flask) -> dict[str, tuple[str, dict[str, tuple[Any, Any]]]]:
    """What a rebuild tells and writes; when it has written, another one finds nothing."""
    first = told(rebuild(parts_of(app)))
    assert told(rebuild(parts_of(app), write=True)) == first
    assert told(rebuild(parts_of(app))) == {}
    return first


# -- nothing is wrong -------------------------------------------------------------------------------------------------


def live(app: Flask) -> None:
    """A life: of each outcome something, and a key that moves through the tables of a class below."""
    assert send(app, acme(), partner()) == ["created", "created"]
    assert send(app, partner(2, ERP_Id__c="A-9")) == ["rekeyed"]
    assert send(app, acme(2, Name="Acme Ltd", AnnualRevenue=Decimal("1000000.5"), Phone="+1")) == ["updated"]
    assert send(app, acme(1, Name="late")) == ["stale"]
    assert send(app, acme(3, RecordTypeId=PARTNER, Name="Acme Ltd")) == ["retyped"]
    assert send(app, acme(1, Id=THREE, ERP_Id__c="A-3")) == ["created"]
    assert send(app, acme(2, Id=THREE, ERP_Id__c="A-3", IsDeleted="true")) == ["deleted"]
    assert send(app, acme(1, Id=FOUR, ERP_Id__c="A-4", AnnualRevenue="a lot")) == ["quarantined"]
    assert send(app, marta(), sobject="Contact") == ["created"]
    assert send(app, marta(2, IsDeleted="true"), sobject="Contact") == ["deleted"]
    assert send(app, {"Name": "Big"}, sobject="Opportunity") == ["quarantined"]


def test_where_nothing_is_wrong_nothing_is_told(app: Flask, signals: Recorder) -> None:
    """And nothing is touched: no record, no line of the ledger, no receiver."""
    live(app)
    before = everything(app)
    signals.clear()
    found = rebuild(parts_of(app))
    assert told(found) == {}
    assert (found.equal, found.fresher, found.unnamed) == (3, 0, 0)
    assert rebuild(parts_of(app), write=True).differences == []
    assert everything(app) == before
    assert not list(signals)


def test_a_user_column_and_a_class_of_the_user_are_no_differences(app: Flask, accounts: list[Any]) -> None:
    """Nor is that a constraint of the user's own would refuse the record as it came."""
    live(app)
    damage(
        app,
        "INSERT INTO key_account (external_id, discount) VALUES ('A-9', NULL)",
        "UPDATE account SET child_name = 'KeyAccount', mood = 'BAD' WHERE external_id = 'A-9'",
        "UPDATE partner_account SET notes = 'mine'",
    )
    assert send(app, partner(3, ERP_Id__c="A-9", Discount__c="7.5")) == ["updated"]
    with Session(parts_of(app).engine) as session:
        assert session.get_one(accounts[0], "A-9").discount == Decimal("7.5")
    assert told(rebuild(parts_of(app))) == {}
    damage(app, "UPDATE key_account SET discount = 1")
    assert mended(app) == {TWO: ("differs", {"discount": (Decimal(1), Decimal("7.5"))})}


def test_signals_are_muted_while_messages_are_played_and_heard_again_then(app: Flask, signals: Recorder) -> None:
    send(app, acme())
    signals.clear()
    with rebuilding(parts_of(app)) as rebuilt:
        for number in rebuilt.play():
            assert number == 1
    assert not list(signals)
    send(app, acme(2, Name="heard"))
    assert len(signals) == 3


# -- something is wrong -----------------------------------------------------------------------------------------------


def test_columns_that_were_damaged_get_their_values_back(app: Flask) -> None:
    live(app)
    before = tables_of(app)
    damage(
        app,
        "UPDATE account SET name = 'wrong', revenue = NULL, mood = 'BAD', extra = NULL WHERE external_id = 'A-1'",
        "UPDATE partner_account SET tier = 'Lead', notes = 'mine'",
    )
    [one, _] = before["account"]
    assert mended(app) == {
        ONE: (
            "differs",
            {
                "name": ("wrong", "Acme Ltd"),
                "tier": ("Lead", None),
                "extra": (None, one["extra"]),
            },
        ),
        TWO: ("differs", {"tier": ("Lead", "Gold")}),
    }
    after = tables_of(app)
    assert [row["mood"] for row in after["account"]] == [Mood.BAD, Mood.GOOD], "a column of the user's own"
    assert [row["notes"] for row in after["partner_account"]] == ["mine", "mine"]
    assert [{**row, "mood": Mood.GOOD} for row in after["account"]] == before["account"]
    assert [{**row, "notes": None} for row in after["partner_account"]] == before["partner_account"]


def test_rows_that_were_deleted_come_back(app: Flask) -> None:
    live(app)
    before = tables_of(app)
    damage(app, "DELETE FROM partner_account", "DELETE FROM account WHERE external_id = 'A-9'")
    found = mended(app)
    assert found[ONE] == ("differs", {"partner_account": ("no row", "a row")})
    what, columns = found[TWO]
    assert (what, columns["external_id"], columns["tier"]) == ("missing", (None, "A-9"), (None, "Gold"))
    assert tables_of(app) == before


def test_a_record_that_was_deleted_goes_again(app: Flask) -> None:
    """Somebody has put it back by hand."""
    send(app, partner(1))
    rows = tables_of(app)
    assert send(app, partner(2, IsDeleted="true")) == ["deleted"]
    with parts_of(app).engine.begin() as connection:
        for table in parts_of(app).models.tables():
            if rows[table.name]:
                connection.execute(table.insert(), rows[table.name])
    assert mended(app) == {TWO: ("deleted", {})}
    assert tables_of(app)["account"] == tables_of(app)["partner_account"] == []


def test_a_record_that_was_marked_is_marked_again(app: Flask) -> None:
    live(app)
    damage(app, "UPDATE contact SET deleted_at = NULL, modstamp = NULL")
    assert mended(app) == {MARTA: ("differs", {"modstamp": (None, at(2)), "deleted_at": (None, at(2))})}


def test_a_record_goes_back_to_its_class(app: Flask) -> None:
    live(app)
    before = tables_of(app)
    damage(app, "DELETE FROM partner_account", "UPDATE account SET child_name = 'Account'")
    found = mended(app)
    assert found[ONE][1]["child_name"] == ("Account", "PartnerAccount")
    assert tables_of(app) == before


def test_keys_that_were_exchanged_are_put_back_through_every_table(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omreceiver.store.mend.BATCH", 1)
    live(app)
    before = tables_of(app)
    damage(
        app,
        "UPDATE account SET external_id = '?' WHERE external_id = 'A-1'",
        "UPDATE account SET external_id = 'A-1' WHERE external_id = 'A-9'",
        "UPDATE account SET external_id = 'A-9' WHERE external_id = '?'",
    )
    assert mended(app) == {
        ONE: ("differs", {"external_id": ("A-9", "A-1")}),
        TWO: ("differs", {"external_id": ("A-1", "A-9")}),
    }
    assert tables_of(app) == before


def test_a_key_that_is_needed_for_a_missing_record_is_given_back_first(app: Flask) -> None:
    send(app, acme(), partner())
    before = tables_of(app)
    damage(
        app,
        "DELETE FROM account WHERE external_id = 'A-1'",
        "UPDATE account SET external_id = 'A-1' WHERE external_id = 'A-2'",
    )
    found = mended(app)
    assert {record: what for record, (what, _) in found.items()} == {ONE: "missing", TWO: "differs"}
    assert tables_of(app) == before


def test_a_wrong_salesforce_id_is_found_by_the_key(app: Flask) -> None:
    send(app, acme(), partner())
    before = tables_of(app)
    damage(app, "UPDATE account SET salesforce_id = '001000000000bogAAA' WHERE external_id = 'A-2'")
    assert mended(app) == {TWO: ("differs", {"salesforce_id": ("001000000000bogAAA", TWO)})}
    assert tables_of(app) == before


def test_the_row_of_a_record_that_lost_its_key_goes_to_the_one_that_took_it(app: Flask) -> None:
    send(app, acme())
    send(app, acme(2, Id=TWO))
    damage(app, f"UPDATE account SET salesforce_id = '{ONE}', modstamp = NULL")
    assert rebuild(parts_of(app), write=True).differences
    [row] = tables_of(app)["account"]
    assert (row["external_id"], row["salesforce_id"]) == ("A-1", TWO)


def test_a_key_that_another_record_holds_is_not_taken_from_it(app: Flask) -> None:
    """What no message names may hold a key since before."""
    send(app, acme(), partner())
    damage(
        app,
        "UPDATE account SET external_id = 'B-1', name = 'wrong' WHERE external_id = 'A-1'",
        "INSERT INTO account (external_id, child_name, salesforce_id, organization_id, mood, approved)"
        " VALUES ('A-1', 'Account', '001000000000009AAA', '00D', 'GOOD', 1)",
        "UPDATE account SET modstamp = '2026-11-20 13:00:00' WHERE salesforce_id = '001000000000009AAA'",
    )
    assert mended(app) == {ONE: ("differs", {"name": ("wrong", "Acme")})}
    damage(app, f"DELETE FROM account WHERE salesforce_id = '{ONE}'")
    found = rebuild(parts_of(app))
    assert (told(found), found.fresher) == ({}, 1)


def test_a_key_goes_from_a_record_that_was_deleted_to_the_one_that_has_it_now(app: Flask) -> None:
    """An older backup was restored."""
    send(app, partner())
    backup = tables_of(app)
    send(app, partner(2, IsDeleted="true"))
    send(app, partner(3, Id=THREE))
    before = tables_of(app)
    restore(app, backup)
    assert {record: what for record, (what, _) in mended(app).items()} == {TWO: "deleted", THREE: "missing"}
    assert tables_of(app) == before


def test_a_key_that_becomes_free_is_given_back(app: Flask) -> None:
    send(app, acme())
    [row] = tables_of(app)["account"]
    send(app, acme(2, IsDeleted="true"))
    send(app, acme(3, Id=TWO))
    before = tables_of(app)
    damage(app, "UPDATE account SET external_id = 'B-1'")
    insert_row(app, row)
    assert {record: what for record, (what, _) in mended(app).items()} == {ONE: "deleted", TWO: "differs"}
    assert tables_of(app) == before


def test_keys_that_wait_for_a_record_that_stays_are_left_alone(app: Flask) -> None:
    """One cannot have its key, so it keeps another one's, who then keeps its own."""
    send(app, acme(), partner())
    damage(
        app,
        "UPDATE account SET external_id = 'B-1' WHERE external_id = 'A-2'",
        "UPDATE account SET external_id = 'A-2' WHERE external_id = 'A-1'",
        "INSERT INTO account (external_id, child_name, salesforce_id, organization_id, mood, approved)"
        " VALUES ('A-1', 'Account', '001000000000009AAA', '00D', 'GOOD', 1)",
    )
    assert mended(app) == {}
    held = {row["salesforce_id"]: row["external_id"] for row in tables_of(app)["account"]}
    assert held == {ONE: "A-2", TWO: "B-1", "001000000000009AAA": "A-1"}


def test_a_record_that_was_deleted_in_the_second_of_its_save_goes_again(app: Flask) -> None:
    send(app, acme())
    [row] = tables_of(app)["account"]
    assert send(app, acme(IsDeleted="true")) == ["deleted"]
    insert_row(app, row)
    assert mended(app) == {ONE: ("deleted", {})}


# -- what is left alone -----------------------------------------------------------------------------------------------


def test_what_is_fresher_in_the_tables_is_left_alone(app: Flask) -> None:
    live(app)
    damage(app, "UPDATE account SET modstamp = '2026-11-20 13:00:00', name = 'newer' WHERE external_id = 'A-1'")
    found = rebuild(parts_of(app), write=True)
    assert (told(found), found.equal, found.fresher) == ({}, 2, 1)
    assert tables_of(app)["account"][0]["name"] == "newer"


def test_what_is_older_in_the_tables_gets_the_stamp_too(app: Flask) -> None:
    send(app, acme(1))
    send(app, {"Id": ONE, "Phone": "+1", "SystemModstamp": at(2)}, action_id=OTHER)
    before = tables_of(app)
    damage(app, "UPDATE account SET modstamp = '2026-11-20 11:00:00', action_stamps = NULL, name = 'older'")
    [(what, columns)] = mended(app).values()
    assert (what, columns["modstamp"][1], columns["name"]) == ("differs", at(2), ("older", "Acme"))
    [row] = tables_of(app)["account"]
    assert row["action_stamps"] == before["account"][0]["action_stamps"]


def test_records_without_a_kept_message_are_counted_and_left_alone(app: Flask) -> None:
    send(app, acme())
    send(app, partner())
    damage(app, "UPDATE om_message SET body = NULL WHERE id = 1", "UPDATE account SET name = 'wrong'")
    found = rebuild(parts_of(app), write=True)
    assert told(found) == {TWO: ("differs", {"name": ("wrong", "Acme")})}
    assert found.unnamed == 1
    assert [row["name"] for row in tables_of(app)["account"]] == ["wrong", "Acme"]


def test_what_the_kept_messages_do_not_tell_is_not_compared(app: Flask) -> None:
    """Another action has set it, in a message that is pruned by now."""
    send(app, acme(1, AnnualRevenue=Decimal(7), Phone="+1"))
    send(app, {"Id": ONE, "ERP_Id__c": "A-1", "Name": "Acme", "Fax": "+2", "SystemModstamp": at(2)}, action_id=OTHER)
    damage(app, "UPDATE om_message SET body = NULL WHERE id = 1")
    assert told(rebuild(parts_of(app))) == {}
    damage(app, "UPDATE account SET revenue = 8, name = 'wrong', extra = NULL")
    assert mended(app) == {ONE: ("differs", {"name": ("wrong", "Acme"), "extra": (None, {"Fax": "+2"})})}
    assert tables_of(app)["account"][0]["revenue"] == 8


def test_a_class_that_the_kept_messages_do_not_tell_is_left(app: Flask) -> None:
    """The action that sends the record type has sent nothing for long."""
    send(app, partner(1))
    send(app, {"Id": TWO, "ERP_Id__c": "A-2", "Name": "Acme", "SystemModstamp": at(2)}, action_id=OTHER)
    damage(app, "UPDATE om_message SET body = NULL WHERE id = 1", "UPDATE account SET name = 'wrong'")
    assert mended(app) == {TWO: ("differs", {"name": ("wrong", "Acme")})}
    assert [row["tier"] for row in tables_of(app)["partner_account"]] == ["Gold"]


def test_the_field_lists_in_force_are_those_that_the_receiver_has_learned(app: Flask) -> None:
    """There is no WSDL; a message that is pruned has told that the action sends the revenue."""
    send(app, acme(1, AnnualRevenue=Decimal(7)))
    send(app, acme(2))
    damage(app, "UPDATE om_message SET body = NULL WHERE id = 1", "UPDATE account SET revenue = 7")
    assert mended(app) == {ONE: ("differs", {"revenue": (Decimal(7), None)})}


def test_what_a_class_marks_stays_though_the_message_that_saved_it_is_pruned(app: Flask) -> None:
    send(app, marta(), sobject="Contact")
    assert send(app, {"Id": MARTA}, sobject="Contact") == ["deleted"]
    before = tables_of(app)
    damage(app, "UPDATE om_message SET body = NULL WHERE id = 1")
    assert (mended(app), tables_of(app)) == ({}, before)


def test_what_was_deleted_by_a_message_that_is_pruned_stays_deleted(app: Flask) -> None:
    send(app, acme(1))
    send(app, acme(3, IsDeleted="true"))
    assert send(app, acme(2, Name="late")) == ["stale"]
    damage(app, "UPDATE om_message SET body = NULL WHERE id < 3")
    found = rebuild(parts_of(app), write=True)
    assert told(found) == {}
    assert tables_of(app)["account"] == []


def test_what_waits_in_quarantine_or_was_dropped_stays_out(app: Flask) -> None:
    """Receivers are muted in a rebuild, so that these would be stored now."""

    def refuse(sender: Any, **_: Any) -> None:
        raise ValueError("not now")

    with pre_save.connected_to(refuse):
        send(app, acme(), partner())
    quarantine.drop(parts_of(app).engine, [1])
    assert told(rebuild(parts_of(app), write=True)) == {}
    assert tables_of(app)["account"] == []


def test_what_a_message_names_while_it_runs_is_left_alone(app: Flask) -> None:
    """Without stamps nothing else tells which is the newer."""
    send(app, {"Id": ONE, "ERP_Id__c": "A-1", "Name": "before"})
    send(app, {"Id": TWO, "ERP_Id__c": "A-2", "Name": "before"})
    parts = parts_of(app)
    with rebuilding(parts) as rebuilt:
        assert list(rebuilt.play()) == [1, 2]
        damage(app, "UPDATE account SET name = 'wrong'")
        found = rebuilt.compare()
        assert set(told(found)) == {ONE, TWO}
        send(app, {"Id": ONE, "ERP_Id__c": "A-1", "Name": "since"})
        assert set(told(rebuilt.compare())) == {TWO}
        written = rebuilt.write(found)
    assert (set(told(written)), written.fresher) == ({TWO}, 1)
    assert [row["name"] for row in tables_of(app)["account"]] == ["since", "before"]


def test_a_record_that_was_deleted_while_it_runs_does_not_come_back(app: Flask) -> None:
    send(app, acme())
    with rebuilding(parts_of(app)) as rebuilt:
        list(rebuilt.play())
        send(app, acme(2, IsDeleted="true"))
        assert told(rebuilt.compare()) == {}


def test_messages_that_come_while_it_plays_are_played_too(app: Flask) -> None:
    send(app, acme())
    with rebuilding(parts_of(app)) as rebuilt:
        played = []
        for number in rebuilt.play():
            played.append(number)
            send(app, acme(number + 1, Name=f"n{number}"))
        assert played == [1, 2, 3], "it does not go on for ever"
        found = rebuilt.compare()
        assert (told(found), found.fresher) == ({}, 1)


# -- over time --------------------------------------------------------------------------------------------------------


def test_a_field_that_is_mapped_since_is_filled_from_what_came(
    make_app: MakeApp, database_url: str, tmp_path: Path
) -> None:
    """The outbound message selects Phone all along; its WSDL here says so only now."""
    select_fields(tmp_path, ERP_Id__c="string", Name="string", SystemModstamp="dateTime")
    settings = {"wsdl_dir": tmp_path, "OMRECEIVER_EXTERNAL_IDS": "Account=ERP_Id__c"}
    before = make_app(database_url, **settings)
    send(before, acme(Phone="+1"), acme(Id=TWO, ERP_Id__c="A-2", Phone="+2"))
    assert [row["extra"] for row in tables_of(before)["account"]] == [{"Phone": "+1"}, {"Phone": "+2"}]

    select_fields(tmp_path, ERP_Id__c="string", Name="string", Phone="string", SystemModstamp="dateTime")
    app = make_app(database_url, **settings)
    upgrade(parts_of(app).engine, parts_of(app).models)
    assert mended(app) == {
        ONE: ("differs", {"phone": (None, "+1"), "extra": ({"Phone": "+1"}, None)}),
        TWO: ("differs", {"phone": (None, "+2"), "extra": ({"Phone": "+2"}, None)}),
    }
    assert [(row["phone"], row["extra"]) for row in tables_of(app)["account"]] == [("+1", None), ("+2", None)]


def test_many_records_are_compared_and_written_some_at_a_time(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("comparing", "mend"):
        monkeypatch.setattr(f"omreceiver.store.{module}.BATCH", 7)
    ids = [f"0010000000000{number:02d}AAA" for number in range(40)]
    send(app, *(acme(Id=record, ERP_Id__c=f"A-{at}") for at, record in enumerate(ids)))
    before = tables_of(app)
    damage(app, "UPDATE account SET name = 'wrong'", "DELETE FROM account WHERE external_id LIKE 'A-1%'")
    found = mended(app)
    assert set(found) == set(ids)
    assert sum(what == "missing" for what, _ in found.values()) == 11
    assert tables_of(app) == before


# -- any story --------------------------------------------------------------------------------------------------------

WRONG = "UPDATE account SET name = 'wrong', external_id = CASE external_id WHEN 'K1' THEN 'z' ELSE external_id END"


@pytest.mark.parametrize("on_delete", ["delete", "mark"])
def test_after_any_story_nothing_differs_and_what_is_damaged_is_mended(
    make_app: MakeApp, sqlite_url: str, base: Any, tmp_path: Path, on_delete: str
) -> None:
    """Whatever came, in whatever order: the messages give the tables as they are."""
    write_wsdls(tmp_path)
    app = make_app(sqlite_url, [*declare(base, on_delete), DELETED], wsdl_dir=tmp_path)
    player = Player(app, is_marking=on_delete == "mark")

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(story=stories(VERBS))
    def run(story: Story) -> None:
        player.hear(story)
        before = tables_of(app)
        found = rebuild(parts_of(app))
        assert (told(found), found.fresher, found.unnamed) == ({}, 0, 0)
        damage(app, WRONG, "DELETE FROM account WHERE external_id = 'K2'")
        found = rebuild(parts_of(app), write=True)
        assert len(found.differences) == len(before["account"])
        assert tables_of(app)["account"] == before["account"]

    run()


# -- schemas ----------------------------------------------------------------------------------------------------------


def test_tables_in_a_schema_of_their_own_are_not_touched_by_the_scratch(
    make_app: MakeApp, empty_url: str, base: Any
) -> None:
    schema = "main" if empty_url.startswith("sqlite") else SPACE

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        __table_args__ = {"schema": schema, "mysql_charset": "utf8mb4"}

    app = make_app(empty_url, base)
    send(app, acme())
    damage(app, "UPDATE account SET name = 'mine'")
    assert told(rebuild(parts_of(app))) == {ONE: ("differs", {"name": ("mine", "Acme")})}
    assert tables_of(app)["account"][0]["name"] == "mine"
    assert mended(app)[ONE][0] == "differs"


def test_two_tables_of_one_name_are_told(sqlite_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class Other(base, sobject="Other__c"):  # type: ignore[call-arg]
        __tablename__ = "account"
        name: Mapped[str | None] = Field("Name")
        __table_args__ = {"schema": "main"}

    engine = create_engine(sqlite_url)
    with pytest.raises(ConfigurationError, match="tables of one name"), scratch(engine, Models([Account, Other])):
        pass
    engine.dispose()
