"""What the ledger tells, as values: which messages came, what became of their notifications, who was called.

Everything here is found by an index, and lists end after `LIMIT` lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from omreceiver.admin.held import Held, held_of
from omreceiver.store import tables
from omreceiver.store.plan import Outcome

LIMIT = 50
ORDER = [Outcome.QUARANTINED.value, *(each.value for each in Outcome if each is not Outcome.QUARANTINED)]
M, N, E, D = tables.message.c, tables.notification.c, tables.event.c, tables.delivery.c
#: everything but the body
MESSAGE = (M.id, M.received_at, M.organization_id, M.action_id, M.sobject, M.wsdl, M.raw, M.again, M.outcomes)
LEDGER = (N.notification_id, N.organization_id, N.message_id, N.record_id, N.outcome, N.repeats, N.detail)


@dataclass(frozen=True)
class MessageLine:
    """One delivery and what became of its notifications."""

    number: int
    received_at: datetime
    organization_id: str
    action_id: str
    sobject: str | None
    wsdl: str | None
    raw: bool
    again: bool
    outcomes: dict[str, int]
    #: why some of it went to quarantine
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotificationLine:
    """One notification: what became of it, and with which message it came first."""

    notification_id: str
    organization_id: str
    message_id: int
    record_id: str | None
    outcome: str
    #: how often it came again
    repeats: int
    #: what was compared, changed and called, as the store wrote it; any of its keys may be missing
    detail: Mapping[str, Any]
    #: None when the message's line is gone
    message: MessageLine | None
    held: tuple[Held, ...] = ()


@dataclass(frozen=True)
class DeliveryLine:
    """One change that a durable receiver was told, or is to be told."""

    receiver: str
    child_name: str
    external_id: str
    created_at: datetime
    attempts: int
    due_at: datetime | None
    delivered_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class Lines:
    """The first lines of a list; `has_more` when there are others after them."""

    lines: list[NotificationLine] = field(default_factory=list)
    has_more: bool = False


def messages(connection: Connection, limit: int = LIMIT, before: int | None = None) -> list[MessageLine]:
    """The last deliveries, newest first, with the reasons of what went to quarantine."""
    statement = select(*MESSAGE).order_by(M.id.desc()).limit(limit)
    found = connection.execute(statement if before is None else statement.where(M.id < before)).all()
    reasons = _reasons(connection, [row.id for row in found if Outcome.QUARANTINED in row.outcomes])
    return [replace(_message(tuple(row)), reasons=tuple(reasons.get(row.id, ()))) for row in found]


def message(connection: Connection, number: int) -> MessageLine | None:
    """The delivery of a number, if there is one."""
    row = connection.execute(select(*MESSAGE).where(M.id == number)).first()
    return _message(tuple(row)) if row else None


def _message(row: tuple[Any, ...]) -> MessageLine:
    """PostgreSQL's JSON keeps no order: what needs somebody comes first."""
    *values, outcomes = row
    known = [outcome for outcome in ORDER if outcome in outcomes]
    return MessageLine(*[*values, {outcome: outcomes[outcome] for outcome in dict.fromkeys([*known, *outcomes])}])


def _reasons(connection: Connection, numbers: list[int]) -> dict[int, list[str]]:
    """By way of the ledger: quarantine is indexed by notification."""
    q = tables.quarantine.c
    same = (q.notification_id == N.notification_id) & (q.organization_id == N.organization_id)
    joined = tables.notification.join(tables.quarantine, same)
    wanted = select(N.message_id, q.reason).select_from(joined).where(N.message_id.in_(numbers)).order_by(q.id)
    found: dict[int, list[str]] = {}
    for row in connection.execute(wanted) if numbers else ():
        found.setdefault(row.message_id, []).append(row.reason)
    return found


def notifications(connection: Connection, notification_id: str) -> list[NotificationLine]:
    """Those of an ID: one, unless two organizations have it."""
    wanted = _select().where(N.notification_id == notification_id).order_by(N.organization_id)
    return _lines(connection, wanted)


def of_message(connection: Connection, number: int, limit: int | None = LIMIT, skip: int = 0) -> Lines:
    """The notifications that came first with a message: those in quarantine, then the others, by their IDs."""
    calm = case((N.outcome == Outcome.QUARANTINED.value, 0), else_=1)
    wanted = _select().where(N.message_id == number).order_by(calm, N.notification_id, N.organization_id)
    return _some(connection, wanted, limit, skip)


def of_record(connection: Connection, ids: Collection[str], limit: int | None = LIMIT, skip: int = 0) -> Lines:
    """What has been told of a record, newest first."""
    wanted = _select().where(N.record_id.in_(ids)).order_by(N.message_id.desc(), N.notification_id.desc())
    return _some(connection, wanted, limit, skip)


def _select() -> Select[Any]:
    joined = tables.notification.outerjoin(tables.message, N.message_id == M.id)
    return select(*LEDGER, *MESSAGE).select_from(joined)


def _some(connection: Connection, wanted: Select[Any], limit: int | None, skip: int) -> Lines:
    """One more than is shown is asked for, to know whether there are more."""
    if limit is None:
        return Lines(_lines(connection, wanted))
    found = _lines(connection, wanted.offset(skip).limit(limit + 1))
    return Lines(found[:limit], len(found) > limit)


def _lines(connection: Connection, wanted: Select[Any]) -> list[NotificationLine]:
    rows = connection.execute(wanted).all()
    held = held_of(connection, {row[0] for row in rows})
    return [_line(tuple(row), held) for row in rows]


def _line(row: tuple[Any, ...], held: list[Held]) -> NotificationLine:
    (*ledger, detail), came = row[: len(LEDGER)], row[len(LEDGER) :]
    message = None if came[0] is None else _message(came)
    mine = tuple(each for each in held if [each.notification_id, each.organization_id] == ledger[:2])
    return NotificationLine(*[*ledger, detail or {}, message, mine])


def deliveries(connection: Connection, notification_id: str) -> list[DeliveryLine]:
    """What durable receivers have heard of a notification, or are still to hear."""
    joined = tables.event.join(tables.delivery, E.id == D.event_id)
    columns = (D.receiver, E.child_name, E.external_id, E.created_at, D.attempts, D.due_at, D.delivered_at, D.error)
    wanted = select(*columns).select_from(joined).where(E.notification_id == notification_id)
    return [DeliveryLine(*row) for row in connection.execute(wanted.order_by(E.id, D.receiver))]


def totals(connection: Connection) -> dict[str, int]:
    """Outcome → how many notifications in the ledger ended so; each repetition is a duplicate."""
    counted = select(N.outcome, func.count().label("lines"), func.sum(N.repeats).label("repeats")).group_by(N.outcome)
    found: Counter[str] = Counter()
    for row in connection.execute(counted):
        found[row.outcome] += row.lines
        found[Outcome.DUPLICATE.value] += int(row.repeats)
    return {outcome: count for outcome, count in sorted(found.items()) if count}
