"""ObjectType: what a WSDL, a describe or both say about one sObject, in one neutral shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class FieldType:
    """One field of an sObject. A WSDL knows name and type only; the rest comes from a describe."""

    name: str
    #: Salesforce's word, as in describe: string, double, currency, datetime, reference, multipicklist …
    type: str
    label: str | None = None
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    external_id: bool = False
    case_sensitive: bool = True
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    name_pointing: bool = False
    polymorphic_foreign_key: bool = False

    @property
    def is_polymorphic(self) -> bool:
        """As "Understanding Polymorphic Keys and Relationships" of the SOQL guide defines it."""
        described = self.name_pointing and self.polymorphic_foreign_key
        return self.relationship_name is not None and described and len(self.reference_to) > 1


@dataclass(frozen=True)
class RecordType:
    """One row of a describe's recordTypeInfos."""

    record_type_id: str
    name: str
    developer_name: str | None = None
    master: bool = False


@dataclass(frozen=True)
class ObjectType:
    """One sObject and its fields by API name, in the order of the file. Id is never among the fields."""

    name: str
    fields: Mapping[str, FieldType]
    label: str | None = None
    key_prefix: str | None = None
    record_types: tuple[RecordType, ...] = field(default=())

    def joined(self, other: ObjectType) -> ObjectType:
        """This object with the fields of another WSDL for the same sObject added."""
        return replace(self, fields={**other.fields, **self.fields})

    def described(self, describe: ObjectType | None) -> ObjectType:
        """The same fields, with everything that a describe knows about them."""
        if describe is None:
            return self
        known = {name: describe.fields.get(name, field_type) for name, field_type in self.fields.items()}
        return replace(describe, fields=known)
