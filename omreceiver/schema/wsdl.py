"""Reads an outbound-message WSDL, as Setup gives it, into an ObjectType; writes its address anew."""

from __future__ import annotations

import re
from pathlib import Path

from lxml import etree

from omreceiver.errors import SchemaError
from omreceiver.schema.objecttype import FieldType, ObjectType

OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
SOBJECT = "urn:sobject.enterprise.soap.sforce.com"
NAMES = {
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xsd": "http://www.w3.org/2001/XMLSchema",
}

#: XML type in a WSDL → Salesforce's word. The last four have not been seen in one yet.
TYPES = {
    "ID": "reference",
    "string": "string",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "dateTime": "datetime",
    "int": "int",
    "base64Binary": "base64",
    "time": "time",
    "long": "long",
    "decimal": "decimal",
}

#: older WSDLs begin with blank lines, before which XML wants its declaration
LATE_DECLARATION = re.compile(rb"\A(\s+)(<\?xml[^>]*\?>)")


def safe_parser() -> etree.XMLParser:
    """A parser that loads nothing and expands nothing."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def parse(path: Path) -> etree._Element:
    """The root element of an XML file. Raises SchemaError with the line where it stops being XML."""
    try:
        return etree.fromstring(LATE_DECLARATION.sub(rb"\2\1", path.read_bytes()), safe_parser())
    except etree.XMLSyntaxError as error:
        raise SchemaError(path, error.lineno or 1, f"well-formed XML ({error.msg})") from error


def line_of(element: etree._Element) -> int:
    """Where an element begins in its file."""
    return int(str(element.sourceline))


def read(path: Path) -> ObjectType:
    """The one sObject that the WSDL is about, with the fields that the outbound message selects.

    Raises SchemaError when the file is not an outbound-message WSDL.
    """
    root = parse(path)
    if root.tag != f"{{{NAMES['wsdl']}}}definitions" or root.get("targetNamespace") != OUTBOUND:
        raise SchemaError(path, line_of(root), f"WSDL definitions with targetNamespace {OUTBOUND}")
    schema = root.find(f"wsdl:types/xsd:schema[@targetNamespace='{SOBJECT}']", NAMES)
    if schema is None:
        raise SchemaError(path, line_of(root), f"a schema with targetNamespace {SOBJECT}")
    found = [t for t in schema.iterfind("xsd:complexType", NAMES) if _extends_sobject(t)]
    if len(found) != 1:
        expected = f"exactly one complexType that extends sObject, found {len(found)}"
        raise SchemaError(path, line_of(schema), expected)
    return _object_type(path, found[0])


def _extends_sobject(complex_type: etree._Element) -> bool:
    """Every WSDL also has AggregateResult, which no message ever holds."""
    if complex_type.get("name") == "AggregateResult":
        return False
    extension = complex_type.find("xsd:complexContent/xsd:extension", NAMES)
    return extension is not None and extension.get("base", "").rpartition(":")[2] == "sObject"


def _object_type(path: Path, complex_type: etree._Element) -> ObjectType:
    name = complex_type.get("name")
    if not name:
        raise SchemaError(path, line_of(complex_type), "a complexType with a name")
    elements = complex_type.iterfind("xsd:complexContent/xsd:extension/xsd:sequence/xsd:element", NAMES)
    fields = [_field_type(path, element) for element in elements]
    return ObjectType(name, {f.name: f for f in fields if f.name != "Id"})


def _field_type(path: Path, element: etree._Element) -> FieldType:
    name, xml_type = element.get("name"), element.get("type", "").rpartition(":")[2]
    if not name or xml_type not in TYPES:
        expected = f"an element with a name and one of the types {', '.join(TYPES)}"
        raise SchemaError(path, line_of(element), expected)
    return FieldType(name, TYPES[xml_type])


def with_address(path: Path, url: str) -> bytes:
    """The file as it is, except that its soap:address is the given URL."""
    root = parse(path)
    for address in root.iterfind(".//soap:address", NAMES):
        address.set("location", url)
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8")
