"""The WSDL folder as one value: which sObjects there are, with which fields, and what each action selects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omreceiver.errors import ConfigurationError, SchemaError
from omreceiver.schema.catalog import Catalog
from omreceiver.schema.objecttype import FieldType
from tests.wsdls import wsdl_text

WORKFLOW = """<Workflow xmlns="http://soap.sforce.com/2006/04/metadata">
  <outboundMessages><fullName>To_Shop</fullName><fields>Id</fields><fields>Name</fields></outboundMessages>
</Workflow>
"""


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def put_describe(folder: Path, name: str, **fields: object) -> None:
    entries = [{"name": name, "type": kind} for name, kind in fields.items()]
    described = {"name": name, "label": f"{name}, described", "keyPrefix": "001", "fields": entries}
    put(folder, f"{name}.describe.json", json.dumps(described))


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert Catalog.read(tmp_path / "nowhere") == Catalog()


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert Catalog.read(tmp_path).objects() == {}


def test_wsdls_go_by_the_stem_of_their_file(tmp_path: Path) -> None:
    account = put(tmp_path, "Account.wsdl", wsdl_text("Account"))
    invoice = put(tmp_path, "invoices-2026.wsdl.xml", wsdl_text("acme__Invoice__c"))

    catalog = Catalog.read(tmp_path)

    assert catalog.paths == {"Account": account, "invoices-2026": invoice}
    assert {stem: found.name for stem, found in catalog.wsdls.items()} == {
        "Account": "Account",
        "invoices-2026": "acme__Invoice__c",
    }


def test_other_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "README.md", "# our WSDLs")
    put(tmp_path, "notes.xml", "<notes/>")
    put(tmp_path, ".wsdl", "no name")
    put(tmp_path, "package.json", "{}")
    (tmp_path / "old.wsdl").mkdir()

    assert Catalog.read(tmp_path) == Catalog()


def test_two_wsdls_of_one_sobject_are_one_object_with_the_fields_of_both(tmp_path: Path) -> None:
    put(tmp_path, "Account.wsdl", wsdl_text("Account", {"Name": "xsd:string"}))
    put(tmp_path, "AccountOwner.wsdl", wsdl_text("Account", {"Name": "xsd:string", "OwnerId": "ent:ID"}))

    objects = Catalog.read(tmp_path).objects()

    assert list(objects) == ["Account"]
    assert set(objects["Account"].fields) == {"Name", "OwnerId"}


def test_a_describe_beside_it_tells_more_of_the_fields_that_a_wsdl_selects(tmp_path: Path) -> None:
    put(tmp_path, "Account.wsdl", wsdl_text("Account", {"Amount__c": "xsd:double", "New__c": "xsd:string"}))
    put_describe(tmp_path, "Account", Amount__c="currency", Secret__c="string")

    account = Catalog.read(tmp_path).objects()["Account"]

    assert (account.label, account.key_prefix) == ("Account, described", "001")
    assert account.fields == {
        "Amount__c": FieldType("Amount__c", "currency"),
        "New__c": FieldType("New__c", "string"),
    }


def test_a_describe_alone_makes_no_object(tmp_path: Path) -> None:
    put_describe(tmp_path, "Contact", LastName="string")

    catalog = Catalog.read(tmp_path)

    assert set(catalog.describes) == {"Contact"}
    assert catalog.objects() == {}


def test_the_only_wsdl_of_an_sobject_tells_what_it_sends(tmp_path: Path) -> None:
    put(tmp_path, "accounts.wsdl", wsdl_text("Account"))
    put(tmp_path, "a.wsdl", wsdl_text("Contact"))
    put(tmp_path, "b.wsdl", wsdl_text("Contact"))

    catalog = Catalog.read(tmp_path)

    assert catalog.only_wsdl("Account") == "accounts"
    assert catalog.only_wsdl("Contact") is None
    assert catalog.only_wsdl("Lead") is None


def test_a_field_list_goes_by_a_wsdl_or_by_an_outbound_message(tmp_path: Path) -> None:
    put(tmp_path, "accounts.wsdl", wsdl_text("Account", {"Name": "xsd:string", "Site": "xsd:string"}))
    put(tmp_path, "ping.wsdl", wsdl_text("Account", {}))
    put(tmp_path, "Account.workflow", WORKFLOW)

    catalog = Catalog.read(tmp_path)

    assert catalog.fields_of("accounts") == frozenset({"Name", "Site"})
    assert catalog.fields_of("ping") == frozenset()
    assert catalog.fields_of("To_Shop") == frozenset({"Name"})
    assert catalog.fields_of("Account.To_Shop") == frozenset({"Name"})
    assert catalog.fields_of("Account") is None


def test_the_sobject_of_a_field_list_is_known_too(tmp_path: Path) -> None:
    put(tmp_path, "accounts.wsdl", wsdl_text("Account"))
    put(tmp_path, "Contact.workflow-meta.xml", WORKFLOW)

    catalog = Catalog.read(tmp_path)

    assert catalog.sobject_of("accounts") == "Account"
    assert catalog.sobject_of("Contact.To_Shop") == "Contact"
    assert catalog.sobject_of("nobody") is None


def test_a_wsdl_goes_before_an_outbound_message_of_the_same_name(tmp_path: Path) -> None:
    put(tmp_path, "To_Shop.wsdl", wsdl_text("Lead", {"Company": "xsd:string"}))
    put(tmp_path, "Account.workflow", WORKFLOW)

    catalog = Catalog.read(tmp_path)

    assert catalog.fields_of("To_Shop") == frozenset({"Company"})
    assert catalog.sobject_of("To_Shop") == "Lead"


def test_outbound_messages_of_two_sobjects_may_share_a_name(tmp_path: Path) -> None:
    put(tmp_path, "Account.workflow", WORKFLOW)
    put(tmp_path, "Contact.workflow", WORKFLOW.replace("Name", "LastName").replace("fullLastName", "fullName"))

    catalog = Catalog.read(tmp_path)

    assert catalog.fields_of("Account.To_Shop") == frozenset({"Name"})
    assert catalog.fields_of("Contact.To_Shop") == frozenset({"LastName"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Account.wsdl", "<definitions/>"),
        ("Account.describe.json", "[]"),
        ("Account.workflow", "<Workflow/>"),
    ],
)
def test_a_malformed_file_is_answered_with_its_path(tmp_path: Path, name: str, text: str) -> None:
    path = put(tmp_path, name, text)

    with pytest.raises(SchemaError) as caught:
        Catalog.read(tmp_path)

    assert caught.value.path == path


def test_two_wsdls_of_one_name_would_have_one_url(tmp_path: Path) -> None:
    for name in ("Account.wsdl", "Account.wsdl.xml"):
        (tmp_path / name).write_text(wsdl_text("Account", {"Name": "xsd:string"}))
    with pytest.raises(ConfigurationError, match="would have one URL"):
        Catalog.read(tmp_path)


def test_a_message_name_that_two_objects_have_needs_its_object(tmp_path: Path) -> None:
    for sobject in ("Account", "Contact"):
        (tmp_path / f"{sobject}.workflow").write_text(
            '<Workflow xmlns="http://soap.sforce.com/2006/04/metadata"><outboundMessages><fullName>To_ERP</fullName>'
            f"<fields>{sobject}Number</fields></outboundMessages></Workflow>"
        )
    catalog = Catalog.read(tmp_path)
    assert catalog.fields_of("To_ERP") is None
    assert catalog.fields_of("Contact.To_ERP") == frozenset({"ContactNumber"})
