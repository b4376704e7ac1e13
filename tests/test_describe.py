"""The JSON of a describe becomes an ObjectType that knows what no WSDL tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omreceiver.errors import SchemaError
from omreceiver.schema import describe
from omreceiver.schema.objecttype import FieldType, ObjectType, RecordType
from tests.wsdls import line_of

SHIPPED = sorted((Path(__file__).parent.parent / "wsdl").glob("*.describe.json"))

#: OwnerId of a queue-enabled object, as an old API described it: no polymorphicForeignKey yet
OLD_OWNER = {
    "length": 18, "name": "OwnerId", "type": "reference", "label": "Owner ID", "nillable": False, "unique": False,
    "precision": 0, "scale": 0, "byteLength": 18, "externalId": False, "idLookup": False, "soapType": "tns:ID",
    "digits": 0, "autoNumber": False, "picklistValues": [], "referenceTo": ["Group", "User"],
    "relationshipName": "Owner", "relationshipOrder": None, "namePointing": True, "custom": False,
}  # fmt: skip

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(*fields, **properties): the path of a describe with these fields; write(text=…): with that text."""

    def write_describe(*fields: object, text: str | None = None, **properties: object) -> Path:
        path = tmp_path / "Account.describe.json"
        described = {"name": "Account", **properties, "fields": list(fields)}
        path.write_text(json.dumps(described, indent=1) if text is None else text, encoding="utf-8")
        return path

    return write_describe


def test_a_describe_tells_label_prefix_and_record_types(write: Write) -> None:
    path = write(
        label="Firma",
        keyPrefix="001",
        recordTypeInfos=[
            {"recordTypeId": "012000000000001AAA", "name": "Partner", "developerName": "Partner", "master": False},
            {"recordTypeId": "012000000000000AAA", "name": "Master", "master": True},
        ],
    )

    assert describe.read(path) == ObjectType(
        name="Account",
        fields={},
        label="Firma",
        key_prefix="001",
        record_types=(
            RecordType("012000000000001AAA", "Partner", "Partner", master=False),
            RecordType("012000000000000AAA", "Master", None, master=True),
        ),
    )


def test_an_object_may_have_no_prefix_and_no_record_types(write: Write) -> None:
    found = describe.read(write(keyPrefix=None, recordTypeInfos=None))

    assert (found.key_prefix, found.record_types) == (None, ())


def test_a_describe_tells_everything_of_a_field(write: Write) -> None:
    path = write(
        {
            "name": "WhoId",
            "type": "reference",
            "label": "Name ID",
            "length": 18,
            "precision": 0,
            "scale": 0,
            "externalId": False,
            "referenceTo": ["Contact", "Lead"],
            "relationshipName": "Who",
            "namePointing": True,
            "polymorphicForeignKey": True,
            "picklistValues": [],
        }
    )

    assert describe.read(path).fields["WhoId"] == FieldType(
        name="WhoId",
        type="reference",
        label="Name ID",
        length=18,
        precision=0,
        scale=0,
        reference_to=("Contact", "Lead"),
        relationship_name="Who",
        name_pointing=True,
        polymorphic_foreign_key=True,
    )


def test_a_field_may_say_no_more_than_its_name_and_type(write: Write) -> None:
    found = describe.read(write({"name": "Name", "type": "string"})).fields["Name"]

    assert found == FieldType("Name", "string")
    assert found.case_sensitive


@pytest.mark.parametrize(
    ("properties", "case_sensitive"),
    [
        ({"unique": True, "caseSensitive": False}, False),
        ({"unique": True, "caseSensitive": True}, True),
        ({"unique": False, "caseSensitive": False}, True),
        ({"caseSensitive": False}, True),
        ({}, True),
    ],
)
def test_case_is_nothing_only_in_a_unique_field_that_says_so(
    write: Write, properties: dict[str, bool], case_sensitive: bool
) -> None:
    path = write({"name": "ERP_Id__c", "type": "string", "externalId": True, **properties})

    assert describe.read(path).fields["ERP_Id__c"].external_id
    assert describe.read(path).fields["ERP_Id__c"].case_sensitive is case_sensitive


def test_types_are_in_lower_case_as_rest_writes_them(write: Write) -> None:
    path = write({"name": "Site__c", "type": "anyType"}, {"name": "When__c", "type": "dateTime"})

    assert [f.type for f in describe.read(path).fields.values()] == ["anytype", "datetime"]


def test_fields_keep_the_order_of_the_file(write: Write) -> None:
    path = write(*({"name": name, "type": "string"} for name in ("Zip", "City", "Area")))

    assert list(describe.read(path).fields) == ["Zip", "City", "Area"]


def test_the_id_is_never_among_the_fields(write: Write) -> None:
    path = write({"name": "Id", "type": "id"}, {"name": "Name", "type": "string"})

    assert list(describe.read(path).fields) == ["Name"]


@pytest.mark.parametrize(
    ("owner", "polymorphic"),
    [
        # Event.OwnerId and Task.WhoId
        ({"referenceTo": ["Calendar", "User"], "namePointing": True, "polymorphicForeignKey": True}, True),
        # Account.OwnerId
        ({"referenceTo": ["User"], "namePointing": False, "polymorphicForeignKey": False}, False),
        ({"referenceTo": ["User"], "namePointing": True, "polymorphicForeignKey": True}, False),
        ({"referenceTo": ["Group", "User"], "namePointing": False, "polymorphicForeignKey": True}, False),
        ({"referenceTo": ["Group", "User"], "namePointing": True, "polymorphicForeignKey": False}, False),
        (
            {"referenceTo": ["Group", "User"], "namePointing": True, "polymorphicForeignKey": True,
             "relationshipName": None},
            False,
        ),
    ],
)  # fmt: skip
def test_a_reference_is_polymorphic_when_all_four_signs_agree(
    write: Write, owner: dict[str, Any], polymorphic: bool
) -> None:
    path = write({"name": "OwnerId", "type": "reference", "relationshipName": "Owner", **owner})

    assert describe.read(path).fields["OwnerId"].is_polymorphic is polymorphic


def test_a_describe_of_an_old_api_is_read(write: Write) -> None:
    owner = describe.read(write(OLD_OWNER)).fields["OwnerId"]

    assert owner.reference_to == ("Group", "User")
    assert (owner.name_pointing, owner.is_polymorphic) == (True, True)


def test_a_byte_order_mark_is_no_matter(write: Write) -> None:
    path = write({"name": "Name", "type": "string"})
    plain = describe.read(path)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")

    assert describe.read(path) == plain


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_describes_are_read(path: Path) -> None:
    assert f"{describe.read(path).name}.describe.json" == path.name


def refusal(path: Path) -> tuple[int, str]:
    """The line and the expectation of the error."""
    with pytest.raises(SchemaError) as caught:
        describe.read(path)
    assert caught.value.path == path
    return caught.value.line, caught.value.expected


def test_what_is_not_json_is_refused_with_the_line_where_it_stops_to_be(write: Write) -> None:
    line, expected = refusal(write(text='{\n "name": "Account",\n "fields": [}\n'))

    assert line == 3
    assert expected.startswith("JSON (")


def test_what_is_not_utf_8_is_refused(write: Write) -> None:
    path = write()
    path.write_bytes('{"name": "Account",\n"label": "Größe", "fields": []}'.encode("latin-1"))

    assert refusal(path) == (2, "JSON in UTF-8")


@pytest.mark.parametrize("text", ["[]", "null", '"Account"', "{}", '{"fields": []}', '{"name": 1, "fields": []}'])
def test_json_that_is_no_describe_is_refused(write: Write, text: str) -> None:
    assert refusal(write(text=text)) == (1, 'a describe result, an object with "name" and "fields"')


@pytest.mark.parametrize("text", ['{"name": "Account"}', '{"name": "Account", "fields": {}}'])
def test_a_describe_without_fields_is_refused(write: Write, text: str) -> None:
    assert refusal(write(text=text)) == (1, 'a list "fields" in the describe of Account')


def test_a_field_without_a_type_is_refused_with_its_line(write: Write) -> None:
    path = write({"name": "Name", "type": "string"}, {"name": "Site", "label": "Site"})

    line = line_of(path.read_text(encoding="utf-8"), '"Site"')
    assert refusal(path) == (line, 'a field with "name" and "type"')


@pytest.mark.parametrize("field", [{"type": "string"}, {"name": None, "type": "string"}, "Name", None, []])
def test_a_field_without_a_name_is_refused_with_the_line_of_the_list(write: Write, field: object) -> None:
    path = write({"name": "Name", "type": "string"}, field)

    line = line_of(path.read_text(encoding="utf-8"), '"fields"')
    assert refusal(path) == (line, 'a field with "name" and "type"')


@pytest.mark.parametrize("info", [{"name": "Partner"}, {"recordTypeId": "012000000000001AAA"}, "Partner", None])
def test_a_record_type_without_id_or_name_is_refused(write: Write, info: object) -> None:
    path = write(recordTypeInfos=[info])

    line = line_of(path.read_text(encoding="utf-8"), '"recordTypeInfos"')
    assert refusal(path) == (line, 'recordTypeInfos with "recordTypeId" and "name"')
