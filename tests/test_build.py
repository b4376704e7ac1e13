"""Classes built from WSDLs: one table an sObject, its key, its columns, and what must be chosen by setting."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, inspect, select
from sqlalchemy.orm import Mapped, Session

from omreceiver import RecordId, RecordMixin, Reference, Settings
from omreceiver.errors import ConfigurationError
from omreceiver.records.build import build
from omreceiver.records.fields import salesforce_field
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.records.references import references_of
from omreceiver.records.types import VALUE_TYPES
from omreceiver.schema.catalog import Catalog
from omreceiver.schema.objecttype import FieldType, ObjectType
from omreceiver.store.database import open_engine

SHIPPED = Path(__file__).parent.parent / "wsdl"
SYSTEM = ["action_stamps", "child_name", "external_id", "extra", "modstamp", "organization_id", "salesforce_id"]


def objects(name: str, *fields: FieldType, label: str | None = None) -> list[ObjectType]:
    return [ObjectType(name, {field.name: field for field in fields}, label=label)]


def built(name: str, *fields: FieldType, **external_ids: str) -> Layout:
    [model] = build(objects(name, *fields), external_ids)
    return Layout(model)


def test_a_class_goes_by_its_sobject_and_its_table_by_the_class() -> None:
    layout = built("acme__Invoice__c", FieldType("acme__Total__c", "double"))

    assert (layout.model.__name__, layout.model.__sobject__) == ("acme__Invoice__c", "acme__Invoice__c")
    assert layout.root.name == "acme__invoice__c"
    assert layout.name == "acme__Invoice__c"


def test_a_label_is_the_docstring() -> None:
    [model] = build(objects("Account", label="Firma"), {})

    assert model.__doc__ == "Firma"


def test_every_field_has_a_column_of_its_type() -> None:
    layout = built(
        "Account",
        FieldType("Name", "string"),
        FieldType("OwnerId", "reference", reference_to=("Group", "User")),
        FieldType("AnnualRevenue", "currency", scale=2),
        FieldType("SLA__c", "picklist"),
        FieldType("Topics__c", "multipicklist"),
        FieldType("SystemModstamp", "datetime"),
    )

    pythons = {c.name: mark.python for c in layout.root.columns if (mark := salesforce_field(c)) is not None}
    assert pythons == {
        "name": str,
        "owner_id": RecordId,
        "annual_revenue": Decimal,
        "sla__c": str,
        "topics__c": list[str],
        "system_modstamp": datetime,
    }
    for name, python in pythons.items():
        assert type(layout.root.c[name].type) is type(VALUE_TYPES[python].column)
        assert layout.root.c[name].nullable


def test_a_reference_is_indexed_and_remembers_what_it_may_hold() -> None:
    column = built("Account", FieldType("OwnerId", "reference", reference_to=("Group", "User"))).root.c.owner_id
    mark = salesforce_field(column)

    assert column.index
    assert not column.foreign_keys
    assert mark is not None
    assert mark.reference_to == ("Group", "User")


def refers(name: str, relationship: str, *targets: str) -> FieldType:
    return FieldType(name, "reference", reference_to=targets, relationship_name=relationship)


def test_a_described_reference_is_under_the_name_of_its_relationship() -> None:
    layout = built("Task", refers("WhoId", "Who", "Contact", "Lead"), refers("acme__Site__c", "acme__Site__r", "Site"))

    assert {name: (r.field, r.key, r.targets) for name, r in references_of(layout.model).items()} == {
        "who": ("WhoId", "who_id", ("Contact", "Lead")),
        "acme__site__r": ("acme__Site__c", "acme__site__c", ("Site",)),
    }
    assert {"who_type", "acme__site__r_type"} <= vars(layout.model).keys()


def test_a_relationship_whose_name_a_field_has_gives_way() -> None:
    layout = built("Task", FieldType("Account", "string"), refers("AccountId", "Account", "Account"))

    assert references_of(layout.model) == {}
    assert set(layout.slots) == {"Account", "AccountId"}


def test_references_reach_from_declared_classes_to_built_ones_and_back(base: Any, sqlite_url: str) -> None:
    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        account: Mapped[Any] = Reference("AccountId", "Account")

    contact = refers("Primary__c", "Primary__r", "Contact")
    [account] = build(objects("Account", FieldType("Name", "string"), contact), {})
    Models([Contact, account])

    def common(salesforce_id: str) -> dict[str, str]:
        return {"external_id": salesforce_id, "salesforce_id": salesforce_id, "organization_id": "00D"}

    engine = open_engine(sqlite_url)
    for metadata in (base.metadata, account.metadata):  # type: ignore[attr-defined]
        metadata.create_all(engine)
    with Session(engine) as session:
        made: Any = account
        session.add(made(name="Acme", primary__c="003", **common("001")))
        session.add(Contact(account_id="001", **common("003")))
        session.flush()
        contacts = session.scalars(select(Contact).where(Contact.account.of(account).name == "Acme")).all()
        assert [each.account.primary__r for each in contacts] == contacts
    engine.dispose()


def test_names_that_would_meet_or_are_taken_are_written_otherwise() -> None:
    fields = [FieldType(name, "string") for name in ("Foo_Bar__c", "FooBar__c", "ExternalId", "Class", "Metadata")]

    assert {name: slot.attribute for name, slot in built("Account", *fields).slots.items()} == {
        "Foo_Bar__c": "foo_bar__c",
        "FooBar__c": "foobar__c",
        "ExternalId": "external_id_",
        "Class": "class_",
        "Metadata": "metadata_",
    }


def test_two_receivers_may_build_the_same_sobject() -> None:
    [one], [other] = build(objects("Account"), {}), build(objects("Account"), {})

    assert one is not other
    assert one.__table__.metadata is not other.__table__.metadata  # type: ignore[attr-defined]


# -- the key ----------------------------------------------------------------------------------------------------------


def test_without_an_external_id_the_salesforce_id_is_the_key() -> None:
    layout = built("Account", FieldType("Name", "string"))

    assert layout.key_field is None
    assert list(layout.slots) == ["Name"]


def test_a_setting_names_the_external_id() -> None:
    layout = built("Account", FieldType("Name", "string"), FieldType("ERP_Id__c", "string"), Account="ERP_Id__c")

    assert layout.key_field == "ERP_Id__c"
    assert list(layout.slots) == ["Name"]
    assert sorted(layout.root.columns.keys()) == sorted([*SYSTEM, "name"])


def test_a_describe_names_the_external_id() -> None:
    field = FieldType("ERP_Id__c", "string", external_id=True, case_sensitive=False)

    layout = built("Account", FieldType("Name", "string"), field)

    assert layout.key_field == "ERP_Id__c"
    assert not layout.key.case_sensitive


def test_a_setting_wins_over_a_describe() -> None:
    described = FieldType("ERP_Id__c", "string", external_id=True)

    layout = built("Account", described, FieldType("Key__c", "string"), Account="Key__c")

    assert layout.key_field == "Key__c"
    assert list(layout.slots) == ["ERP_Id__c"]


def test_a_setting_for_another_sobject_does_not_matter() -> None:
    assert built("Account", FieldType("Name", "string"), Contact="Key__c").key_field is None


def test_several_external_ids_leave_a_choice_that_nobody_guesses() -> None:
    both = [FieldType(name, "string", external_id=True) for name in ("ERP_Id__c", "Key__c")]

    with pytest.raises(ConfigurationError) as caught:
        built("Account", *both)

    assert str(caught.value) == (
        "Account has several external IDs: ERP_Id__c, Key__c. Choose one: OMRECEIVER_EXTERNAL_IDS=Account=ERP_Id__c"
    )
    assert built("Account", *both, Account="Key__c").key_field == "Key__c"


def test_a_setting_that_names_a_field_which_is_not_sent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^OMRECEIVER_EXTERNAL_IDS names Account=Key__c, but no WSDL of"):
        built("Account", FieldType("Name", "string"), Account="Key__c")


@pytest.mark.parametrize(
    "field",
    [
        FieldType("Number__c", "double"),
        FieldType("Number__c", "double", scale=0),
        FieldType("Number__c", "int"),
    ],
)
def test_an_external_id_that_is_a_number_is_one_key_however_it_is_written(field: FieldType) -> None:
    key = built("Account", field, Account="Number__c").key

    assert {key.fold(text) for text in ("13.0", "13", "1.3E1", "0013")} == {"13"}


@pytest.mark.parametrize("salesforce_type", ["string", "email"])
def test_an_external_id_that_is_text_keeps_what_looks_like_a_number(salesforce_type: str) -> None:
    key = built("Account", FieldType("Key__c", salesforce_type), Account="Key__c").key

    assert {key.fold(text) for text in ("13.0", "13", "0013")} == {"13.0", "13", "0013"}


# -- as the application does it ---------------------------------------------------------------------------------------


def test_the_shipped_wsdls_become_tables(database_url: str) -> None:
    models = Models(build(Catalog.read(SHIPPED).objects().values(), {}))
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    try:
        for metadata in models.metadata():
            metadata.create_all(engine)
        assert {table.name for table in models.tables()} <= set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_longest_names_that_salesforce_allows_are_kept_by_every_database(empty_url: str) -> None:
    word = "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIjKlMn"
    field = FieldType(f"acmeindustries1__{word}__c", "reference")
    layout = built(f"acmeindustries1__{word}__c", field)
    column: Any = layout.by_attribute[layout.slots[field.name].attribute]
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": empty_url}).database_url)
    row = {"external_id": "A", "child_name": "A", "salesforce_id": "a00", "organization_id": "00D", column.name: "005"}
    try:
        layout.root.create(engine)
        with engine.begin() as connection:
            connection.execute(insert(layout.root), row)
            assert connection.scalar(select(column)) == "005"
        assert [table.name for table in layout.tables] == inspect(engine).get_table_names()
        assert column.name in {found["name"] for found in inspect(engine).get_columns(layout.root.name)}
    finally:
        engine.dispose()


def test_what_is_built_is_a_record() -> None:
    assert issubclass(built("Account").model, RecordMixin)


def test_id_chooses_the_salesforce_id_over_a_described_external_id() -> None:
    key = FieldType("ERP_Id__c", "string", external_id=True)
    assert built("Account", key).key_field == "ERP_Id__c"
    layout = built("Account", key, Account="Id")
    assert layout.key_field is None
    assert layout.slots["ERP_Id__c"].attribute == "erp_id__c"
