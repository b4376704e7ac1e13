"""The ledger: which notifications have been here, in which message, with which outcome."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Update, bindparam, literal_column, select, update

from omreceiver.schema.notification import Message
from omreceiver.store import quarantine, tables
from omreceiver.store.batch import Batch
from omreceiver.store.plan import Outcome, Settled
from omreceiver.store.prepared import prepared
from omreceiver.store.statements import among
from omreceiver.store.text import short_id, short_name, storable

N = tables.notification.c


def known(connection: Connection, message: Message) -> set[str]:
    """The IDs of this message's notifications that are in the ledger already."""
    ids = sorted({notification.id for notification in message.notifications})
    parameters = {"of_organization": message.organization_id, "ids": ids}
    statement = prepared(_known(connection.dialect.name), connection)
    return {notification_id for (notification_id,) in statement.rows(connection, parameters)}


@cache
def _known(dialect: str) -> Select[str]:
    return select(N.notification_id).where(_mine(dialect))


@cache
def _repeated(dialect: str) -> Update:
    values = {N.repeats: N.repeats + literal_column("1")}
    return update(tables.notification).where(_mine(dialect)).values(values)


def _mine(dialect: str) -> ColumnElement[bool]:
    # SQLAlchemy keeps the names of columns for the values of an UPDATE
    return (N.organization_id == bindparam("of_organization")) & among(N.notification_id, "ids", dialect)


def enter(batch: Batch, message: Message, settled: Iterable[Settled], *, keep_body: bool) -> int:
    """Write the message, its notifications and what goes to quarantine, with what waits in the batch; gives the
    message's number. Raises Doubted.

    A duplicate is counted with the message, and with the line that it has in the ledger since it first came. One
    that is played again keeps that line, unless it comes out of quarantine; one that fails now goes there.
    """
    connection, entries = batch.connection, list(settled)
    outcomes = Counter(str(entry.outcome) for entry in entries)
    repeated = [entry.notification.id for entry in entries if entry.outcome is Outcome.DUPLICATE]
    there = known(connection, message) if message.again else set[str]()
    fresh = {e.notification.id: e for e in entries if e.outcome is not Outcome.DUPLICATE}
    new = [entry for number, entry in fresh.items() if number not in there]
    body = _compressed(message.body()) if keep_body and new else None
    rows = [_notification_row(message, entry) for entry in new]
    row = _message_row(message, outcomes, body)
    message_id = batch.send_with(tables.message, row, tables.notification, rows, "message_id")
    held = quarantine.waiting(connection, message, fresh) if message.again else set[str]()
    failed = [entry for number, entry in fresh.items() if entry.error is not None and number not in held]
    quarantine.put(connection, message, message_id, failed)
    if repeated:
        parameters = {"of_organization": message.organization_id, "ids": sorted(set(repeated))}
        prepared(_repeated(connection.dialect.name), connection).run(connection, parameters)
    for number in sorted(held):
        _settle(connection, message, fresh[number])
    return message_id


def _compressed(body: bytes) -> bytes:
    """In a window of 8 KiB: to make the usual one ready takes four times as long as to compress a small message, and a
    large one, which repeats itself, is no smaller by it (measured).
    """
    made = zlib.compressobj(1, zlib.DEFLATED, wbits=13, memLevel=6)
    return made.compress(body) + made.flush()


def _settle(connection: Connection, message: Message, entry: Settled) -> None:
    """What was in quarantine and is stored now leaves it, and both outcomes are told."""
    quarantine.settle(connection, message, entry)
    if entry.error is None:
        mine = (N.organization_id == message.organization_id) & (N.notification_id == entry.notification.id)
        was = mine & (N.outcome == str(Outcome.QUARANTINED))
        detail = {**(entry.detail or {}), "before": str(Outcome.QUARANTINED)}
        connection.execute(update(tables.notification).where(was).values(outcome=str(entry.outcome), detail=detail))


def note_raised(connection: Connection, message: Message, notification_id: str, raised: Mapping[str, str]) -> None:
    """Add to a line what receivers of `committed` have raised, by their names."""
    mine = (N.organization_id == message.organization_id) & (N.notification_id == notification_id)
    detail = connection.scalar(select(N.detail).where(mine).with_for_update())
    shown = {receiver: storable(said[:500]) for receiver, said in raised.items()}
    connection.execute(update(tables.notification).where(mine).values(detail={**(detail or {}), "raised": shown}))


def _message_row(message: Message, outcomes: Mapping[str, int], body: bytes | None) -> dict[str, Any]:
    return {
        "received_at": datetime.now(UTC),
        "organization_id": message.organization_id,
        "action_id": message.action_id,
        "sobject": short_name(message.sobject),
        "wsdl": message.wsdl,
        "raw": message.raw,
        "again": message.again,
        "outcomes": dict(outcomes),
        "body": body,
    }


def _notification_row(message: Message, entry: Settled) -> dict[str, Any]:
    return {
        "organization_id": message.organization_id,
        "notification_id": entry.notification.id,
        "record_id": short_id(entry.record_id),
        "outcome": str(entry.outcome),
        "detail": dict(entry.detail) if entry.detail else None,
    }
