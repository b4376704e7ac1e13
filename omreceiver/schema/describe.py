"""Reads the JSON of GET /services/data/vXX.X/sobjects/<Object>/describe into an ObjectType."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omreceiver.errors import SchemaError
from omreceiver.schema.objecttype import FieldType, ObjectType, RecordType


def read(path: Path) -> ObjectType:
    """Every field that the describing user can see. Raises SchemaError when it is not a describe."""
    text = _text(path)
    try:
        described = json.loads(text)
    except json.JSONDecodeError as error:
        raise SchemaError(path, error.lineno, f"JSON ({error.msg})") from error
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise SchemaError(path, 1, 'a describe result, an object with "name" and "fields"')
    if not isinstance(described.get("fields"), list):
        raise SchemaError(path, 1, f'a list "fields" in the describe of {described["name"]}')
    fields = [_field_type(path, entry, text) for entry in described["fields"]]
    return ObjectType(
        name=described["name"],
        fields={f.name: f for f in fields if f.name != "Id"},
        label=described.get("label"),
        key_prefix=described.get("keyPrefix"),
        record_types=tuple(_record_type(path, info, text) for info in described.get("recordTypeInfos") or ()),
    )


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(path, content.count(b"\n", 0, error.start) + 1, "JSON in UTF-8") from error


def _field_type(path: Path, entry: Any, text: str) -> FieldType:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("name", "type")):
        raise SchemaError(path, _line_of(entry, text), 'a field with "name" and "type"')
    return FieldType(
        name=entry["name"],
        type=entry["type"].lower(),
        label=entry.get("label"),
        length=entry.get("length"),
        precision=entry.get("precision"),
        scale=entry.get("scale"),
        external_id=entry.get("externalId") is True,
        case_sensitive=_compares_case(entry),
        reference_to=tuple(entry.get("referenceTo") or ()),
        relationship_name=entry.get("relationshipName"),
        name_pointing=entry.get("namePointing") is True,
        # describes of older APIs do not have it
        polymorphic_foreign_key=entry.get("polymorphicForeignKey", entry.get("namePointing")) is True,
    )


def _compares_case(entry: Mapping[str, Any]) -> bool:
    """caseSensitive says something only of a unique field (upsert(), SOAP API guide)."""
    return not (entry.get("unique") is True and entry.get("caseSensitive") is False)


def _line_of(entry: Any, text: str) -> int:
    """JSON keeps no lines: look for the field's name, else for the list."""
    name = entry.get("name") if isinstance(entry, dict) else None
    mark = text.find(json.dumps(name)) if name else text.find('"fields"')
    return text.count("\n", 0, max(mark, 0)) + 1


def _record_type(path: Path, info: Any, text: str) -> RecordType:
    if not isinstance(info, dict) or not all(isinstance(info.get(key), str) for key in ("recordTypeId", "name")):
        line = text.count("\n", 0, max(text.find('"recordTypeInfos"'), 0)) + 1
        raise SchemaError(path, line, 'recordTypeInfos with "recordTypeId" and "name"')
    return RecordType(
        record_type_id=info["recordTypeId"],
        name=info["name"],
        developer_name=info.get("developerName"),
        master=info.get("master") is True,
    )
