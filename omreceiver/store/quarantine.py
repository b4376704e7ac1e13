"""The quarantine: notifications that could not be stored, kept whole until they can be, or are dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, or_, select, update

from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.database import for_writing
from omreceiver.store.plan import Settled
from omreceiver.store.statements import in_parts
from omreceiver.store.text import short_id, short_name, storable

Q = tables.quarantine.c
#: what `outcome` says of an entry that was given up; the others are outcomes of another attempt
DROPPED = "dropped"
BATCH = 200


@dataclass(frozen=True)
class Entry:
    """One notification that could not be stored, kept whole. `settled_at` and `outcome` are None while it is open."""

    number: int
    quarantined_at: datetime
    organization_id: str
    notification_id: str
    message_id: int
    action_id: str
    sobject: str | None
    record_id: str | None
    error: str
    reason: str
    traceback: str | None
    fragment: str
    head: str | None
    wsdl: str | None
    raw: bool
    attempts: int
    settled_at: datetime | None
    outcome: str | None


@dataclass(frozen=True)
class Wanted:
    """Which entries: those that meet every condition."""

    #: None: of any number
    numbers: frozenset[int] | None = None
    #: None: of any sObject. What came without its type may be of any
    sobjects: frozenset[str] | None = None
    #: a part of the reason, or of the error's name; upper and lower case are one
    reason: str = ""
    #: False: also those that are settled
    is_open: bool = True


OPEN = Wanted()


def put(connection: Connection, message: Message, message_id: int, settled: Sequence[Settled]) -> None:
    """Keep the notifications of a message that could not be stored."""
    if settled:
        of_all = {"message_id": message_id, "head": message.head()}
        rows = [_row(message, entry) | of_all for entry in settled]
        connection.execute(insert(tables.quarantine), rows)


def waiting(connection: Connection, message: Message, ids: Collection[str]) -> set[str]:
    """Of these notifications of a message those that are in quarantine."""
    mine = (Q.organization_id == message.organization_id) & Q.notification_id.in_(sorted(ids))
    return set(connection.scalars(select(Q.notification_id).where(mine, Q.settled_at.is_(None))))


def settle(connection: Connection, message: Message, entry: Settled) -> None:
    """What another attempt has made of a notification: it is settled, or it stays, with the new reason."""
    mine = (Q.organization_id == message.organization_id) & (Q.notification_id == entry.notification.id)
    statement = update(tables.quarantine).where(mine, Q.settled_at.is_(None))
    if entry.error is None:
        values: dict[str, Any] = {"settled_at": datetime.now(UTC), "outcome": str(entry.outcome)}
    else:
        values = _why(entry)
    connection.execute(statement.values(attempts=Q.attempts + 1, **values))


def _row(message: Message, entry: Settled) -> dict[str, Any]:
    return {
        "quarantined_at": datetime.now(UTC),
        "organization_id": message.organization_id,
        "notification_id": entry.notification.id,
        "action_id": message.action_id,
        "sobject": short_name(entry.notification.sobject),
        "record_id": short_id(entry.notification.record_id),
        "fragment": entry.notification.fragment(),
        "wsdl": message.wsdl,
        "raw": message.raw,
        "attempts": 0,
        **_why(entry),
    }


def _why(entry: Settled) -> dict[str, Any]:
    return {
        "error": type(entry.error).__name__,
        "reason": storable(str(entry.error)),
        "traceback": storable(entry.traceback) if entry.traceback else None,
    }


def entries(engine: Engine, wanted: Wanted = OPEN, *, newest_first: bool = False) -> Iterator[Entry]:
    """What is in quarantine, in the order in which it came or the other way round; a batch at a time."""
    order = Q.id.desc() if newest_first else Q.id
    after: list[ColumnElement[bool]] = []
    while True:
        statement = select(*tables.quarantine.columns).where(*_conditions(wanted), *after)
        with engine.connect() as connection:
            found = [_entry(row) for row in connection.execute(statement.order_by(order).limit(BATCH))]
        yield from found
        if len(found) < BATCH:
            return
        after = [Q.id < found[-1].number if newest_first else Q.id > found[-1].number]


def count(engine: Engine, wanted: Wanted = OPEN) -> int:
    """How many entries there are of those."""
    with engine.connect() as connection:
        statement = select(func.count()).select_from(tables.quarantine).where(*_conditions(wanted))
        return connection.scalar(statement) or 0


def entry(engine: Engine, number: int) -> Entry | None:
    """The entry of a number, if there is one."""
    return next(entries(engine, Wanted(frozenset({number}), is_open=False)), None)


def held_back(engine: Engine, *, is_open: bool) -> set[tuple[str, str]]:
    """(organization, notification) of what was dropped; with `is_open` also of what is still in quarantine."""
    which = or_(Q.outcome == DROPPED, Q.settled_at.is_(None)) if is_open else Q.outcome == DROPPED
    with engine.connect() as connection:
        found = connection.execute(select(Q.organization_id, Q.notification_id).where(which))
        return {(row.organization_id, row.notification_id) for row in found}


def drop(engine: Engine, numbers: Collection[int]) -> None:
    """Give up entries that are open: the row stays as a trace, and the ledger goes on to say quarantined."""
    values = {"settled_at": datetime.now(UTC), "outcome": DROPPED}
    for part in in_parts(sorted(numbers), BATCH):
        mine = Q.id.in_(part) & Q.settled_at.is_(None)
        with for_writing(engine).begin() as connection:
            connection.execute(update(tables.quarantine).where(mine).values(values))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [Q.settled_at.is_(None)] if wanted.is_open else []
    if wanted.numbers is not None:
        found.append(Q.id.in_(sorted(wanted.numbers)))
    if wanted.sobjects is not None:
        found.append(or_(Q.sobject.in_(sorted(wanted.sobjects)), Q.sobject.is_(None)))
    if wanted.reason:
        found.append(or_(*(said.icontains(wanted.reason, autoescape=True) for said in (Q.reason, Q.error))))
    return found


def _entry(row: Row[Any]) -> Entry:
    values = dict(row._mapping)
    return Entry(number=values.pop("id"), **values)
