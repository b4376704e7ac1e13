"""What the page and the command line show of a receiver, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, false, func, select

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


@dataclass(frozen=True)
class MessageLine:
    """One delivery and what became of its notifications."""

    number: int
    received_at: datetime
    sobject: str | None
    action_id: str
    wsdl: str | None
    raw: bool
    outcomes: dict[str, int]
    reasons: tuple[str, ...]


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


def messages(engine: Engine, limit: int = 50) -> list[MessageLine]:
    """The last deliveries, newest first, with the reasons of what went to quarantine."""
    m = tables.message.c
    with engine.connect() as connection:
        columns = (m.id, m.received_at, m.sobject, m.action_id, m.wsdl, m.raw, m.outcomes)
        found = connection.execute(select(*columns).order_by(m.id.desc()).limit(limit)).all()
        reasons = _reasons(connection, [row.id for row in found if "quarantined" in row.outcomes])
    return [MessageLine(*row, reasons=tuple(reasons.get(row.id, ()))) for row in found]


def _reasons(connection: Any, message_ids: list[int]) -> dict[int, list[str]]:
    q = tables.quarantine.c
    found: dict[int, list[str]] = {}
    for row in connection.execute(select(q.message_id, q.reason).where(q.message_id.in_(message_ids)).order_by(q.id)):
        found.setdefault(row.message_id, []).append(row.reason)
    return found


def touch_tables(parts: Parts) -> None:
    """Name every table and column that storing a message needs. Raises SQLAlchemyError when one is not there."""
    with parts.engine.connect() as connection:
        for table in (*tables.metadata.sorted_tables, *parts.models.tables()):
            connection.execute(select(table).where(false()))


def totals(engine: Engine) -> dict[str, int]:
    """Outcome → how many notifications in the ledger ended so."""
    n = tables.notification.c
    with engine.connect() as connection:
        counted = connection.execute(
            select(n.outcome, func.count().label("notifications")).group_by(n.outcome).order_by(n.outcome)
        )
        return {row.outcome: row.notifications for row in counted}
