"""The outbound messages of a Metadata API workflow file, with the field list that no WSDL names an action for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from omreceiver.errors import SchemaError
from omreceiver.schema import workflow
from omreceiver.schema.workflow import OutboundMessage
from tests.wsdls import line_of

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<Workflow xmlns="http://soap.sforce.com/2006/04/metadata">\n'
TO_SHOP = """    <outboundMessages>
        <fullName>To_Shop</fullName>
        <apiVersion>61.0</apiVersion>
        <endpointUrl>https://shop.example.com/outbound-messages</endpointUrl>
        <fields>ERP_Id__c</fields>
        <fields>Id</fields>
        <fields>Name</fields>
        <includeSessionId>false</includeSessionId>
        <integrationUser>integration@example.com</integrationUser>
        <name>To the shop</name>
        <protected>false</protected>
        <useDeadLetterQueue>false</useDeadLetterQueue>
    </outboundMessages>
"""
ID_ONLY = """    <outboundMessages>
        <fullName>Ping</fullName>
        <fields>Id</fields>
        <name>Ping</name>
    </outboundMessages>
"""
RULE = "    <rules>\n        <fullName>Changed</fullName>\n        <active>true</active>\n    </rules>\n"
TAIL = "</Workflow>\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text, name): the path of a workflow file with that text."""

    def write_text(text: str, name: str = "Account.workflow") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def test_a_workflow_file_tells_its_outbound_messages_in_order(write: Write) -> None:
    assert workflow.read(write(HEAD + TO_SHOP + RULE + ID_ONLY + TAIL)) == (
        OutboundMessage(
            name="To_Shop",
            sobject="Account",
            fields=frozenset({"ERP_Id__c", "Name"}),
            endpoint_url="https://shop.example.com/outbound-messages",
            api_version="61.0",
        ),
        OutboundMessage(name="Ping", sobject="Account", fields=frozenset()),
    )


@pytest.mark.parametrize(
    ("name", "sobject"),
    [
        ("Account.workflow", "Account"),
        ("Account.workflow.xml", "Account"),
        ("Account.workflow-meta.xml", "Account"),
        ("acme__Invoice__c.workflow-meta.xml", "acme__Invoice__c"),
    ],
)
def test_the_sobject_is_the_name_of_the_file(write: Write, name: str, sobject: str) -> None:
    assert [message.sobject for message in workflow.read(write(HEAD + TO_SHOP + TAIL, name))] == [sobject]


def test_a_workflow_without_outbound_messages_has_none(write: Write) -> None:
    assert workflow.read(write(HEAD + RULE + TAIL)) == ()


def test_without_a_full_name_the_label_names_the_message(write: Write) -> None:
    text = TO_SHOP.replace("        <fullName>To_Shop</fullName>\n", "")

    assert [message.name for message in workflow.read(write(HEAD + text + TAIL))] == ["To the shop"]


def test_white_space_around_names_is_no_matter(write: Write) -> None:
    text = TO_SHOP.replace(">Name<", ">\n  Name\n  <").replace(">To_Shop<", "> To_Shop\n<")

    assert workflow.read(write(HEAD + text + TAIL)) == workflow.read(write(HEAD + TO_SHOP + TAIL))


def refusal(path: Path) -> tuple[int, str]:
    """The line and the expectation of the error."""
    with pytest.raises(SchemaError) as caught:
        workflow.read(path)
    assert caught.value.path == path
    return caught.value.line, caught.value.expected


def test_what_is_not_xml_is_refused(write: Write) -> None:
    text = HEAD + TO_SHOP

    line, expected = refusal(write(text))

    assert line == text.count("\n") + 1
    assert expected.startswith("well-formed XML (")


@pytest.mark.parametrize("text", ["\n<Workflow/>", "\n<CustomObject xmlns='http://soap.sforce.com/2006/04/metadata'/>"])
def test_other_metadata_is_refused(write: Write, text: str) -> None:
    assert refusal(write(text)) == (2, "a Workflow element of http://soap.sforce.com/2006/04/metadata")


@pytest.mark.parametrize(
    "text",
    [
        TO_SHOP.replace("fullName>", "label>").replace("name>", "label>"),
        ID_ONLY.replace("        <fields>Id</fields>\n", ""),
        ID_ONLY.replace("<fields>Id</fields>", "<fields></fields>"),
    ],
    ids=["no name", "no fields", "empty fields"],
)
def test_an_outbound_message_without_name_or_fields_is_refused(write: Write, text: str) -> None:
    whole = HEAD + RULE + text + TAIL

    assert refusal(write(whole)) == (
        line_of(whole, "<outboundMessages>"),
        "outboundMessages with a fullName and fields",
    )
