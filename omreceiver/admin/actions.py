"""Which source tells the field list of each action that has sent something, and what it sent beyond that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from omreceiver.receive import Parts
from omreceiver.store import tables

A = tables.action.c


@dataclass(frozen=True)
class ActionLine:
    """One action and its field list."""

    action_id: str
    organization_id: str
    sobject: str
    #: the WSDL or outbound-message definition in force; None where only experience tells
    source: str | None
    #: which of the four sources that is
    because: str
    fields: tuple[str, ...]
    #: what it has sent and its field list does not select: the file is older than the action
    drift: tuple[str, ...]
    #: when it last sent something that it had not sent before
    last_new: datetime


def actions(connection: Connection, parts: Parts) -> list[ActionLine]:
    """Every action that has sent something, by sObject."""
    wanted = select(tables.action).order_by(A.sobject, A.organization_id, A.action_id)
    return [_line(parts, row) for row in connection.execute(wanted)]


def _line(parts: Parts, row: Row[Any]) -> ActionLine:
    source = parts.field_lists.source(row.sobject, row.action_id, row.wsdl)
    listed = parts.catalog.fields_of(source) if source else None
    sent = frozenset(row.fields)
    return ActionLine(
        action_id=row.action_id,
        organization_id=row.organization_id,
        sobject=row.sobject,
        source=source,
        because=_because(parts, row, source),
        fields=tuple(sorted(sent if listed is None else listed)),
        drift=() if listed is None else tuple(sorted(sent - listed)),
        last_new=row.seen_at,
    )


def _because(parts: Parts, row: Row[Any], source: str | None) -> str:
    """Which of the four sources of docs/settings.md is in force; they are looked at in this order."""
    bound = {action[:15]: name for action, name in parts.settings.actions.items()}
    if source is None:
        return "what it has sent"
    if source == row.wsdl:
        return "its URL"
    return "OMRECEIVER_ACTIONS" if source == bound.get(row.action_id[:15]) else "the only WSDL"
