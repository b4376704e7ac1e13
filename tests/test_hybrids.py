"""Classes of yours beside those of Salesforce: below a mapped one, filled with every record or with those you choose.

All of it by real messages. What a message may never do: touch a row or a column of yours while the record is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, ForeignKey, Integer, Table, inspect, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import ObjectDeletedError

from omreceiver import ExternalId, Field, Record, RecordMixin, extend, post_save, pre_save
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import post
from tests.accounts import at
from tests.conftest import MakeApp, tables_of

PARTNER, OTHER = "012000000000001AAA", "012000000000002AAA"
OTHER_ACTION = "04kxx00000000zzBAA"
#: a session, the record that it holds, and that record's old and new class
Held = tuple[Session, Any, type[Any], type[Any]]


def account_alone() -> Any:
    """Account on a base of its own, for a test that declares it twice: as it is now, and after a change."""

    class Base(RecordMixin, DeclarativeBase):
        type_annotation_map = Record.type_annotation_map

    class Account(Base, sobject="Account"):
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    return Account


@pytest.fixture
def account(base: Any) -> Any:
    """Salesforce's classes: Account, and PartnerAccount below it."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    return Account


def partner_of(account: Any) -> Any:
    return next(below for below in account.__subclasses__() if below.__name__ == "PartnerAccount")


def acme(second: int = 1, **fields: Any) -> dict[str, Any]:
    known = {"Id": "001000000000001AAA", "ERP_Id__c": "A-1", "Name": "Acme", "RecordTypeId": OTHER}
    return {**known, "SystemModstamp": at(second), **fields}


def without_type(record: dict[str, Any]) -> dict[str, Any]:
    """As an action sends it that does not select the record type, which `when` asks for."""
    return {name: value for name, value in record.items() if name != "RecordTypeId"}


def send(app: Flask, record: Mapping[str, Any], sobject: str = "Account", **options: Any) -> str:
    """Send a message with one record; gives its outcome."""
    answer = post(app, compose(sobject, record, **options))
    assert answer.ack, answer
    [outcome] = answer.outcomes.values()
    return outcome


def put(app: Flask, model: Any, key: str = "A-1", **values: Any) -> None:
    """Put a record into a class of yours."""
    with Session(parts_of(app).engine) as session, session.begin():
        record: Any = session.get_one(inspect(model).base_mapper.class_, key)
        assert type(extend(session, record, model, **values)) is model


def found(app: Flask, model: Any, key: str = "A-1") -> Any:
    """A record, loaded and detached."""
    with Session(parts_of(app).engine) as session:
        return session.get_one(model, key)


def keys(app: Flask) -> dict[str, list[str]]:
    """The keys in every class table."""
    return {name: [row["external_id"] for row in rows] for name, rows in tables_of(app).items()}


# -- a class of yours, for the records that you choose ----------------------------------------------------------------


@pytest.fixture
def watched(account: Any) -> Any:
    """A class of yours: neither sobject nor when."""

    class WatchedAccount(account):
        reason: Mapped[str | None]
        score: Mapped[int] = mapped_column(default=7)

    return WatchedAccount


def test_a_message_puts_no_record_into_a_class_of_yours(
    make_app: MakeApp, database_url: str, base: Any, watched: Any
) -> None:
    app = make_app(database_url, base)

    assert send(app, acme()) == "created"
    assert send(app, acme(2, Name="Acme Ltd")) == "updated"
    assert send(app, acme(3, RecordTypeId=PARTNER)) == "retyped"

    assert keys(app) == {"account": ["A-1"], "partner_account": ["A-1"], "watched_account": []}


def test_a_record_that_you_put_there_stays_there(
    make_app: MakeApp, database_url: str, base: Any, account: Any, watched: Any
) -> None:
    app = make_app(database_url, base)
    send(app, acme())
    put(app, watched, reason="late payer", score=3)

    assert send(app, acme(2, Name="Acme Ltd")) == "updated"
    assert send(app, acme(3, Name="Acme Ltd")) == "unchanged"
    assert send(app, acme(2, Name="late")) == "stale"
    assert send(app, without_type(acme(4, Name="Acme Inc")), action_id=OTHER_ACTION) == "updated"

    record = found(app, account)
    assert type(record) is watched
    assert (record.name, record.reason, record.score) == ("Acme Inc", "late payer", 3)


def test_a_row_that_is_there_before_the_record_is_put_there_is_left_alone(
    make_app: MakeApp, database_url: str, base: Any, watched: Any
) -> None:
    app = make_app(database_url, base)
    send(app, acme())
    with parts_of(app).engine.begin() as connection:
        connection.execute(inspect(watched).local_table.insert().values(external_id="A-1", reason="to be", score=1))

    assert send(app, acme(2, Name="Acme Ltd")) == "updated"

    assert tables_of(app)["watched_account"] == [{"external_id": "A-1", "reason": "to be", "score": 1}]


def test_a_record_is_put_two_classes_down_at_once(
    make_app: MakeApp, database_url: str, base: Any, watched: Any
) -> None:
    class SuedAccount(watched):
        court: Mapped[str | None]

    app = make_app(database_url, base)
    send(app, acme())
    put(app, SuedAccount, court="Berlin", reason="late payer")

    record = found(app, watched)
    assert (type(record), record.court, record.reason, record.score) == (SuedAccount, "Berlin", "late payer", 7)


def test_only_into_a_class_of_yours_below_its_own(base: Any, account: Any, watched: Any) -> None:
    record = account(external_id="A-1")
    for model in (account, partner_of(account)):
        with pytest.raises(DeclarationError, match=rf"^A Account cannot be put into {model.__name__}\. Name a class"):
            extend(Session(), record, model)
    with pytest.raises(DeclarationError, match=r"^WatchedAccount has no attribute of its own named name, raeson\.$"):
        extend(Session(), record, watched, raeson="late payer", name="Acme")


def test_a_local_class_beside_it_keeps_its_row(
    make_app: MakeApp, database_url: str, base: Any, account: Any, watched: Any
) -> None:
    class ScoredAccount(account, local=True):  # type: ignore[call-arg]
        points: Mapped[int | None]

    app = make_app(database_url, base)
    send(app, acme())
    with parts_of(app).engine.begin() as connection:
        connection.execute(update(inspect(ScoredAccount).local_table).values(points=5))
        connection.execute(inspect(watched).local_table.insert().values(external_id="A-1", score=1))
        connection.execute(update(inspect(account).local_table).values(child_name="WatchedAccount"))

    assert send(app, acme(2, Name="Acme Ltd")) == "updated"

    assert tables_of(app)["scored_account"] == [{"external_id": "A-1", "points": 5}]
    assert type(found(app, account)) is watched


def test_a_local_class_below_it_gets_a_row_at_the_next_change(
    make_app: MakeApp, database_url: str, base: Any, watched: Any
) -> None:
    class RatedAccount(watched, local=True):  # type: ignore[call-arg]
        rating: Mapped[int | None]

    app = make_app(database_url, base)
    send(app, acme())
    put(app, watched, reason="late payer")
    assert keys(app)["rated_account"] == []

    assert send(app, acme(2, Name="Acme Ltd")) == "retyped"
    assert keys(app)["rated_account"] == ["A-1"]
    assert send(app, acme(3, Name="Acme Inc")) == "updated"


def test_its_key_moves_with_it(make_app: MakeApp, database_url: str, base: Any, watched: Any) -> None:
    app = make_app(database_url, base)
    send(app, acme())
    put(app, watched, reason="late payer", score=3)

    assert send(app, acme(2, ERP_Id__c="A-9")) == "rekeyed"

    assert keys(app) == {"account": ["A-9"], "partner_account": [], "watched_account": ["A-9"]}
    assert found(app, watched, "A-9").reason == "late payer"


def test_receivers_see_the_class_of_yours(
    make_app: MakeApp, database_url: str, base: Any, watched: Any, signals: Recorder
) -> None:
    app = make_app(database_url, base)
    send(app, acme())
    put(app, watched, reason="late payer", score=3)
    signals.clear()

    send(app, acme(2, Name="Acme Ltd"))

    [sent] = signals.of(post_save)
    assert sent.sender is watched
    assert (type(sent.instance), sent.instance.reason) == (watched, "late payer")
    assert sent.changed == {"name": ("Acme", "Acme Ltd")}


def test_fields_of_a_class_of_yours_are_filled_while_a_record_is_in_it(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    class WatchedAccount(account):
        phone: Mapped[str | None] = Field("Phone")
        reason: Mapped[str | None]

    app = make_app(database_url, base)
    send(app, acme(Phone="1"))
    put(app, WatchedAccount, reason="late payer")

    assert send(app, acme(2, Phone="2")) == "updated"

    record = found(app, WatchedAccount)
    assert (record.phone, record.reason) == ("2", "late payer")


def test_a_retype_to_another_leaf_takes_it_out_of_the_class_of_yours(
    make_app: MakeApp, database_url: str, base: Any, account: Any, watched: Any
) -> None:
    """Your class extends those that its parent takes; as a PartnerAccount the record is another's."""
    app = make_app(database_url, base)
    send(app, acme())
    put(app, watched, reason="late payer", score=3)

    assert send(app, acme(2, RecordTypeId=PARTNER, Tier__c="Gold")) == "retyped"

    assert keys(app) == {"account": ["A-1"], "partner_account": ["A-1"], "watched_account": []}
    assert found(app, account).tier == "Gold"


def test_a_retype_away_from_the_parent_removes_it(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    class TopPartner(partner_of(account)):  # type: ignore[misc]
        rank: Mapped[int | None]

    app = make_app(database_url, base)
    send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold"))
    put(app, TopPartner, rank=1)
    assert send(app, acme(2, RecordTypeId=PARTNER, Tier__c="Silver")) == "updated"
    assert send(app, without_type(acme(3, Name="Acme Ltd")), action_id=OTHER_ACTION) == "updated"
    assert keys(app) == {"account": ["A-1"], "partner_account": ["A-1"], "top_partner": ["A-1"]}

    assert send(app, acme(4)) == "retyped"

    assert keys(app) == {"account": ["A-1"], "partner_account": [], "top_partner": []}
    assert type(found(app, account)) is account


# -- a class of yours, for every record -------------------------------------------------------------------------------


@pytest.fixture
def scored(account: Any) -> Any:
    """Every Account has a row in it."""

    class ScoredAccount(account, local=True):  # type: ignore[call-arg]
        remarks: Mapped[str | None]
        score: Mapped[int] = mapped_column(default=7)

    return ScoredAccount


def test_a_local_class_has_a_row_of_every_record_empty_at_first(
    make_app: MakeApp, database_url: str, base: Any, account: Any, scored: Any
) -> None:
    app = make_app(database_url, base)

    assert send(app, acme()) == "created"

    record = found(app, account)
    assert type(record) is scored
    assert (record.name, record.remarks, record.score) == ("Acme", None, 7)


def test_a_local_class_gets_its_row_though_the_action_does_not_send_the_type(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    app = make_app(database_url, base)
    send(app, acme(RecordTypeId=PARTNER))

    class ScoredPartner(partner_of(account), local=True):  # type: ignore[call-arg,misc]
        points: Mapped[int | None]

    again = make_app(database_url, base)
    assert send(again, without_type(acme(2, Name="Acme Ltd")), action_id=OTHER_ACTION) == "retyped"
    assert keys(again)["scored_partner"] == ["A-1"]


def test_what_you_write_into_a_local_class_stays(
    make_app: MakeApp, database_url: str, base: Any, account: Any, scored: Any
) -> None:
    app = make_app(database_url, base)
    send(app, acme())
    with Session(parts_of(app).engine) as session, session.begin():
        record = session.get_one(scored, "A-1")
        record.remarks, record.score = "call on Monday", 9

    assert send(app, acme(2, Name="Acme Ltd")) == "updated"
    assert send(app, acme(3, Name="Acme Ltd")) == "unchanged"
    assert send(app, acme(4, Name="Acme Ltd", ERP_Id__c="A-9")) == "rekeyed"

    record = found(app, account, "A-9")
    assert (record.name, record.remarks, record.score) == ("Acme Ltd", "call on Monday", 9)


def test_a_local_class_that_is_added_later_gets_each_record_at_its_next_change(
    make_app: MakeApp, database_url: str
) -> None:
    app = make_app(database_url, account_alone())
    send(app, acme())
    send(app, acme(Id="001000000000002AAA", ERP_Id__c="A-2"))
    account: Any = account_alone()

    class ScoredAccount(account, local=True):  # type: ignore[call-arg]
        score: Mapped[int] = mapped_column(default=7)

    app = make_app(database_url, [account, ScoredAccount])
    assert keys(app) == {"account": ["A-1", "A-2"], "scored_account": []}
    assert send(app, acme(2, Name="Acme Ltd")) == "retyped"

    assert keys(app) == {"account": ["A-1", "A-2"], "scored_account": ["A-1"]}
    assert (type(found(app, account)), found(app, account).score) == (ScoredAccount, 7)
    assert type(found(app, account, "A-2")) is account
    assert send(app, acme(3, Name="Acme Inc")) == "updated"


def test_a_local_class_may_be_added_below_a_local_one(make_app: MakeApp, database_url: str) -> None:
    before: Any = account_alone()

    class ScoredAccount(before, local=True):  # type: ignore[call-arg]
        remarks: Mapped[str | None]

    app = make_app(database_url, [before, ScoredAccount])
    send(app, acme())
    with Session(parts_of(app).engine) as session, session.begin():
        session.get_one(ScoredAccount, "A-1").remarks = "call on Monday"
    account: Any = account_alone()

    def below(name: str, parent: Any, attribute: str) -> Any:
        return type(name, (parent,), {"__annotations__": {attribute: Mapped[str | None]}}, local=True)

    scored = below("ScoredAccount", account, "remarks")
    ranked = below("RankedAccount", scored, "rank")
    app = make_app(database_url, [account, scored, ranked])

    assert send(app, acme(2, Name="Acme Ltd")) == "retyped"
    record = found(app, account)
    assert (type(record), record.remarks, record.rank) == (ranked, "call on Monday", None)
    assert send(app, acme(3, Name="Acme Inc")) == "updated"
    assert type(found(app, account)) is ranked


def test_local_columns_above_survive_a_retype(make_app: MakeApp, database_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class ScoredAccount(Account, local=True):  # type: ignore[call-arg]
        remarks: Mapped[str | None]

    class PartnerAccount(ScoredAccount, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    app = make_app(database_url, base)
    send(app, acme())
    with Session(parts_of(app).engine) as session, session.begin():
        session.get_one(ScoredAccount, "A-1").remarks = "call on Monday"

    for second, record_type, leaf in ((2, PARTNER, PartnerAccount), (3, OTHER, ScoredAccount)):
        assert send(app, acme(second, RecordTypeId=record_type)) == "retyped"
        record = found(app, Account)
        assert (type(record), record.remarks) == (leaf, "call on Monday")


# -- retypes ----------------------------------------------------------------------------------------------------------


def test_a_retype_back_and_forth_ends_where_it_began(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    """Every row of every class table is what it was: nothing of the way there is left anywhere."""
    app = make_app(database_url, base)
    as_partner = acme(RecordTypeId=PARTNER, Tier__c="Gold", Phone="1")
    send(app, as_partner)
    began = tables_of(app)

    assert send(app, acme(RecordTypeId=OTHER, Tier__c="Gold", Phone="1")) == "retyped"
    assert tables_of(app)["partner_account"] == []
    assert send(app, as_partner) == "retyped"

    assert tables_of(app) == began


def test_only_what_you_wrote_into_the_leaf_is_lost_on_the_way(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    class SilverPartner(account, when={"RecordTypeId": "012000000000003AAA"}):  # type: ignore[call-arg]
        notes: Mapped[str | None]
        score: Mapped[int] = mapped_column(default=7)

    app = make_app(database_url, base)
    as_silver = acme(RecordTypeId="012000000000003AAA")
    send(app, as_silver)
    with Session(parts_of(app).engine) as session, session.begin():
        record = session.get_one(SilverPartner, "A-1")
        record.notes, record.score = "call on Monday", 9
    began = tables_of(app)

    send(app, acme())
    assert send(app, as_silver) == "retyped"

    assert tables_of(app) == {**began, "silver_partner": [{"external_id": "A-1", "notes": None, "score": 7}]}


def test_when_may_name_a_record_type_that_a_describe_knows(
    make_app: MakeApp, database_url: str, base: Any, tmp_path: Path
) -> None:
    """As in Setup: the record type's developer name, which is the same in every org; its ID is not."""
    types = [{"recordTypeId": PARTNER, "name": "Partner", "developerName": "Partner_Account", "master": False}]
    fields = [{"name": name, "type": "string"} for name in ("Name", "ERP_Id__c", "RecordTypeId", "Tier__c")]
    described = {"name": "Account", "keyPrefix": "001", "fields": fields, "recordTypeInfos": types}
    (tmp_path / "Account.describe.json").write_text(json.dumps(described))

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": "Partner_Account"}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    app = make_app(database_url, base, tmp_path)
    assert send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold")) == "created"
    assert found(app, Account).tier == "Gold"
    assert send(app, acme(2)) == "retyped"
    assert type(found(app, Account)) is Account
    assert send(app, acme(3, RecordTypeId=PARTNER[:15])) == "retyped"
    assert type(found(app, Account)) is PartnerAccount


# -- a Salesforce class below another ---------------------------------------------------------------------------------


@pytest.fixture
def user(base: Any) -> Any:
    class User(base, sobject="User"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Login__c")
        name: Mapped[str | None] = Field("Name")

    class PortalUser(User, sobject="PortalUser__c"):  # type: ignore[call-arg]
        portal: Mapped[str | None] = Field("Portal__c")

    return User


def test_an_sobject_may_derive_from_another(make_app: MakeApp, database_url: str, base: Any, user: Any) -> None:
    """Each is filled by messages of its own; a query for the one above gives both."""
    app = make_app(database_url, base)
    ann = {"Id": "005000000000001AAA", "Login__c": "ann", "Name": "Ann", "SystemModstamp": at(1)}
    bea = {"Id": "a05000000000001AAA", "Login__c": "bea", "Name": "Bea", "SystemModstamp": at(1)}

    assert send(app, ann, "User") == "created"
    assert send(app, {**bea, "Portal__c": "north"}, "PortalUser__c") == "created"
    assert send(app, {**bea, "Portal__c": "south", "SystemModstamp": at(2)}, "PortalUser__c") == "updated"
    assert send(app, {**ann, "Name": "Anna", "SystemModstamp": at(2)}, "User") == "updated"

    with Session(parts_of(app).engine) as session:
        records = session.scalars(select(user).order_by(user.external_id)).all()
        assert [(type(record).__name__, record.name) for record in records] == [("User", "Anna"), ("PortalUser", "Bea")]
        assert records[1].portal == "south"
        assert [record.__sobject__ for record in records] == ["User", "PortalUser__c"]


def test_a_class_of_yours_below_one_of_them_is_left_alone_by_both(
    make_app: MakeApp, database_url: str, base: Any, user: Any
) -> None:
    class Colleague(user):
        desk: Mapped[str | None]

    app = make_app(database_url, base)
    ann = {"Id": "005000000000001AAA", "Login__c": "ann", "Name": "Ann", "SystemModstamp": at(1)}
    bea = {"Id": "a05000000000001AAA", "Login__c": "bea", "Name": "Bea", "SystemModstamp": at(1)}
    send(app, ann, "User")
    send(app, bea, "PortalUser__c")
    put(app, Colleague, "ann", desk="3.14")

    assert send(app, {**ann, "Name": "Anna", "SystemModstamp": at(2)}, "User") == "updated"
    assert send(app, {**bea, "Name": "Bee", "SystemModstamp": at(2)}, "PortalUser__c") == "updated"

    assert found(app, Colleague, "ann").desk == "3.14"
    assert keys(app) == {"user": ["ann", "bea"], "portal_user": ["bea"], "colleague": ["ann"]}


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_what_pre_save_loaded_is_of_the_new_class_in_post_save(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    """One session serves both. It lets go of what was loaded before the write."""
    app = make_app(database_url, base)
    send(app, acme())
    seen: list[Any] = []

    def before(sender: type, session: Session, **_: Any) -> None:
        seen.append(session.get_one(account, "A-1"))

    def after(sender: type, instance: Any, session: Session, **_: Any) -> None:
        seen.extend([instance, session.get_one(account, "A-1"), session.scalars(select(account)).one()])

    with pre_save.connected_to(before), post_save.connected_to(after):
        assert send(app, acme(2, RecordTypeId=PARTNER, Tier__c="Gold")) == "retyped"

    old, instance, got, selected = seen
    partner = partner_of(account)
    assert (type(old), type(instance), instance.tier) == (account, partner, "Gold")
    assert got is selected is instance


def test_what_pre_save_changed_on_a_loaded_record_is_stored_though_it_is_retyped(
    make_app: MakeApp, database_url: str, base: Any
) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        remarks: Mapped[str | None]

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    app = make_app(database_url, base)
    send(app, acme())

    def before(sender: type, session: Session, **_: Any) -> None:
        session.get_one(Account, "A-1").remarks = "was here"

    with pre_save.connected_to(before):
        assert send(app, acme(2, RecordTypeId=PARTNER)) == "retyped"
    assert (type(found(app, Account)), found(app, Account).remarks) == (PartnerAccount, "was here")


@pytest.fixture(params=["to the leaf", "to the parent"])
def held(
    request: pytest.FixtureRequest, make_app: MakeApp, database_url: str, base: Any, account: Any
) -> Iterator[Held]:
    """A session of yours that holds a record while a message retypes it.

    The session has ended its transaction since, as it must on every database to see what others wrote.
    """
    app = make_app(database_url, base)
    classes = [(account, {"RecordTypeId": OTHER}), (partner_of(account), {"RecordTypeId": PARTNER, "Tier__c": "Gold"})]
    (old, before), (new, after) = classes if request.param == "to the leaf" else reversed(classes)
    send(app, acme(**before))
    with Session(parts_of(app).engine) as session:
        record = session.get_one(account, "A-1")
        session.commit()
        assert send(app, acme(2, **after)) == "retyped"
        yield session, record, old, new


def test_a_fresh_session_gives_the_new_class(held: Held, account: Any) -> None:
    session, _, _, new = held

    with Session(session.get_bind()) as fresh:
        assert type(fresh.get_one(account, "A-1")) is new
        assert [type(each) for each in fresh.scalars(select(account))] == [new]


@pytest.mark.parametrize("let_go", ["expunge_all", "close", "expunge"])
def test_a_session_that_lets_go_of_the_record_gives_the_new_class(held: Held, account: Any, let_go: str) -> None:
    session, record, _, new = held

    getattr(session, let_go)(*([record] if let_go == "expunge" else []))

    assert type(session.get_one(account, "A-1")) is new
    assert [type(each) for each in session.scalars(select(account))] == [new]


@pytest.mark.parametrize("held", ["to the leaf"], indirect=True)
def test_a_record_that_a_session_holds_keeps_its_class_but_child_name_tells(held: Held, account: Any) -> None:
    """SQLAlchemy never changes the class of an instance that a session holds: not in a refresh, not in a query. So a
    session that lives longer than a transaction compares `child_name`, or lets go first: `session.expunge_all()`.
    """
    session, record, old, new = held

    session.refresh(record)
    assert session.scalars(select(account)).one() is record
    assert type(record) is old
    assert record.child_name == new.__name__

    session.expunge_all()
    assert type(session.get_one(account, "A-1")) is new


@pytest.mark.parametrize("held", ["to the parent"], indirect=True)
def test_a_record_whose_leaf_row_is_gone_says_so(held: Held, account: Any) -> None:
    """The rows of the old class are no longer there to be loaded: nothing is silently wrong."""
    session, record, _, new = held

    with pytest.raises(ObjectDeletedError, match="has been deleted, or its row is otherwise not present"):
        _ = record.name
    with pytest.raises(InvalidRequestError, match="Could not refresh instance"):
        session.refresh(record)

    session.expunge_all()
    assert type(session.get_one(account, "A-1")) is new


# -- tables of yours that refer to records ----------------------------------------------------------------------------


def test_a_foreign_key_of_yours_follows_a_record_whose_key_changes(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    """Your tables may refer to records; it is records that must not refer to what may never arrive."""
    app = make_app(database_url, base)
    cascade = ForeignKey("account.external_id", onupdate="CASCADE")
    visit = Table("visit", base.metadata, Column("id", Integer, primary_key=True), Column("account_id", cascade))
    visit.create(engine := parts_of(app).engine)
    send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold"))
    with engine.begin() as connection:
        connection.execute(visit.insert(), [{"account_id": "A-1"}, {"account_id": "A-1"}])

    assert send(app, acme(2, RecordTypeId=PARTNER, Tier__c="Gold", ERP_Id__c="A-9")) == "rekeyed"
    assert send(app, acme(3, ERP_Id__c="A-9")) == "retyped"
    assert send(app, acme(4, ERP_Id__c="A-10", RecordTypeId=PARTNER)) == "retyped"

    with engine.connect() as connection:
        assert connection.scalars(select(visit.c.account_id)).all() == ["A-10", "A-10"]
    assert keys(app) == {"account": ["A-10"], "partner_account": ["A-10"]}


def test_a_foreign_key_of_yours_may_refer_to_a_leaf(
    make_app: MakeApp, database_url: str, base: Any, account: Any
) -> None:
    """With ON DELETE it says what becomes of your row when the record moves to another class."""
    app = make_app(database_url, base)
    cascade = ForeignKey("partner_account.external_id", onupdate="CASCADE", ondelete="SET NULL")
    deal = Table("deal", base.metadata, Column("id", Integer, primary_key=True), Column("partner_id", cascade))
    deal.create(engine := parts_of(app).engine)
    send(app, acme(RecordTypeId=PARTNER, Tier__c="Gold"))
    with engine.begin() as connection:
        connection.execute(deal.insert().values(partner_id="A-1"))

    def partners() -> list[str | None]:
        with engine.connect() as connection:
            return list(connection.scalars(select(deal.c.partner_id)))

    assert send(app, acme(2, RecordTypeId=PARTNER, Tier__c="Gold", ERP_Id__c="A-9")) == "rekeyed"
    assert partners() == ["A-9"]
    assert send(app, acme(3, ERP_Id__c="A-9")) == "retyped"
    assert partners() == [None]
