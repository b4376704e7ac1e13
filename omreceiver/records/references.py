"""Reference: the ID of another record, without a database constraint, as messages come in any order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from omreceiver.errors import DeclarationError
from omreceiver.records.fields import INFO, SalesforceField
from omreceiver.records.loading import record_of, sobject_of
from omreceiver.records.related import ReferenceTo
from omreceiver.records.types import VALUE_TYPES, RecordId


class ReferenceAttribute:
    """`task.who`: the record that `task.who_id` names, or None while it has not arrived. `Task.who`: in a query."""

    def __init__(self, field: str, targets: tuple[str, ...], *, key: str = "") -> None:
        #: the API name of the field that holds the ID
        self.field = field
        #: the sObjects that it may name
        self.targets = targets
        #: the attribute that holds the ID
        self.key = key
        self.name = ""
        self.owner: type = object

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.owner = name, owner

    @property
    def relationship(self) -> str:
        """Salesforce's name for it: WhoId → Who, Parent__c → Parent__r ("Understanding Relationship Names", SOQL)."""
        if self.field.endswith("__c"):
            return f"{self.field.removesuffix('__c')}__r"
        return self.field.removesuffix("Id")

    def column(self) -> MappedColumn[Any]:
        mark = SalesforceField(self.field, RecordId, reference_to=self.targets)
        return mapped_column(VALUE_TYPES[RecordId].column, index=True, nullable=True, info={INFO: mark})

    def __get__(self, instance: Any, owner: type) -> Any:
        return ReferenceTo(self, owner) if instance is None else record_of(instance, self)

    def __set__(self, instance: Any, record: Any) -> None:
        setattr(instance, self.key, None if record is None else self.id_of(record))

    def id_of(self, record: Any) -> str:
        """The Salesforce ID of a record that this can name. Raises DeclarationError for anything else."""
        sobject, salesforce_id = getattr(record, "__sobject__", None), getattr(record, "salesforce_id", None)
        if sobject is None or sobject not in self.targets:
            names = " and ".join(self.targets)
            raise DeclarationError(f"{self.name} names {names} only, not {record!r}.")
        if not salesforce_id:
            raise DeclarationError(f"{self.name} cannot name a {sobject} that has no salesforce_id yet.")
        return str(salesforce_id)

    def classes(self, entity: Any) -> list[Any]:
        """The mapped classes of the targets, in the order of the targets, parents first."""
        owner = inspect(entity).mapper
        known = {mapper.class_: None for mapper in owner.registry.mappers}
        known |= dict.fromkeys(owner.class_.__neighbours__)
        models = sorted(known, key=lambda model: (len(model.__mro__), model.__name__))
        return [m for target in self.targets for m in models if getattr(m, "__sobject__", None) == target]

    def roots(self, entity: Any) -> list[Any]:
        """Each root class below which a target lives, once, in the order of the targets."""
        return list(dict.fromkeys(inspect(model).base_mapper.class_ for model in self.classes(entity)))


class TypeAttribute:
    """`task.who_type`: the sObject that `task.who_id` names, also before the record arrives if its prefix tells."""

    def __init__(self, reference: ReferenceAttribute) -> None:
        self.reference = reference

    def __get__(self, instance: Any, owner: type) -> Any:
        return ReferenceTo(self.reference, owner).type if instance is None else sobject_of(instance, self.reference)


def Reference(field: str, *targets: str) -> Any:
    """A reference held by the field `field`, such as "WhoId", to records of the sObjects `targets`.

    `who: Mapped[Contact | Lead | None] = Reference("WhoId", "Contact", "Lead")` gives `who_id`, the ID column, `who`,
    the record, and `who_type`, its sObject. There is no foreign key: the record it names may arrive later, or never.
    """
    if not targets:
        raise DeclarationError(f"Reference({field!r}) names no sObject; write Reference({field!r}, 'Account')")
    return ReferenceAttribute(field, targets)


def settle_references(cls: type) -> None:
    """Put the ID column and the type beside each reference of a class, and of mixins above it, and take its
    annotation away, before SQLAlchemy reads the class."""
    for owner in cls.__mro__:
        annotations = vars(owner).get("__annotations__", {})
        for name, value in list(vars(owner).items()):
            if isinstance(value, ReferenceAttribute) and not value.key:
                value.key = f"{name}_id"
                if value.key in vars(owner):
                    raise DeclarationError(
                        f"E002 {owner.__name__}.{name} is a reference and makes {value.key}, which is declared too. "
                        f"Remove {value.key}, or give one of the two another name."
                    )
                annotations.pop(name, None)
                annotations[value.key] = Mapped[str | None]
                setattr(owner, value.key, value.column())
            if isinstance(value, ReferenceAttribute) and f"{name}_type" not in vars(owner):
                setattr(owner, f"{name}_type", TypeAttribute(value))


def references_of(model: type) -> dict[str, ReferenceAttribute]:
    """Attribute → reference, of a class and of all above it."""
    line = [vars(each) for each in reversed(model.__mro__)]
    return {name: value for each in line for name, value in each.items() if isinstance(value, ReferenceAttribute)}
