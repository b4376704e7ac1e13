"""Compound fields: an Address and a Geolocation, of which Salesforce sends the parts and never the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Any

from sqlalchemy import Column, ColumnElement, event, or_
from sqlalchemy.orm import Composite, Mapped, MappedColumn, composite, declared_attr, mapped_column

from omreceiver.errors import DeclarationError
from omreceiver.records.columns import MultiPicklist, Picklist
from omreceiver.records.fields import INFO, WHOLE, SalesforceField, alternatives
from omreceiver.records.types import VALUE_TYPES

NUMBERS = frozenset({"latitude", "longitude"})
#: a custom address has the codes of its state and its country, and no fields for their names
NOT_CUSTOM = frozenset({"state", "country"})


@dataclass(frozen=True)
class Address:
    """An address of a record, None where it is blank. Assign a new one, or assign its parts, to change it."""

    street: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    state_code: str | None = None
    country_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    geocode_accuracy: str | None = None

    def __str__(self) -> str:
        """The lines of an envelope, as Salesforce shows them in English; the codes stand in for missing names."""
        region = " ".join(filter(None, (self.state or self.state_code, self.postal_code)))
        lines = (self.street, ", ".join(filter(None, (self.city, region))), self.country or self.country_code)
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Geolocation:
    """A point on earth, in degrees."""

    latitude: float
    longitude: float

    def __str__(self) -> str:
        return f"{self.latitude:.4f}, {self.longitude:.4f}"


class OfParts(Composite.Comparator[Any]):
    """What SQLAlchemy leaves out: an address differs when any part does, and `is_(None)` when all are blank."""

    __hash__ = None

    def __ne__(self, other: object) -> ColumnElement[bool]:  # type: ignore[override]
        parts = list(self.__clause_element__().clauses)
        values = [None] * len(parts) if other is None else astuple(other)  # type: ignore[call-overload]
        return or_(*(part.is_distinct_from(value) for part, value in zip(parts, values, strict=True)))

    def is_(self, other: Any) -> Any:
        return self == other

    def is_not(self, other: Any) -> Any:
        return self != other


@dataclass(frozen=True)
class CompoundField:
    """A compound field as it was declared; settle_compounds puts its parts and the whole in its place."""

    name: str

    def parts(self, kind: type) -> dict[str, SalesforceField]:
        """Part → what fills it; a mark without a name for what Salesforce does not have. Raises DeclarationError."""
        marks = {}
        for part in (each.name for each in fields(kind)):
            python = float if part in NUMBERS else str
            is_yours = part in NOT_CUSTOM and self.name.endswith("__c")
            marks[part] = SalesforceField("" if is_yours else self._field(part), python, compound=self.name)
        return marks

    def _field(self, part: str) -> str:
        """What the field of a part is called ("Address Compound Fields", Object Reference)."""
        suffix = "".join(map(str.capitalize, part.split("_")))
        if self.name.endswith("__c"):
            return f"{self.name.removesuffix('__c')}__{suffix}__s"
        for ending in ("Address", "Location"):
            if self.name.endswith(ending):
                return self.name.removesuffix(ending) + suffix
        cure = 'Write the API name of the whole, such as Compound("BillingAddress") or Compound("Site__c").'
        raise DeclarationError(f"Compound({self.name!r}) is no address and no geolocation. {cure}")


def Compound(name: str) -> Any:
    """An address or a geolocation, by the API name of the whole, such as "BillingAddress" or "Site__c".

    `billing: Mapped[Address | None] = Compound("BillingAddress")` gives a column for each part, `billing_street`,
    `billing_city` and so on, filled from BillingStreet, BillingCity and so on, and `billing`, which is all of them
    as one value: None while every part is blank. `Mapped[Geolocation | None]` has a latitude and a longitude, and
    is None when either is blank. The state and the country of a custom address are columns of yours: Salesforce
    has their codes only.
    """
    return CompoundField(name)


def settle_compounds(cls: type) -> None:
    """Put the parts beside each compound of a class, and of mixins above it, before SQLAlchemy reads the class.

    Raises DeclarationError for a compound that cannot be. Two columns for one field are told as E002 and E008.
    """
    for owner in cls.__mro__:
        for name, value in list(vars(owner).items()):
            if isinstance(value, CompoundField):
                _settle(owner, name, value)


def _settle(owner: Any, name: str, compound: CompoundField) -> None:
    kind, annotations = _kind(owner, name), vars(owner)["__annotations__"]
    parts = {f"{name}_{part}": mark for part, mark in compound.parts(kind).items()}
    for attribute, mark in parts.items():
        if attribute in annotations or attribute in vars(owner):
            raise DeclarationError(
                f"E002 {owner.__name__}.{name} is a compound and makes {attribute}, which is declared as well. "
                f"Remove {attribute}, or give one of the two another name."
            )
        annotations[attribute] = Mapped[float | None] if mark.python is float else Mapped[str | None]
        setattr(owner, attribute, _column(name, mark))
    del annotations[name]
    # on a mixin every class needs a whole of its own
    setattr(owner, name, declared_attr(lambda _: _whole(kind, parts)))


def _kind(owner: type, name: str) -> type:
    """Address or Geolocation, as the annotation says."""
    annotation = vars(owner).get("__annotations__", {}).get(name)
    try:
        kinds = [kind for kind in (Address, Geolocation) if kind in alternatives(owner, name)]
    except NameError as error:
        raise DeclarationError(f"{owner.__name__}.{name}: {error}; import it where it is there at run time") from error
    if len(kinds) != 1:
        wanted = "Mapped[Address | None] or Mapped[Geolocation | None]"
        raise DeclarationError(f"{owner.__name__}.{name} is {annotation!r}; expected {wanted}")
    return kinds[0]


def _column(whole: str, mark: SalesforceField) -> MappedColumn[Any]:
    """A column for a part; without a mark, one that the receiver leaves alone, where there is no such field."""
    info = {WHOLE: whole, INFO: mark} if mark.name else {WHOLE: whole}
    return mapped_column(VALUE_TYPES[mark.python].column, nullable=True, info=info)


def _whole(kind: type, attributes: Iterable[str]) -> Composite[Any]:
    missing = any if kind is Geolocation else all
    return composite(
        kind,
        *attributes,
        return_none_on=lambda *values: missing(value is None for value in values),
        comparator_factory=OfParts,
    )


def watch_assignments(records: type) -> None:
    """On this class, and below it: what is assigned is at once what it will be when it is loaded.

    The text of a picklist value is its member, and a compound has the part that was assigned to its record.
    """
    event.listen(records, "attribute_instrument", _watch, propagate=True)


def _watch(_cls: type, _key: str, attribute: Any) -> None:
    column = next(iter(getattr(attribute.property, "columns", ())), None)
    if isinstance(column, Column) and isinstance(column.type, Picklist | MultiPicklist):
        as_loaded = column.type.as_loaded
        event.listen(attribute, "set", lambda _instance, value, *_: as_loaded(value), retval=True)
    if isinstance(column, Column) and (whole := column.info.get(WHOLE)):
        # SQLAlchemy makes the whole once and keeps it
        event.listen(attribute, "set", lambda instance, *_: vars(instance).pop(whole, None))
