"""The mapped classes of one receiver: who takes which record, what goes where, and what contradicts itself."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from omreceiver import ExternalId, Field, RecordMixin
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models, mapped_classes
from omreceiver.records.types import VALUE_TYPES

PARTNER, SUPPLIER = "012000000000001AAA", "012000000000002AAA"
MIXED_CASE = "012M000000qfPySIAU"


class Base(RecordMixin, DeclarativeBase):
    """A base of these tests' own."""


class Person(Base):
    external_id: Mapped[str] = ExternalId("Email_Key__c", case_sensitive=False)
    email: Mapped[str | None] = Field("Email")


class Contact(Person, sobject="Contact"):
    title: Mapped[str | None] = Field("Title")


class Lead(Person, sobject="Lead"):
    company: Mapped[str | None] = Field("Company")


class Account(Base, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")


class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):
    tier: Mapped[str | None] = Field("Tier__c")
    notes: Mapped[str | None]


class GoldPartner(PartnerAccount, when={"Tier__c": "Gold"}):
    since: Mapped[str | None] = Field("Gold_Since__c")


class Supplier(Account, when={"RecordTypeId": MIXED_CASE}):
    pass


class Case(Base, sobject="Case"):
    pass


ALL = [Person, Contact, Lead, Account, PartnerAccount, GoldPartner, Supplier, Case]
MODELS = Models(ALL)


# -- who takes a record -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sobject", "fields", "leaf"),
    [
        ("Account", {}, Account),
        ("Account", {"RecordTypeId": None}, Account),
        ("Account", {"RecordTypeId": SUPPLIER}, Account),
        ("Account", {"RecordTypeId": PARTNER}, PartnerAccount),
        ("Account", {"RecordTypeId": PARTNER, "Tier__c": "Silver"}, PartnerAccount),
        ("Account", {"RecordTypeId": PARTNER, "Tier__c": "Gold"}, GoldPartner),
        ("Account", {"RecordTypeId": PARTNER, "Tier__c": "gold"}, PartnerAccount),
        # a class below another takes only what that one would take
        ("Account", {"RecordTypeId": None, "Tier__c": "Gold"}, Account),
        ("Account", {"Tier__c": "Gold"}, Account),
        # 15 and 18 characters are one ID
        ("Account", {"RecordTypeId": PARTNER[:15]}, PartnerAccount),
        ("Account", {"RecordTypeId": MIXED_CASE[:15]}, Supplier),
        ("Account", {"RecordTypeId": MIXED_CASE[:15].lower()}, Account),
        ("Account", {"RecordTypeId": PARTNER[:14]}, Account),
        ("Contact", {}, Contact),
        ("Lead", {"RecordTypeId": PARTNER}, Lead),
        ("Case", {}, Case),
        ("Person", {}, None),
        ("account", {}, None),
        ("Opportunity", {}, None),
    ],
)
def test_the_class_whose_when_says_most_takes_the_record(
    sobject: str, fields: dict[str, str | None], leaf: type | None
) -> None:
    assert MODELS.leaf(sobject, fields) is leaf


def test_fifteen_characters_in_when_are_the_eighteen_of_the_wire(base: Any) -> None:
    class Document(base, sobject="Document"):  # type: ignore[call-arg]
        pass

    class Contract(Document, when={"RecordTypeId": MIXED_CASE[:15]}):  # type: ignore[call-arg]
        pass

    assert Models([Document, Contract]).leaf("Document", {"RecordTypeId": MIXED_CASE}) is Contract


def test_without_a_class_for_the_rest_nobody_takes_the_rest(base: Any) -> None:
    class Party(base):
        pass

    class Partner(Party, sobject="Account", when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    models = Models([Party, Partner])
    assert models.leaf("Account", {"RecordTypeId": PARTNER}) is Partner
    assert models.leaf("Account", {}) is None


def test_another_sobject_below_begins_anew(base: Any) -> None:
    class Partner(base, sobject="Account", when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    class PartnerContact(Partner, sobject="Contact"):  # type: ignore[call-arg]
        pass

    assert Models([Partner, PartnerContact]).leaf("Contact", {}) is PartnerContact


@given(
    st.permutations(ALL),
    st.fixed_dictionaries(
        {},
        optional={
            "RecordTypeId": st.sampled_from([None, PARTNER, PARTNER[:15], SUPPLIER, MIXED_CASE]),
            "Tier__c": st.sampled_from([None, "Gold", "Silver"]),
        },
    ),
)
def test_the_order_in_which_classes_are_given_decides_nothing(
    order: list[type[Base]], fields: dict[str, str | None]
) -> None:
    assert Models(order).leaf("Account", fields) is MODELS.leaf("Account", fields)


def test_the_discriminators_are_the_fields_that_decide() -> None:
    assert MODELS.discriminators("Account") == {"RecordTypeId", "Tier__c"}
    assert MODELS.discriminators("Contact") == frozenset()
    assert MODELS.discriminators("Opportunity") == frozenset()
    assert MODELS.discriminators(None) == frozenset()


def test_the_sobjects_are_those_of_the_classes() -> None:
    assert MODELS.sobjects == ["Account", "Case", "Contact", "Lead"]
    assert MODELS.of("Account")[0] is Account
    assert set(MODELS.of("Account")) == {Account, PartnerAccount, GoldPartner, Supplier}
    assert MODELS.of("Person") == []


def test_a_discriminator_finds_its_class() -> None:
    found = MODELS.named("PartnerAccount")

    assert found is not None
    assert found.model is PartnerAccount
    assert MODELS.named("FormerAccount") is None


# -- what goes where --------------------------------------------------------------------------------------------------


def test_a_field_goes_to_its_attribute_by_its_reader() -> None:
    slots = MODELS.layouts[PartnerAccount].slots

    assert {name: slot.attribute for name, slot in slots.items()} == {"Name": "name", "Tier__c": "tier"}
    assert slots["Name"].read is VALUE_TYPES[str].read
    assert slots["Name"].expected == "text"


def test_the_external_id_is_the_key_and_no_slot() -> None:
    layout = MODELS.layouts[Contact]

    assert layout.key_field == "Email_Key__c"
    assert not layout.key.case_sensitive
    assert "Email_Key__c" not in layout.slots


def test_the_tables_of_a_class_are_its_line_root_first() -> None:
    layout = MODELS.layouts[GoldPartner]

    assert [table.name for table in layout.tables] == ["account", "partner_account", "gold_partner"]
    assert layout.root.name == "account"
    assert set(layout.columns[layout.tables[1]]) == {"external_id", "tier", "notes"}
    assert layout.by_attribute["external_id"] is layout.root.c.external_id
    assert layout.by_attribute["tier"].table.name == "partner_account"


def test_every_table_comes_once_and_after_its_parent() -> None:
    names = [table.name for table in MODELS.tables()]

    assert sorted(names) == sorted(model.__tablename__ for model in ALL)
    assert names.index("account") < names.index("partner_account") < names.index("gold_partner")
    assert MODELS.tables_below(MODELS.layouts[Account].root)[0].name == "account"
    assert {t.name for t in MODELS.tables_below(MODELS.layouts[Person].root)} == {"person", "contact", "lead"}


def test_a_column_may_have_another_name_than_its_attribute(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        title: Mapped[str | None] = mapped_column("name", String(80))

    layout = Layout(Account)
    assert layout.columns[layout.root]["title"] is layout.root.c.name


def test_classes_of_two_bases_have_the_metadata_of_both(base: Any) -> None:
    class Order(base, sobject="Order"):  # type: ignore[call-arg]
        pass

    assert Models([Account, Order]).metadata() == [Base.metadata, base.metadata]


# -- what contradicts itself ------------------------------------------------------------------------------------------


# -- where classes are found ------------------------------------------------------------------------------------------


def test_a_base_gives_every_class_below_it() -> None:
    assert set(mapped_classes(Base)) == set(ALL)


def test_a_module_gives_the_records_that_it_holds_by_name(base: Any) -> None:
    class Order(base, sobject="Order"):  # type: ignore[call-arg]
        pass

    module = ModuleType("shop.records")
    vars(module).update(Base=Base, Order=Order, Account=Account, RecordMixin=RecordMixin, number=7)

    assert set(mapped_classes(module)) == {Order, Account}


def test_a_base_of_yours_gives_only_its_records() -> None:
    class Shop(DeclarativeBase):
        pass

    class Product(Shop):
        __tablename__ = "product"
        id: Mapped[int] = mapped_column(primary_key=True)

    class FromSalesforce(RecordMixin, Shop):
        __abstract__ = True

    class Order(FromSalesforce, sobject="Order"):
        pass

    assert mapped_classes(FromSalesforce) == [Order]
