"""Reads the outbound messages of a Metadata API file workflows/<Object>.workflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from omreceiver.errors import SchemaError
from omreceiver.schema.wsdl import line_of, parse

METADATA = "{http://soap.sforce.com/2006/04/metadata}"
ENDINGS = (".workflow-meta.xml", ".workflow.xml", ".workflow")


@dataclass(frozen=True)
class OutboundMessage:
    """One outbound-message definition: its name, its sObject (from the file's name), its field list."""

    name: str
    sobject: str
    fields: frozenset[str]
    endpoint_url: str | None = None
    api_version: str | None = None


def read(path: Path) -> tuple[OutboundMessage, ...]:
    """The outbound messages in the order of the file; Id is not in their fields, as it is always sent.

    Raises SchemaError when the file is not Workflow metadata.
    """
    root = parse(path)
    if root.tag != f"{METADATA}Workflow":
        raise SchemaError(path, line_of(root), f"a Workflow element of {METADATA[1:-1]}")
    sobject = next(path.name.removesuffix(e) for e in ENDINGS if path.name.endswith(e))
    return tuple(_outbound_message(path, sobject, e) for e in root.iterfind(f"{METADATA}outboundMessages"))


def _outbound_message(path: Path, sobject: str, element: etree._Element) -> OutboundMessage:
    name = element.findtext(f"{METADATA}fullName") or element.findtext(f"{METADATA}name")
    fields = frozenset(f.text.strip() for f in element.iterfind(f"{METADATA}fields") if f.text)
    if not name or not fields:
        raise SchemaError(path, line_of(element), "outboundMessages with a fullName and fields")
    return OutboundMessage(
        name=name.strip(),
        sobject=sobject,
        fields=fields - {"Id"},
        endpoint_url=element.findtext(f"{METADATA}endpointUrl"),
        api_version=element.findtext(f"{METADATA}apiVersion"),
    )
