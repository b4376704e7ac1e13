"""System checks: each thing that a declaration can get wrong, its number, and that the start says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from omreceiver import Address, Compound, ExternalId, Field, Reference, Tombstone
from omreceiver.errors import ChecksFailed, DeclarationError
from omreceiver.records.checks import CHECKS
from omreceiver.records.models import Models
from omreceiver.schema.catalog import Catalog
from tests.conftest import ROOT
from tests.wsdls import select_fields

PARTNER = "012000000000001AAA"


def findings(*classes: Any, catalog: Catalog | None = None) -> list[str]:
    """What the start says of these classes, a line each."""
    with pytest.raises(ChecksFailed) as failed:
        Models(classes, catalog)
    assert [str(finding) for finding in failed.value.findings] == str(failed.value).split("\n")
    return str(failed.value).split("\n")


def described(folder: Path, name: str, *fields: str, record_types: dict[str, str] | None = None) -> Catalog:
    """A WSDL folder that holds a describe only."""
    types = [{"recordTypeId": i, "name": n, "developerName": n} for n, i in (record_types or {}).items()]
    described = {"name": name, "fields": [{"name": f, "type": "string"} for f in fields], "recordTypeInfos": types}
    (folder / f"{name}.describe.json").write_text(json.dumps(described))
    return Catalog.read(folder)


def test_e001_no_sobject(base: Any) -> None:
    class Account(base):
        name: Mapped[str | None] = Field("Name")

    [said] = findings(Account)
    assert said.startswith("E001 Account has no sObject")
    assert 'sobject="…"' in said


def test_a_root_of_yours_has_its_sobjects_below(base: Any) -> None:
    class Person(base):
        pass

    class Contact(Person, sobject="Contact"):  # type: ignore[call-arg]
        pass

    Models([Person, Contact])


def test_e002_a_field_mapped_twice(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")
        title: Mapped[str | None] = Field("Name")

    assert findings(Account) == ["E002 Account maps Name twice, as name and title. Remove one of the two."]


def test_e003_two_external_ids(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        other: Mapped[str] = ExternalId("Tax_Id__c")

    [said] = findings(Account)
    assert said.startswith("E003 Account has the external IDs ")
    assert "Keep one" in said


def test_e003_a_key_that_is_no_external_id(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = mapped_column(String(80), primary_key=True)

    [said] = findings(Account)
    assert said.startswith("E003 Account.external_id is not declared with ExternalId. ")


def test_e004_an_object_mapped_twice_without_when(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Company(Account, sobject="Account"):  # type: ignore[call-arg]
        pass

    [said] = findings(Account, Company)
    assert said.startswith("E004 Account, Company all take Account. ")


def test_e004_an_object_in_two_roots(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Company(base, sobject="Account", when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    assert findings(Account, Company) == [
        "E004 Account goes to several roots: Account, Company. Derive them from one class."
    ]


def test_e005_a_reference_with_a_constraint(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        __table_args__ = (ForeignKeyConstraint(["account_id"], ["account.salesforce_id"]),)
        account: Mapped[Any] = Reference("AccountId", "Account")

    [said] = findings(Account, Contact)
    assert said.startswith("E005 Contact.account_id (AccountId) has a foreign-key constraint. Remove it")


def test_a_key_that_follows_its_parent_is_no_such_reference(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")

    class Partner(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    Models([Account, Partner])


def test_e006_a_field_that_no_wsdl_and_no_describe_knows(base: Any, tmp_path: Path) -> None:
    select_fields(tmp_path, Name="string", ERP_Id__c="string")

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Nmae")

    [said] = findings(Account, catalog=Catalog.read(tmp_path))
    assert said.startswith(
        "E006 Account.name maps Nmae, which no WSDL and no describe of Account knows. Did you mean Name?"
    )


def test_a_field_that_the_describe_knows_need_not_be_selected(base: Any, tmp_path: Path) -> None:
    select_fields(tmp_path, Name="string")

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        site: Mapped[str | None] = Field("Site")

    with pytest.raises(ChecksFailed, match=r"^E006 Account\.site maps Site"):
        Models([Account], Catalog.read(tmp_path))
    Models([Account], described(tmp_path, "Account", "Site"))


def test_a_field_of_an_sobject_without_a_schema_is_taken_at_its_word(base: Any, tmp_path: Path) -> None:
    """Also one of a root: the sObject that has it may be the one of which nothing is known."""
    select_fields(tmp_path, Name="string")

    class Party(base):
        nickname: Mapped[str | None] = Field("Nickname__c")

    class Account(Party, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Contact(Party, sobject="Contact"):  # type: ignore[call-arg]
        pass

    Models([Party, Account, Contact], Catalog.read(tmp_path))
    with pytest.raises(ChecksFailed, match=r"^E006 Party\.nickname maps Nickname__c"):
        Models([Party, Account, Contact], described(tmp_path, "Contact", "Email"))


def test_of_a_compound_one_part_need_be_known(base: Any, tmp_path: Path) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        billing: Mapped[Address | None] = Compound("BillingAddress")

    Models([Account], described(tmp_path, "Account", "Name", "BillingCity"))
    said = findings(Account, catalog=described(tmp_path, "Account", "Name", "ShippingCity"))
    assert {line[:4] for line in said} == {"E006"}
    assert "Account.billing_city maps BillingCity" in "".join(said)


def test_e007_a_discriminator_value_used_twice(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Partner(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    class Reseller(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    [said] = findings(Account, Partner, Reseller)
    assert said.startswith(f"E007 Partner and Reseller both take Account when RecordTypeId is {PARTNER}. ")


def test_e008_a_child_that_redefines_a_column(base: Any) -> None:
    """Told when the class is defined, not at the start; see tests/test_inheritance.py for more."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    with pytest.raises(DeclarationError, match=r"^E008 Partner\.name declares Account\.name again"):

        class Partner(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
            name: Mapped[str | None] = Field("Partner_Name__c")


def test_e009_a_record_that_two_classes_would_take_alike(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Partner(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    class Gold(Account, when={"Tier__c": "Gold"}):  # type: ignore[call-arg]
        pass

    [said] = findings(Account, Partner, Gold)
    assert said.startswith(
        f"E009 A record of Account with Tier__c is Gold and RecordTypeId is {PARTNER} fits Gold and "
    )


def test_a_class_for_both_takes_what_two_would(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Partner(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        pass

    class Gold(Account, when={"Tier__c": "Gold"}):  # type: ignore[call-arg]
        pass

    class GoldPartner(Partner, when={"Tier__c": "Gold"}):  # type: ignore[call-arg]
        pass

    models = Models([Account, Partner, Gold, GoldPartner])
    assert models.leaf("Account", {"RecordTypeId": PARTNER, "Tier__c": "Gold"}) is GoldPartner


def test_e010_a_record_type_that_no_describe_knows(base: Any, tmp_path: Path) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Partner(Account, when={"RecordTypeId": "PartnerAccounts"}):  # type: ignore[call-arg]
        """A name with as many letters as an ID."""

    [said] = findings(Account, Partner)
    assert said.startswith("E010 Partner asks for the record type PartnerAccounts, which no describe of Account has. ")

    catalog = described(tmp_path, "Account", record_types={"PartnerAccounts": PARTNER})
    models = Models([Account, Partner], catalog)
    assert models.leaf("Account", {"RecordTypeId": PARTNER}) is Partner
    assert models.leaf("Account", {"RecordTypeId": "PartnerAccounts"}) is Account


def test_e011_two_local_classes_of_one_parent(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Scored(Account, local=True):  # type: ignore[call-arg]
        score: Mapped[int | None]

    class Ranked(Account, local=True):  # type: ignore[call-arg]
        rank: Mapped[int | None]

    [said] = findings(Account, Scored, Ranked)
    assert said.startswith("E011 Ranked, Scored below Account are all local=True. ")


def test_e011_a_local_class_with_records_of_its_own(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Partner(Account, when={"RecordTypeId": PARTNER}, local=True):  # type: ignore[call-arg]
        pass

    [said] = findings(Account, Partner)
    assert said.startswith("E011 Partner is declared local=True and takes records of its own. ")


def test_e012_a_local_class_whose_row_cannot_be_made(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Scored(Account, local=True):  # type: ignore[call-arg]
        score: Mapped[int]
        rank: Mapped[int] = mapped_column(default=1)
        since: Mapped[str] = mapped_column(server_default="now")

    assert findings(Account, Scored) == [
        "E012 Scored is declared local=True, and its column score cannot be empty. "
        "Give it a default, or allow None: Mapped[… | None]."
    ]


def test_everything_is_told_at_once(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")
        title: Mapped[str | None] = Field("Name")

    class Lost(base):
        pass

    assert [said[:4] for said in findings(Account, Lost)] == ["E001", "E002"]


def test_e013_a_tombstone_that_a_class_maps_or_whose_fields_nobody_knows(base: Any, tmp_path: Path) -> None:
    select_fields(tmp_path, "Deleted_Object__c", Object_Id__c="string")
    catalog = Catalog.read(tmp_path)
    with pytest.raises(ChecksFailed) as raised:
        Models([], catalog, [Tombstone("Deleted_Object__c", record_id="Object_ID__c")])
    assert "Did you mean Object_Id__c?" in str(raised.value)

    class Gone(base, sobject="Deleted_Object__c"):  # type: ignore[call-arg]
        pass

    with pytest.raises(ChecksFailed, match="E013 Deleted_Object__c is a tombstone and mapped by a class"):
        Models([Gone], catalog, [Tombstone("Deleted_Object__c", record_id="Object_Id__c")])


def test_every_check_is_documented_and_tested() -> None:
    documented = (ROOT / "docs" / "records.md").read_text()
    tested = Path(__file__).read_text()
    for number in (*CHECKS, "E008"):
        assert f"| {number} |" in documented, f"docs/records.md does not describe {number}"
        assert f"def test_{number.lower()}_" in tested
