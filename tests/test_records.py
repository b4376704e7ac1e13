"""Declaring records: which tables, keys and columns a class gives, on whatever base it is declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, Column, Engine, Interval, MetaData, Numeric, String, Table, Text, insert, inspect, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, Session, mapped_column
from sqlalchemy.types import TypeDecorator, UserDefinedType

from omreceiver import ExternalId, Field, Record, RecordId, RecordMixin, Reference, Settings
from omreceiver.errors import DeclarationError
from omreceiver.records.columns import ExactString, LongText, MultiPicklist, UTCDateTime
from omreceiver.records.fields import Key, salesforce_field
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.records.types import VALUE_TYPES
from omreceiver.store.database import open_engine
from tests.plain_records import PlainAccount, PlainBase

if TYPE_CHECKING:
    from fractions import Fraction

PARTNER = "012000000000001AAA"
SYSTEM = {"external_id", "child_name", "salesforce_id", "organization_id", "modstamp", "action_stamps", "extra"}


class Base(RecordMixin, DeclarativeBase):
    """What Record is to a user; of its own, so that no receiver takes these records by accident."""

    type_annotation_map = Record.type_annotation_map


class Person(Base):
    external_id: Mapped[str] = ExternalId("Email_Key__c", case_sensitive=False)
    email: Mapped[str | None] = Field("Email")


class Contact(Person, sobject="Contact"):
    account: Mapped[Account | None] = Reference("AccountId", "Account")


class Lead(Person, sobject="Lead"):
    company: Mapped[str | None] = Field("Company")


class Account(Base, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")


class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):
    tier: Mapped[str | None] = Field("Tier__c")
    notes: Mapped[str | None]


class Task(Base, sobject="Task"):
    external_id: Mapped[str] = ExternalId("Key__c")
    who: Mapped[Contact | Lead | None] = Reference("WhoId", "Contact", "Lead")


def table_of(model: type) -> Table:
    mapper: Mapper[Any] = inspect(model, raiseerr=True)
    table = mapper.local_table
    assert isinstance(table, Table)
    return table


def columns_of(model: type) -> set[str]:
    return set(table_of(model).columns.keys())


def common(**values: Any) -> dict[str, Any]:
    return {"organization_id": "00Dxx0000001gPFEAY", **values}


@contextmanager
def opened(url: str, metadata: MetaData) -> Iterator[Engine]:
    """A database with the tables of a MetaData."""
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
    try:
        metadata.create_all(engine)
        yield engine
    finally:
        engine.dispose()


# -- tables -----------------------------------------------------------------------------------------------------------


def test_every_class_has_a_table_of_its_name() -> None:
    names = {model: table_of(model).name for model in (Person, Contact, Lead, Account, PartnerAccount, Task)}

    assert names == {
        Person: "person",
        Contact: "contact",
        Lead: "lead",
        Account: "account",
        PartnerAccount: "partner_account",
        Task: "task",
    }


def test_a_root_holds_the_system_columns_and_its_own() -> None:
    assert columns_of(Person) == SYSTEM | {"email"}
    assert columns_of(Account) == SYSTEM | {"name"}
    assert columns_of(Task) == SYSTEM | {"who_id"}


def test_a_class_below_holds_the_key_and_its_own() -> None:
    assert columns_of(Contact) == {"external_id", "account_id"}
    assert columns_of(Lead) == {"external_id", "company"}
    assert columns_of(PartnerAccount) == {"external_id", "tier", "notes"}


@pytest.mark.parametrize("model", [Person, Contact, Lead, Account, PartnerAccount, Task])
def test_the_external_id_is_the_primary_key_of_every_table(model: type) -> None:
    assert [column.name for column in table_of(model).primary_key] == ["external_id"]
    assert isinstance(table_of(model).c.external_id.type, Key)


@pytest.mark.parametrize(("model", "root"), [(Contact, Person), (Lead, Person), (PartnerAccount, Account)])
def test_a_class_below_follows_its_parent_when_a_key_changes_or_goes(model: type, root: type) -> None:
    [constraint] = table_of(model).foreign_key_constraints

    assert constraint.referred_table is table_of(root)
    assert (constraint.onupdate, constraint.ondelete) == ("CASCADE", "CASCADE")


@pytest.mark.parametrize("model", [Person, Account, Task])
def test_a_root_and_its_references_have_no_foreign_key(model: type) -> None:
    assert not table_of(model).foreign_keys


def test_a_class_two_below_follows_the_class_between(base: Any) -> None:
    class Document(base, sobject="Document"):  # type: ignore[call-arg]
        pass

    class Contract(Document, when={"Kind__c": "Contract"}):  # type: ignore[call-arg]
        pass

    class Lease(Contract, when={"Kind__c": "Lease"}):  # type: ignore[call-arg]
        pass

    [constraint] = table_of(Lease).foreign_key_constraints
    assert constraint.referred_table is table_of(Contract)


@pytest.mark.parametrize(
    ("name", "nullable"),
    [
        ("external_id", False),
        ("child_name", False),
        ("salesforce_id", False),
        ("organization_id", False),
        ("modstamp", True),
        ("action_stamps", True),
        ("extra", True),
    ],
)
def test_only_stamps_and_extra_may_be_missing(name: str, nullable: bool) -> None:
    assert table_of(Account).c[name].nullable is nullable


def test_the_salesforce_id_is_unique_and_tells_upper_from_lower_case() -> None:
    column = table_of(Account).c.salesforce_id

    assert column.unique
    assert isinstance(column.type, ExactString)
    assert column.type.length == 18


def test_references_are_indexed_and_optional() -> None:
    column = table_of(Task).c.who_id

    assert column.index
    assert column.nullable
    assert isinstance(column.type, ExactString)


@pytest.mark.parametrize("model", [Person, Contact, Lead, Account, PartnerAccount, Task])
def test_the_discriminator_is_the_name_of_the_class(model: type) -> None:
    mapper: Mapper[Any] = inspect(model, raiseerr=True)

    assert mapper.polymorphic_identity == model.__name__
    assert mapper.polymorphic_on is not None
    assert mapper.polymorphic_on.key == "child_name"


def test_a_class_says_its_sobject_and_when() -> None:
    assert (Person.__sobject__, Contact.__sobject__, PartnerAccount.__sobject__) == (None, "Contact", "Account")
    assert (dict(Account.__when__), dict(PartnerAccount.__when__)) == ({}, {"RecordTypeId": PARTNER})


def test_a_class_may_choose_its_table(base: Any) -> None:
    class Invoice(base, sobject="acme__Invoice__c"):  # type: ignore[call-arg]
        __tablename__ = "acme_invoices"
        __table_args__ = {"comment": "from Salesforce"}

    assert table_of(Invoice).name == "acme_invoices"
    assert table_of(Invoice).comment == "from Salesforce"


def test_without_an_external_id_the_salesforce_id_is_the_key(base: Any) -> None:
    class Case(base, sobject="Case"):  # type: ignore[call-arg]
        pass

    assert columns_of(Case) == SYSTEM
    assert Layout(Case).key_field is None


# -- on a database ----------------------------------------------------------------------------------------------------


def test_records_are_found_through_every_class_above_them(database_url: str) -> None:
    with opened(database_url, Base.metadata) as engine, Session(engine) as session:
        session.add(
            Contact(**common(external_id="a@b.example", salesforce_id="003000000000001AAA", email="a@b.example"))
        )
        session.add(Lead(**common(external_id="c@d.example", salesforce_id="00Q000000000001AAA", company="D")))
        session.add(Account(**common(external_id="A-1", salesforce_id="001000000000001AAA")))
        session.add(PartnerAccount(**common(external_id="A-2", salesforce_id="001000000000002AAA", tier="Gold")))
        session.commit()
        session.expunge_all()

        people = session.scalars(select(Person).order_by(Person.external_id)).all()
        accounts = session.scalars(select(Account).order_by(Account.external_id)).all()

        assert [(type(person), person.child_name) for person in people] == [(Contact, "Contact"), (Lead, "Lead")]
        assert [type(account) for account in accounts] == [Account, PartnerAccount]


def test_keys_move_and_go_with_their_root(database_url: str) -> None:
    with opened(database_url, Base.metadata) as engine:
        with Session(engine) as session:
            session.add(PartnerAccount(**common(external_id="A-1", salesforce_id="001000000000001AAA", tier="Gold")))
            session.commit()

        root, leaf = table_of(Account), table_of(PartnerAccount)
        with engine.begin() as connection:
            connection.execute(root.update().values(external_id="B-1"))
            assert connection.scalars(select(leaf.c.external_id)).all() == ["B-1"]
            connection.execute(root.delete())
            assert connection.scalars(select(leaf.c.external_id)).all() == []


def test_keys_that_differ_in_case_only_are_two_records(database_url: str) -> None:
    with opened(database_url, Base.metadata) as engine, Session(engine) as session:
        session.add(Account(**common(external_id="a-1", salesforce_id="001000000000001AAA", name="small")))
        session.add(Account(**common(external_id="A-1", salesforce_id="001000000000002AAA", name="large")))
        session.commit()
        session.expunge_all()

        small, large = session.get(Account, "a-1"), session.get(Account, "A-1")

        assert small is not None
        assert large is not None
        assert (small.name, large.name) == ("small", "large")


def test_a_key_without_case_is_found_in_any_case(database_url: str) -> None:
    with opened(database_url, Base.metadata) as engine, Session(engine) as session:
        session.add(Lead(**common(external_id="Ann@Example.com", salesforce_id="00Q000000000001AAA")))
        session.commit()
        session.expunge_all()

        found = session.get(Lead, "ANN@example.COM ")
        again = session.scalars(select(Person).where(Person.external_id == "aNN@example.com")).one()

        assert found is not None
        assert found.external_id == "ann@example.com"
        assert again is found


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "folded"),
    [
        (Key(), "A-1", "A-1"),
        (Key(), " A-1\n", "A-1"),
        (Key(), "0013", "0013"),
        (Key(), "13.0", "13.0"),
        (Key(), "", ""),
        (Key(case_sensitive=False), "Ann@Example.com", "ann@example.com"),
        (Key(case_sensitive=False), "ÄRZTE", "ärzte"),
        (Key(number=True), "13.0", "13"),
        (Key(number=True), "13", "13"),
        (Key(number=True), "0013", "13"),
        (Key(number=True), "1.3E1", "13"),
        (Key(number=True), "1.0E7", "10000000"),
        (Key(number=True), "-0.0", "0"),
        (Key(number=True), "0.50", "0.5"),
        (Key(number=True), "123456789012345678", "123456789012345678"),
        (Key(number=True), "1234567890123456789012345678901234567890", "1234567890123456789012345678901234567890"),
        (Key(number=True), "", ""),
        (Key(number=True), "  ", ""),
    ],
)
def test_what_a_key_stands_for(key: Key, text: str, folded: str) -> None:
    assert key.fold(text) == folded


@pytest.mark.parametrize("text", ["A-1", "NaN", "1_000", "13,0", "1E999999999"])
def test_a_number_key_takes_numbers_only(text: str) -> None:
    with pytest.raises(ValueError, match="a number like"):
        Key(number=True).fold(text)


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        (Key(number=True), "001M000000qfPySIAU"),
        (Key(case_sensitive=False), "001m000000qfpysiau"),
        (Key(), "001M000000qfPySIAU"),
    ],
    ids=["text", "number", "without case"],
)
def test_a_salesforce_id_may_take_the_place_of_a_key_that_is_missing(database_url: str, key: Key, stored: str) -> None:
    table = Table("kept", MetaData(), Column("external_id", key, primary_key=True))
    with opened(database_url, table.metadata) as engine, engine.begin() as connection:
        connection.execute(insert(table), {"external_id": "001M000000qfPySIAU"})

        assert key.stored("001M000000qfPySIAU") == stored
        assert connection.scalars(select(table.c.external_id)).all() == [stored]
        assert connection.scalars(select(table).where(table.c.external_id == "001M000000qfPySIAU")).all() == [stored]
        assert connection.scalars(select(table).where(table.c.external_id == "nobody")).all() == []


# -- fields -----------------------------------------------------------------------------------------------------------


def test_a_field_has_the_type_of_its_annotation(base: Any) -> None:
    class Everything(base, sobject="Everything__c"):  # type: ignore[call-arg]
        text: Mapped[str | None] = Field("Text__c")
        owner_id: Mapped[RecordId | None] = Field("OwnerId")
        active: Mapped[bool] = Field("Active__c")
        count: Mapped[int | None] = Field("Count__c")
        ratio: Mapped[float | None] = Field("Ratio__c")
        amount: Mapped[Decimal | None] = Field("Amount__c")
        day: Mapped[date | None] = Field("Day__c")
        moment: Mapped[datetime | None] = Field("Moment__c")
        hour: Mapped[time | None] = Field("Hour__c")
        file: Mapped[bytes | None] = Field("File__c")
        topics: Mapped[list[str] | None] = Field("Topics__c")

    marks = {column.name: salesforce_field(column) for column in table_of(Everything).columns}
    pythons = {name: mark.python for name, mark in marks.items() if mark is not None}

    assert list(pythons.values()) == list(VALUE_TYPES)
    for name, python in pythons.items():
        assert table_of(Everything).c[name].type is VALUE_TYPES[python].column
        assert table_of(Everything).c[name].nullable is (name != "active")


def test_annotations_may_be_written_in_every_way() -> None:
    """Without `from __future__ import annotations`, with Optional, with quotes."""
    pythons = {slot.attribute: slot.read for slot in Layout(PlainAccount).slots.values()}

    assert {name for name, read in pythons.items() if read is VALUE_TYPES[str].read} == {"name", "site", "phone", "fax"}
    assert pythons["owner_id"] is pythons["parent_id"] is VALUE_TYPES[RecordId].read
    assert pythons["revenue"] is VALUE_TYPES[Decimal].read
    assert pythons["founded"] is VALUE_TYPES[date].read
    assert pythons["seen_at"] is VALUE_TYPES[datetime].read
    assert pythons["topics"] is VALUE_TYPES[list[str]].read
    assert list(Models([PlainAccount]).sobjects) == ["Account"]
    assert set(PlainBase.metadata.tables) == {"plain_account"}


def test_text_has_no_length_on_a_base_without_a_type_map_of_its_own() -> None:
    class Bare(RecordMixin, DeclarativeBase):
        pass

    class Account(Bare, sobject="Account"):
        name: Mapped[str | None] = Field("Name")
        notes: Mapped[str | None] = mapped_column(String(80))

    assert table_of(Account).c.name.type is LongText
    assert isinstance(table_of(Account).c.notes.type, String)


def test_columns_of_your_own_are_not_the_receivers() -> None:
    assert salesforce_field(table_of(PartnerAccount).c.notes) is None
    assert set(Layout(PartnerAccount).slots) == {"Name", "Tier__c"}


class Shouted(TypeDecorator[str]):
    """A type as users write them, say to encrypt a column. It does not tell which Python type it takes."""

    impl = String
    cache_ok = True


def test_a_type_of_your_own_stands(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name", type=String(80))
        revenue: Mapped[Any] = Field("AnnualRevenue", type=Numeric(18, 2))
        phone = Field("Phone", type=Text(), index=True)

    columns, slots = table_of(Account).c, Layout(Account).slots
    assert [str(column.type) for column in (columns.name, columns.revenue)] == ["VARCHAR(80)", "NUMERIC(18, 2)"]
    assert columns.phone.index
    assert slots["AnnualRevenue"].read("12.50") == Decimal("12.50")
    assert slots["Phone"].read("+49 30 1") == "+49 30 1"


def test_the_annotation_tells_what_a_type_does_not(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name", type=Shouted(80))
        seen_at: Mapped[datetime | None] = Field("LastSeen__c", type=UTCDateTime())
        topics: Mapped[list[str] | None] = Field("Topics__c", type=MultiPicklist())
        colours: Mapped[list[str] | None] = Field("Colours__c", type=JSON())

    slots = Layout(Account).slots
    assert isinstance(table_of(Account).c.name.type, Shouted)
    assert isinstance(table_of(Account).c.colours.type, JSON)
    assert slots["Name"].read("Acme") == "Acme"
    assert slots["LastSeen__c"].read("2026-07-01T12:00:00.000Z") == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert slots["Topics__c"].read("Red;Green") == slots["Colours__c"].read("Red;Green") == ["Red", "Green"]


class Point(UserDefinedType[Any]):
    """Another one that does not tell."""


@pytest.mark.parametrize(
    "type_", [Shouted(), JSON(), Interval(), Point()], ids=["Shouted", "JSON", "Interval", "Point"]
)
def test_a_type_that_nobody_can_read_is_refused(base: Any, type_: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.site is 'Mapped\[Any\]'; expected Mapped of str, RecordId"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            site: Mapped[Any] = Field("Site", type=type_)


def test_an_annotation_that_nothing_reads_is_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.site is .*complex.*; expected Mapped of str, RecordId"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            site: Mapped[complex | None] = Field("Site")


def test_an_annotation_with_two_types_is_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.site is 'Mapped\[str \| int \| None\]'"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            site: Mapped[str | int | None] = Field("Site")


def test_an_annotation_that_only_a_type_checker_knows_is_refused_with_the_cure(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.site: name 'Fraction' is not defined; give Field a type=$"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            site: Mapped[Fraction | None] = Field("Site")


def test_a_field_without_an_annotation_is_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.site is None; expected Mapped of str"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            site = Field("Site")


def test_a_mixin_gives_its_fields_to_every_class_that_has_it(base: Any) -> None:
    class Addressed:
        city: Mapped[str | None] = Field("BillingCity")
        opened_on: Mapped[date | None] = Field("Opened__c")

    class Account(Addressed, base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Order(Addressed, base, sobject="Order"):  # type: ignore[call-arg]
        city: Mapped[str | None] = Field("ShippingCity")

    assert columns_of(Account) == columns_of(Order) == SYSTEM | {"city", "opened_on"}
    assert table_of(Account).c.city is not table_of(Order).c.city
    assert table_of(Account).c.city.type is LongText
    assert set(Layout(Account).slots) == {"BillingCity", "Opened__c"}
    assert set(Layout(Order).slots) == {"ShippingCity", "Opened__c"}
    assert Layout(Order).slots["Opened__c"].read("2026-07-01") == date(2026, 7, 1)


def test_a_mixin_may_hold_the_external_id(base: Any) -> None:
    class Keyed:
        external_id: Mapped[str] = ExternalId("ERP_Id__c", number=True)

    class Account(Keyed, base, sobject="Account"):  # type: ignore[call-arg]
        pass

    assert Layout(Account).key_field == "ERP_Id__c"
    assert Layout(Account).key.number


def test_an_abstract_class_has_no_table(base: Any) -> None:
    class Audited(base):
        __abstract__ = True
        created_by: Mapped[RecordId | None] = Field("CreatedById")

    class Account(Audited, sobject="Account"):  # type: ignore[call-arg]
        pass

    assert set(base.metadata.tables) == {"account"}
    assert set(Layout(Account).slots) == {"CreatedById"}


# -- references -------------------------------------------------------------------------------------------------------


def test_a_reference_is_an_id_and_the_record_once_it_is_there(database_url: str) -> None:
    with opened(database_url, Base.metadata) as engine, Session(engine) as session:
        session.add(Task(**common(external_id="T-1", salesforce_id="00T000000000001AAA", who_id="00Q000000000001AAA")))
        session.flush()
        task = session.get_one(Task, "T-1")

        assert task.who_id == "00Q000000000001AAA"  # type: ignore[attr-defined]
        assert task.who is None

        session.add(Lead(**common(external_id="c@d.example", salesforce_id="00Q000000000001AAA", company="D")))
        session.flush()

        assert isinstance(task.who, Lead)
        assert task.who.company == "D"


def test_a_reference_to_the_root_finds_its_leaves(database_url: str) -> None:
    with opened(database_url, Base.metadata) as engine, Session(engine) as session:
        session.add(PartnerAccount(**common(external_id="A-1", salesforce_id="001000000000001AAA")))
        contact = Contact(
            **common(external_id="a@b.example", salesforce_id="003000000000001AAA", account_id="001000000000001AAA")
        )
        session.add(contact)
        session.flush()

        assert isinstance(contact.account, PartnerAccount)


def test_a_blank_reference_and_one_outside_a_session_are_none() -> None:
    assert Task().who is None
    assert Task(**common(who_id="00Q000000000001AAA")).who is None


def test_on_the_class_a_reference_tells_what_it_may_hold() -> None:
    reference: Any = Task.who
    mark = salesforce_field(table_of(Task).c.who_id)

    assert (reference.field, reference.relationship) == ("WhoId", "Who")
    assert (reference.targets, reference.is_polymorphic) == (("Contact", "Lead"), True)
    assert mark is not None
    assert (mark.name, mark.python, mark.reference_to) == ("WhoId", RecordId, ("Contact", "Lead"))


def test_a_reference_reads_its_id_in_15_or_18_characters() -> None:
    assert Layout(Task).slots["WhoId"].read("00Q000000000001") == "00Q000000000001EAA"


def test_a_reference_names_an_sobject() -> None:
    with pytest.raises(DeclarationError, match=r"write Reference\('WhoId', 'Account'\)$"):
        Reference("WhoId")


def test_a_mixin_may_hold_a_reference(base: Any) -> None:
    class Owned:
        owner: Mapped[Any] = Reference("OwnerId", "User")

    class Account(Owned, base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Order(Owned, base, sobject="Order"):  # type: ignore[call-arg]
        pass

    assert columns_of(Account) == columns_of(Order) == SYSTEM | {"owner_id"}
    assert Account().owner is None


# -- other people's bases ---------------------------------------------------------------------------------------------


def test_records_live_beside_other_classes_on_a_base_of_yours(sqlite_url: str) -> None:
    class Shop(DeclarativeBase):
        metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s", "pk": "pk_%(table_name)s"})

    class Product(Shop):
        __tablename__ = "product"
        id: Mapped[int] = mapped_column(primary_key=True)

    class FromSalesforce(RecordMixin, Shop):
        __abstract__ = True

    class Account(FromSalesforce, sobject="Account"):
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    assert set(Shop.metadata.tables) == {"product", "account"}
    assert table_of(Account).primary_key.name == "pk_account"
    with opened(sqlite_url, Shop.metadata) as engine, Session(engine) as session:
        session.add_all([Account(**common(external_id="A-1", salesforce_id="001000000000001AAA")), Product()])
        session.commit()

        assert session.scalars(select(Account.external_id)).all() == ["A-1"]


def flask_sqlalchemy(kind: str) -> SQLAlchemy:
    """Flask-SQLAlchemy set up in each of the ways of its manual, and with records as the only models."""

    class Plain(DeclarativeBase):
        pass

    class Recorded(RecordMixin, DeclarativeBase):
        pass

    if kind == "classic":
        return SQLAlchemy()
    return SQLAlchemy(model_class=Plain if kind == "declarative base" else Recorded)


@pytest.mark.parametrize("kind", ["classic", "declarative base", "records only"])
def test_records_live_on_flask_sqlalchemy(kind: str, tmp_path: Path) -> None:
    app, db = Flask("shop"), flask_sqlalchemy(kind)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/shop.db"
    db.init_app(app)
    model: Any = db.Model
    bases = (model,) if kind == "records only" else (RecordMixin, model)

    class FromSalesforce(*bases):  # type: ignore[misc]
        __abstract__ = True

    class Account(FromSalesforce, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    with app.app_context():
        db.create_all()
        db.session.add(PartnerAccount(**common(external_id="A-1", salesforce_id="001000000000001AAA", tier="Gold")))
        db.session.commit()
        found = db.session.scalars(select(Account)).one()

        assert type(found) is PartnerAccount
        assert (found.child_name, found.tier) == ("PartnerAccount", "Gold")
        assert columns_of(PartnerAccount) == {"external_id", "tier"}
        assert Models([Account, PartnerAccount]).leaf("Account", {"RecordTypeId": PARTNER}) is PartnerAccount
        db.session.remove()
        db.engine.dispose()
