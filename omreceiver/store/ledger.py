"""The ledger: which notifications have been here, in which message, with which outcome."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select

from omreceiver.errors import Unstorable
from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.plan import Outcome, Settled
from omreceiver.store.statements import among, insert_under


def known(connection: Connection, message: Message) -> set[str]:
    """The IDs of this message's notifications that are in the ledger already."""
    ids = sorted({notification.id for notification in message.notifications})
    parameters = {"organization_id": message.organization_id, "ids": ids}
    return set(connection.scalars(_known(connection.dialect.name), parameters))


@cache
def _known(dialect: str) -> Select[str]:
    n = tables.notification.c
    mine = n.organization_id == bindparam("organization_id")
    return select(n.notification_id).where(mine, among(n.notification_id, "ids", dialect))


def enter(connection: Connection, message: Message, settled: Iterable[Settled], *, keep_body: bool) -> int:
    """Write the message, its notifications and what goes to quarantine; gives the message's number.

    A duplicate is counted with the message but keeps its first line in the ledger.
    """
    entries = list(settled)
    outcomes = Counter(str(entry.outcome) for entry in entries)
    fresh = list({e.notification.id: e for e in entries if e.outcome is not Outcome.DUPLICATE}.values())
    body = zlib.compress(message.body(), 1) if keep_body and fresh else None
    row, rows = _message_row(message, outcomes, body), [_notification_row(message, entry) for entry in fresh]
    message_id = insert_under(connection, tables.message, row, tables.notification, rows, "message_id")
    bad = [_quarantine_row(message, e, e.error, message_id) for e in fresh if e.error is not None]
    if bad:
        connection.execute(insert(tables.quarantine), bad)
    return message_id


def _message_row(message: Message, outcomes: Mapping[str, int], body: bytes | None) -> dict[str, Any]:
    return {
        "received_at": datetime.now(UTC),
        "organization_id": message.organization_id,
        "action_id": message.action_id,
        "sobject": message.sobject,
        "wsdl": message.wsdl,
        "raw": message.raw,
        "outcomes": dict(outcomes),
        "body": body,
    }


def _notification_row(message: Message, entry: Settled) -> dict[str, Any]:
    return {
        "organization_id": message.organization_id,
        "notification_id": entry.notification.id,
        "record_id": _short(entry.notification.record_id),
        "outcome": str(entry.outcome),
    }


def _quarantine_row(message: Message, entry: Settled, error: Unstorable, message_id: int) -> dict[str, Any]:
    return {
        "quarantined_at": datetime.now(UTC),
        "organization_id": message.organization_id,
        "notification_id": entry.notification.id,
        "message_id": message_id,
        "action_id": message.action_id,
        "sobject": entry.notification.sobject,
        "record_id": _short(entry.notification.record_id),
        "error": type(error).__name__,
        "reason": _printable(str(error)),
        "traceback": _printable(entry.traceback),
        "fragment": entry.notification.fragment(),
    }


def _short(record_id: str | None) -> str | None:
    """A record ID can be anything before it is read; the column holds 18 characters."""
    return record_id[:18] if record_id else None


def _printable(text: str | None) -> str | None:
    """Without NUL, which PostgreSQL's text cannot hold."""
    return text.replace("\x00", "\\x00") if text else text
