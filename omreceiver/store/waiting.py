"""Finds the records whose references name records that have just arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from omreceiver.records.references import ReferenceAttribute, references_of


@dataclass(frozen=True)
class Resolved:
    """A record whose reference names something since now. Both are loaded in the session that found them."""

    instance: Any
    reference: ReferenceAttribute
    target: Any


def waiting(
    session: Session, models: Models, arrived: Mapping[str, set[str]], is_heard: Callable[[type], bool]
) -> Iterator[Resolved]:
    """Every record that waited for one of `arrived`, sObject → Salesforce IDs, and of whose class somebody wants to
    hear; one statement a reference, and one for each root to load what it names. What arrived with them did not wait.
    """
    new = set[str]().union(*arrived.values())
    for layout in models:
        if not any(is_heard(each.model) for each in models if issubclass(each.model, layout.model)):
            continue
        for reference in _own_references(layout):
            ids = set[str]().union(*(arrived.get(target, ()) for target in reference.targets))
            if not ids:
                continue
            model: Any = layout.model
            found = select(model).where(getattr(model, reference.key).in_(sorted(ids))).order_by(model.external_id)
            for instance in session.scalars(found).unique().all():
                target = getattr(instance, reference.name)
                if instance.salesforce_id not in new and target is not None:
                    yield Resolved(instance, reference, target)


def _own_references(layout: Layout) -> list[ReferenceAttribute]:
    """Those whose ID lies in the class's own table, so that each is looked at once."""
    return [
        reference
        for reference in references_of(layout.model).values()
        if layout.by_attribute[reference.key].table is layout.tables[-1]
    ]
