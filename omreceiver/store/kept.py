"""Reads the messages whose bodies are kept: which there are, by what one may know of them, and one after the other."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, func, or_, select

from omreceiver.records.ids import to18
from omreceiver.store import tables
from omreceiver.store.statements import in_parts

M = tables.message.c
N = tables.notification.c
T = tables.tombstone.c
#: bodies that are in memory at once; each may be as large as a message may be
BATCH = 20
#: a message may be committed for nearly so long after it was dated
LONGEST = timedelta(minutes=1)
#: how the ID begins of a notification that came without one
MADE_UP = "#"
#: comes after every letter of an ID
AFTER = "~"


@dataclass(frozen=True)
class Kept:
    """A message that can be played again: its notifications element as bytes, without SessionId."""

    number: int
    received_at: datetime
    organization_id: str
    sobject: str | None
    wsdl: str | None
    body: bytes

    def came(self, _notification_id: str) -> datetime:
        """When a notification of it came: as all of it."""
        return self.received_at


def numbers(
    engine: Engine,
    *,
    actions: Collection[str] = (),
    sobjects: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[int]:
    """The numbers of the kept messages that meet every condition, in the order in which they came.

    Raises ValueError for an ActionId that is none.
    """
    wanted: list[ColumnElement[bool]] = [M.body.is_not(None)]
    if actions:
        wanted.append(func.substr(M.action_id, 1, 15).in_(sorted({to18(action)[:15] for action in actions})))
    if sobjects:
        # a message that lost its types on the way is of the sObject of its URL
        wanted.append(or_(M.sobject.in_(sorted(sobjects)), M.sobject.is_(None)))
    if since:
        wanted.append(M.received_at >= since)
    if until:
        wanted.append(M.received_at < until)
    with engine.connect() as connection:
        return list(connection.scalars(select(M.id).where(*wanted).order_by(M.id)))


def holding(engine: Engine, salesforce_id: str) -> list[tuple[int, str]]:
    """(message, notification) of every notification that has this ID, or is about the record that has it.

    Raises ValueError for what is no ID. Fifteen characters tell; the three after them only repeat it.
    """
    if salesforce_id.startswith(MADE_UP):
        named = N.notification_id == salesforce_id
    else:
        first = to18(salesforce_id)[:15]
        named = or_(*((given >= first) & (given < first + AFTER) for given in (N.notification_id, N.record_id)))
    with engine.connect() as connection:
        found = connection.execute(select(N.message_id, N.notification_id).where(named))
        return [(row.message_id, row.notification_id) for row in found]


def read(engine: Engine, chosen: Sequence[int]) -> Iterator[Kept]:
    """The kept messages of these numbers, in their order. One whose body has been pruned since is left out."""
    columns = (M.id, M.received_at, M.organization_id, M.sobject, M.wsdl, M.body)
    for part in in_parts(chosen, BATCH):
        here = M.id.in_(part) & M.body.is_not(None)
        with engine.connect() as connection:
            rows = connection.execute(select(*columns).where(here).order_by(M.id)).all()
        for row in rows:
            body = zlib.decompress(row.body)
            yield Kept(row.id, row.received_at, row.organization_id, row.sobject, row.wsdl, body)


def recent(engine: Engine, moment: datetime) -> set[int]:
    """The messages that are there and were dated about a moment, kept or not."""
    with engine.connect() as connection:
        return set(connection.scalars(select(M.id).where(M.received_at >= moment - LONGEST)))


def named_since(engine: Engine, started: datetime, seen: Collection[int]) -> set[str]:
    """The records that messages have named since a time, or have told to be deleted; but for the messages `seen`."""
    lines = select(N.message_id, N.record_id).join_from(tables.message, tables.notification, M.id == N.message_id)
    since = lines.where(M.received_at >= started - LONGEST)
    with engine.connect() as connection:
        named = {row.record_id for row in connection.execute(since) if row[0] not in seen}
        gone = set(connection.scalars(select(T.salesforce_id).where(T.told_at >= started)))
    return gone | {full(record_id) for record_id in named if record_id}


def full(record_id: str) -> str:
    """As the class tables hold it; what is no ID names no record there."""
    try:
        return to18(record_id.strip())
    except ValueError:
        return record_id
