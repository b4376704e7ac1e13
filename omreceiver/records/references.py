"""Reference: the ID of another record, without a database constraint, as messages come in any order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, MappedColumn, Mapper, mapped_column, object_session

from omreceiver.errors import DeclarationError
from omreceiver.records.fields import MARK, SalesforceField
from omreceiver.records.types import VALUE_TYPES, RecordId


class ReferenceAttribute:
    """`task.who`: the record that `task.who_id` names, or None while it has not arrived."""

    def __init__(self, name: str, targets: tuple[str, ...]) -> None:
        self.name = name
        self.targets = targets
        self.key = ""

    def column(self) -> MappedColumn[Any]:
        mark = SalesforceField(self.name, RecordId, reference_to=self.targets)
        return mapped_column(VALUE_TYPES[RecordId].column, index=True, nullable=True, info={MARK: mark})

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        record_id, session = getattr(instance, self.key), object_session(instance)
        if record_id is None or session is None:
            return None
        found = (session.scalars(select(r).where(r.salesforce_id == record_id)).first() for r in self._roots(owner))
        return next((record for record in found if record is not None), None)

    def _roots(self, owner: Any) -> list[Any]:
        """Each root class below which a target lives, once, in the order of the targets."""
        mappers: list[Mapper[Any]] = list(owner.registry.mappers)
        named = [m for target in self.targets for m in mappers if m.class_.__dict__.get("__sobject__") == target]
        return list(dict.fromkeys(m.base_mapper.class_ for m in named))


def Reference(name: str, *targets: str) -> Any:
    """A reference held by the field `name`, such as "WhoId", to records of the sObjects `targets`.

    `who: Mapped[Contact | Lead | None] = Reference("WhoId", "Contact", "Lead")` gives `who_id`, the ID column,
    and `who`, the record. There is no foreign key: the record it names may arrive later, or never.
    """
    if not targets:
        raise DeclarationError(f"Reference({name!r}) names no sObject; write Reference({name!r}, 'Account')")
    return ReferenceAttribute(name, targets)


def settle_references(cls: type) -> None:
    """Put the ID column beside each reference of a class, and of mixins above it, and take its annotation away,
    before SQLAlchemy reads the class."""
    for owner in cls.__mro__:
        annotations = vars(owner).get("__annotations__", {})
        for key, value in list(vars(owner).items()):
            if isinstance(value, ReferenceAttribute) and not value.key:
                value.key = f"{key}_id"
                annotations.pop(key, None)
                annotations[value.key] = Mapped[str | None]
                setattr(owner, value.key, value.column())
