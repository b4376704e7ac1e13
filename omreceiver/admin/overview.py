"""What a receiver is made for, as values: its classes, their fields and references."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import false, select

from omreceiver.receive import Parts
from omreceiver.records.layout import Layout
from omreceiver.records.references import ReferenceAttribute, references_of
from omreceiver.store import tables


@dataclass(frozen=True)
class ClassLine:
    """One mapped class: where its records come from and go to."""

    name: str
    sobject: str | None
    when: dict[str, str]
    tables: tuple[str, ...]
    key: str
    fields: tuple[str, ...]
    wsdls: tuple[str, ...]
    unmapped: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceLine:
    """One field that names other records."""

    name: str
    field: str
    relationship: str
    targets: tuple[str, ...]
    polymorphic: bool
    attribute: str


def classes(parts: Parts) -> list[ClassLine]:
    """Every mapped class, parents before children."""
    return [_class_line(parts, layout) for layout in parts.models]


def _class_line(parts: Parts, layout: Layout) -> ClassLine:
    sobject = layout.model.__sobject__
    listed = {stem: ot.fields.keys() for stem, ot in parts.catalog.wsdls.items() if ot.name == sobject}
    sent: set[str] = set().union(*listed.values())
    return ClassLine(
        name=layout.model.__name__,
        sobject=sobject,
        when=dict(parts.models.leaves.when[layout.model]),
        tables=tuple(table.name for table in layout.tables),
        key=layout.key_field or "Id",
        fields=tuple(sorted(layout.slots)),
        wsdls=tuple(sorted(listed)),
        unmapped=tuple(sorted(sent - layout.slots.keys() - {layout.key_field, "SystemModstamp"})),
    )


def references(parts: Parts) -> list[ReferenceLine]:
    """Every reference of every class: as declared, or as the describe of its sObject tells."""
    return [
        _reference_line(parts, layout, reference)
        for layout in parts.models
        for reference in references_of(layout.model).values()
    ]


def _reference_line(parts: Parts, layout: Layout, reference: ReferenceAttribute) -> ReferenceLine:
    described = parts.catalog.describes.get(layout.model.__sobject__ or "")
    known = described.fields.get(reference.field) if described else None
    return ReferenceLine(
        name=layout.name,
        field=reference.field,
        relationship=known.relationship_name if known and known.relationship_name else reference.relationship,
        targets=reference.targets,
        polymorphic=known.is_polymorphic if known else len(reference.targets) > 1,
        attribute=reference.name,
    )


def touch_tables(parts: Parts) -> None:
    """Name every table and column that storing a message needs. Raises SQLAlchemyError when one is not there."""
    with parts.engine.connect() as connection:
        for table in (*tables.metadata.sorted_tables, *parts.models.tables()):
            connection.execute(select(table).where(false()))
