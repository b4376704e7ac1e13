"""An outbound-message WSDL becomes an ObjectType; anything else is answered with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from omreceiver.errors import SchemaError
from omreceiver.schema import wsdl
from omreceiver.schema.objecttype import FieldType, ObjectType
from tests.wsdls import ADDRESS, OBJECT, line_of, wsdl_text

SHIPPED = sorted((Path(__file__).parent.parent / "wsdl").glob("*.wsdl"))

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text): the path of a WSDL with that text."""

    def write_text(text: str) -> Path:
        path = tmp_path / "Account.wsdl"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def test_a_wsdl_tells_the_sobject_and_its_selected_fields(write: Write) -> None:
    path = write(wsdl_text("Account", {"Name": "xsd:string", "AnnualRevenue": "xsd:double"}))

    assert wsdl.read(path) == ObjectType(
        "Account",
        {"AnnualRevenue": FieldType("AnnualRevenue", "double"), "Name": FieldType("Name", "string")},
    )


@pytest.mark.parametrize(
    ("xml_type", "salesforce_type"),
    [
        ("ent:ID", "reference"),
        ("xsd:string", "string"),
        ("xsd:double", "double"),
        ("xsd:boolean", "boolean"),
        ("xsd:date", "date"),
        ("xsd:dateTime", "datetime"),
        ("xsd:int", "int"),
        ("xsd:base64Binary", "base64"),
        ("xsd:time", "time"),
        ("xsd:long", "long"),
        ("xsd:decimal", "decimal"),
    ],
)
def test_each_xml_type_has_salesforces_word(write: Write, xml_type: str, salesforce_type: str) -> None:
    path = write(wsdl_text("Account", {"Field__c": xml_type}))

    assert wsdl.read(path).fields["Field__c"].type == salesforce_type


def test_every_type_that_is_read_is_in_the_table_above() -> None:
    mark = test_each_xml_type_has_salesforces_word.pytestmark[0]  # type: ignore[attr-defined]
    assert {xml_type.partition(":")[2] for xml_type, _ in mark.args[1]} == set(wsdl.TYPES)


def test_a_message_that_selects_only_the_id_has_no_fields(write: Write) -> None:
    assert wsdl.read(write(wsdl_text("Account", {}))) == ObjectType("Account", {})


def test_the_id_is_never_among_the_fields_even_where_a_wsdl_lists_it(write: Write) -> None:
    path = write(wsdl_text("Account", {"Id": "ent:ID", "Name": "xsd:string"}))

    assert list(wsdl.read(path).fields) == ["Name"]


def test_a_namespaced_object_keeps_its_name_and_the_case_of_its_fields(write: Write) -> None:
    path = write(wsdl_text("acme__Invoice__c", {"acme__Total__c": "xsd:double", "ERP_Id__c": "xsd:string"}))

    assert wsdl.read(path).name == "acme__Invoice__c"
    assert list(wsdl.read(path).fields) == ["ERP_Id__c", "acme__Total__c"]


def _swapped(text: str) -> str:
    return text.replace('nillable="true" minOccurs="0" type="xsd:string"', 'type="xsd:string" minOccurs="0"')


WSDL_NAMES = "definitions types message part portType operation documentation input output binding service port"
SCHEMA_NAMES = (
    "schema import simpleType restriction length pattern complexType sequence element any complexContent extension"
)


def _prefixed(text: str) -> str:
    """The same document as an IDE rewrites it: prefixes where Salesforce has default namespaces."""
    for prefix, names in (("w", WSDL_NAMES), ("xs", SCHEMA_NAMES)):
        for name in names.split():
            text = text.replace(f"<{name} ", f"<{prefix}:{name} ").replace(f"<{name}>", f"<{prefix}:{name}>")
            text = text.replace(f"</{name}>", f"</{prefix}:{name}>")
    text = text.replace(' xmlns="http://www.w3.org/2001/XMLSchema"', "")
    text = text.replace("xmlns:xsd=", 'xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsd=')
    text = text.replace("<w:definitions ", '<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" ')
    return text.replace("ens:", "objects:").replace("xmlns:ens", "xmlns:objects")


@pytest.mark.parametrize(
    "vary",
    [
        pytest.param(lambda text: "\n\n" + text, id="blank lines before the XML declaration"),
        pytest.param(lambda text: text.replace("<!--", "\n\n<!--", 1), id="blank lines after it"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace("    ", ""), id="no indentation"),
        pytest.param(lambda text: text.replace("    ", "\t"), id="tabs"),
        pytest.param(_swapped, id="attributes in another order, one left out"),
        pytest.param(_prefixed, id="other prefixes"),
        pytest.param(lambda text: text.partition("?>")[2].lstrip(), id="no XML declaration"),
        pytest.param(
            lambda text: text.replace("<sequence>", "<sequence><!-- chosen -->"),
            id="comments between elements",
        ),
    ],
)
def test_layout_carries_no_meaning(write: Write, vary: Callable[[str], str]) -> None:
    text = wsdl_text("Account", {"Name": "xsd:string", "OwnerId": "ent:ID"})

    assert vary(text) != text
    assert wsdl.read(write(vary(text))) == wsdl.read(write(text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_wsdls_are_read(path: Path) -> None:
    assert wsdl.read(path).name == path.stem
    assert "Id" not in wsdl.read(path).fields


def refusal(path: Path) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        wsdl.read(path)
    assert str(caught.value) == f"{path}, line {caught.value.line}: expected {caught.value.expected}"
    assert caught.value.path == path
    return caught.value


def test_what_is_not_xml_is_refused_with_the_line_where_it_stops_to_be(write: Write) -> None:
    text = wsdl_text().replace("</sequence>", "</sequenz>", 1)

    error = refusal(write(text))

    assert error.line == line_of(text, "</sequenz>")
    assert error.expected.startswith("well-formed XML (")


@pytest.mark.parametrize("text", ["", "\n", "name,type\nName,string\n"])
def test_a_file_without_any_xml_is_refused(write: Write, text: str) -> None:
    assert refusal(write(text)).line >= 1


def test_blank_lines_at_the_top_count_in_the_line_of_an_error(write: Write) -> None:
    text = "\n\n" + wsdl_text("Account", {"Name": "xsd:anyURI"})

    assert refusal(write(text)).line == line_of(text, "xsd:anyURI")


def test_an_enterprise_wsdl_is_refused(write: Write) -> None:
    text = wsdl_text().replace(
        'definitions targetNamespace="http://soap.sforce.com/2005/09/outbound"',
        'definitions targetNamespace="urn:enterprise.soap.sforce.com"',
    )

    error = refusal(write(text))

    assert error.expected == "WSDL definitions with targetNamespace http://soap.sforce.com/2005/09/outbound"
    assert line_of(text, "<definitions") <= error.line <= line_of(text, "xmlns:ens")


def test_a_wsdl_with_several_object_types_is_refused(write: Write) -> None:
    text = wsdl_text()
    account = OBJECT.partition("        </schema>")[0].format(sobject="Account", fields="")
    text = text.replace(account.splitlines()[0], account.replace("Account", "Contact") + account.splitlines()[0])

    error = refusal(write(text))

    assert error.expected == "exactly one complexType that extends sObject, found 2"
    assert error.line == line_of(text, 'targetNamespace="urn:sobject.enterprise')


def test_a_wsdl_without_an_object_type_is_refused(write: Write) -> None:
    text = wsdl_text().replace('name="Account">', 'name="AggregateResult">', 1)

    assert refusal(write(text)).expected == "exactly one complexType that extends sObject, found 0"


def test_a_wsdl_without_the_sobject_schema_is_refused(write: Write) -> None:
    text = wsdl_text().replace(
        'targetNamespace="urn:sobject.enterprise.soap.sforce.com"',
        'targetNamespace="urn:sobject.partner.soap.sforce.com"',
    )

    assert refusal(write(text)).expected == "a schema with targetNamespace urn:sobject.enterprise.soap.sforce.com"


def test_other_xml_is_refused(write: Write) -> None:
    error = refusal(write("<?xml version='1.0'?>\n\n<Workflow/>"))

    assert error.line == 3
    assert "targetNamespace http://soap.sforce.com/2005/09/outbound" in error.expected


@pytest.mark.parametrize("xml_type", ["xsd:anyURI", "tns:Address", "ID2", ""])
def test_an_unknown_type_is_refused_with_the_types_that_are_known(write: Write, xml_type: str) -> None:
    text = wsdl_text("Account", {"AAA": "xsd:string", "Site": xml_type})

    error = refusal(write(text))

    assert error.line == line_of(text, 'name="Site"')
    assert error.expected.endswith(", ".join(wsdl.TYPES))


def test_a_field_without_a_name_is_refused(write: Write) -> None:
    text = wsdl_text("Account", {"Name": "xsd:string"}).replace('<element name="Name" ', "<element ")

    error = refusal(write(text))

    assert error.line == line_of(text, '<element nillable="true" minOccurs="0" type="xsd:string"/>')
    assert error.expected.startswith("an element with a name and one of the types ")


def test_an_object_type_without_a_name_is_refused(write: Write) -> None:
    text = wsdl_text().replace('<complexType name="Account">', "<complexType>")

    error = refusal(write(text))

    assert error.line == line_of(text, "<complexType>")
    assert error.expected == "a complexType with a name"


def test_a_wsdl_loads_nothing_from_outside(write: Write, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Secret__c")
    doctype = f'<!DOCTYPE definitions [<!ENTITY name SYSTEM "{secret.as_uri()}">]>'
    text = wsdl_text().replace("<!--", f"{doctype}\n<!--", 1).replace(">Notification Service", ">&name;", 1)

    address = "https://shop.example.com/"
    assert b"Secret__c" not in wsdl.with_address(write(text), address)


def test_with_address_writes_the_address_anew_and_nothing_else(write: Write) -> None:
    text = wsdl_text("Account", {"Name": "xsd:string"})

    written = wsdl.with_address(write(text), "https://shop.example.com/om/Account?token=a&b=<c>")

    expected = text.replace(ADDRESS, "https://shop.example.com/om/Account?token=a&amp;b=&lt;c&gt;")
    canonical = [etree.tostring(etree.fromstring(xml), method="c14n") for xml in (written, expected.encode())]
    assert canonical[0] == canonical[1]
    assert b"Copyright 2005-2026 Salesforce" in written
    assert written.startswith(b"<?xml")


def test_with_address_leaves_the_file_alone(write: Write) -> None:
    path = write(wsdl_text())

    wsdl.with_address(path, "https://shop.example.com/")

    assert path.read_text(encoding="utf-8") == wsdl_text()


def test_with_address_keeps_the_fields(write: Write, tmp_path: Path) -> None:
    path, other = write(wsdl_text("Account", {"Name": "xsd:string"})), tmp_path / "other.wsdl"

    other.write_bytes(wsdl.with_address(path, "https://shop.example.com/"))

    assert wsdl.read(other) == wsdl.read(path)
