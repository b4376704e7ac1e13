"""Classes built from WSDLs: one root class and one table for each sObject that nobody declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import mapped_column

from omreceiver.errors import ConfigurationError
from omreceiver.records.fields import INFO, ExternalId, SalesforceField
from omreceiver.records.inheritance import DELETE
from omreceiver.records.naming import attribute_names
from omreceiver.records.record import Record, RecordMixin
from omreceiver.records.references import ReferenceAttribute
from omreceiver.records.types import VALUE_TYPES, RecordId, python_type
from omreceiver.schema.objecttype import FieldType, ObjectType


def build(
    objects: Iterable[ObjectType], external_ids: Mapping[str, str], on_delete: str = DELETE
) -> list[type[RecordMixin]]:
    """One mapped class an sObject, named after it, on a declarative base of their own.

    The key is the field that `external_ids` names ("Id" is the Salesforce ID), else the only one whose describe says
    externalId, else the Salesforce ID. Raises ConfigurationError when that leaves a choice, or names a field that no
    WSDL selects.
    """
    base = type("BuiltRecord", Record.__bases__, {"type_annotation_map": Record.type_annotation_map})
    return [_build(base, each, external_ids.get(each.name), on_delete) for each in objects]


def _build(base: Any, object_type: ObjectType, setting: str | None, on_delete: str) -> type[RecordMixin]:
    key = _external_id(object_type, setting)
    namespace: dict[str, Any] = {"__module__": __name__, "__doc__": object_type.label}
    for name, attribute in attribute_names(object_type.fields).items():
        field_type = object_type.fields[name]
        if field_type is key:
            number = python_type(field_type) in (int, float, Decimal)
            namespace["external_id"] = ExternalId(name, case_sensitive=key.case_sensitive, number=number)
        else:
            namespace[attribute] = _column(field_type)
    namespace |= _references(object_type, namespace)
    said = {"sobject": object_type.name, "on_delete": on_delete}
    built: type[RecordMixin] = type(base)(object_type.name, (base,), namespace, **said)
    return built


def _references(object_type: ObjectType, taken: Mapping[str, Any]) -> dict[str, ReferenceAttribute]:
    """What a describe says a field refers to, under the name that Salesforce gives the relationship."""
    keys = attribute_names(object_type.fields)
    found = {
        field_type.relationship_name: ReferenceAttribute(name, field_type.reference_to, key=keys[name])
        for name, field_type in object_type.fields.items()
        if field_type.relationship_name and field_type.reference_to
    }
    named = {attribute: found[relationship] for relationship, attribute in attribute_names(found).items()}
    return {attribute: reference for attribute, reference in named.items() if attribute not in taken}


def _external_id(object_type: ObjectType, setting: str | None) -> FieldType | None:
    if setting == "Id":
        return None
    if setting is not None:
        if setting in object_type.fields:
            return object_type.fields[setting]
        raise ConfigurationError(
            f"OMRECEIVER_EXTERNAL_IDS names {object_type.name}={setting}, but no WSDL of {object_type.name} "
            f"selects {setting}. Add the field to the outbound message and download its WSDL again."
        )
    described = [field_type for field_type in object_type.fields.values() if field_type.external_id]
    if len(described) > 1:
        raise ConfigurationError(
            f"{object_type.name} has several external IDs: {', '.join(f.name for f in described)}. "
            f"Choose one: OMRECEIVER_EXTERNAL_IDS={object_type.name}={described[0].name}"
        )
    return described[0] if described else None


def _column(field_type: FieldType) -> Any:
    python = python_type(field_type)
    mark = SalesforceField(field_type.name, python, reference_to=field_type.reference_to)
    index = python is RecordId
    return mapped_column(VALUE_TYPES[python].column, nullable=True, index=index, info={INFO: mark})
