"""Plan → Receipt: one transaction a message, and no ack before its commit.

What is committed, and when. The ledger, the records, what pre_save and post_save receivers wrote, events for durable
receivers: all in one transaction. Its parts come in this order: which records are there, read and locked by ascending
key; which notifications are known; pre_save; the writes; post_save; the ledger; the events. Two workers with the same
message meet at the locks or at the ledger's primary key: the second one fails, rolls back, tries again, and finds
duplicates.

What is tried again: conflicts (deadlock, serialization, a key inserted by somebody else), a few times, with a pause
that grows. What is not: the database being away. That is Unavailable: nothing was written, Salesforce sends again.

When a record or a receiver makes the transaction fail, the message is played once more with a savepoint around each
record, so that only the bad ones go to quarantine. A good message never pays for that.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from omreceiver.errors import ConstraintViolated, ReceiverRaised, Unavailable, Unstorable
from omreceiver.records.record import RecordMixin
from omreceiver.schema.notification import Message, Notification
from omreceiver.signals import SAVES, Signal, post_save, pre_save
from omreceiver.store import events, ledger, present, saves
from omreceiver.store.database import for_writing
from omreceiver.store.failures import Verdict, verdict
from omreceiver.store.plan import Outcome, Plan, Row, Settled
from omreceiver.store.saves import Save

log = logging.getLogger(__name__)

ATTEMPTS = 8
#: of the database, of a record, and of a value that a column's type will not bind
FAILURES = (SQLAlchemyError, Unstorable, ValueError, TypeError)
#: seconds before the first new attempt; each further one waits up to twice as long
PAUSE = 0.02


@dataclass(frozen=True)
class Receipt:
    """What became of a message, after its commit."""

    message: Message
    message_id: int
    settled: tuple[Settled, ...]
    saves: tuple[Save, ...] = field(default=(), repr=False)

    @property
    def outcomes(self) -> dict[str, str]:
        """Notification ID → outcome."""
        return {entry.notification.id: str(entry.outcome) for entry in self.settled}


def apply(plan: Plan, engine: Engine) -> Receipt:
    """Store a plan. Raises Unavailable when nothing could be written and the message should come again."""
    is_careful = False
    for attempt in range(ATTEMPTS):
        try:
            return _transaction(plan, engine, attempt > 0, is_careful)
        except FAILURES as error:
            judged = verdict(error)
            if judged is Verdict.AWAY or attempt == ATTEMPTS - 1:
                raise Unavailable(f"The database cannot take the message: {_said(error)}") from error
            # a key inserted by somebody else looks like a bad record: look again before being careful
            is_careful = is_careful or (judged is Verdict.RECORD and (attempt > 0 or isinstance(error, Unstorable)))
            log.info("a message is stored again", extra={"action": "store_again", "attempt": attempt + 1})
        time.sleep(random.uniform(0, PAUSE * 2**attempt))  # noqa: S311 — jitter, no secret
    raise AssertionError("unreachable: the last attempt returns or raises")


def _said(error: BaseException) -> str:
    """The first line of what the driver said; the rest may hold values of the record."""
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]


def _transaction(plan: Plan, engine: Engine, is_again: bool, is_careful: bool) -> Receipt:
    with for_writing(engine).begin() as connection:
        found = present.read(connection, plan.reading.models, plan.rows)
        seen = ledger.known(connection, plan.message) if is_again or _may_repeat(plan, found) else set()
        rows = [row for row in plan.rows if row.notification.id not in seen]
        stored, rejected = _store_each(connection, plan, rows) if is_careful else _store(connection, plan, rows, found)
        settled = (
            *(_duplicate(s.notification) if s.notification.id in seen else s for s in plan.settled),
            *(_duplicate(row.notification) for row in plan.rows if row.notification.id in seen),
            *(Settled(save.row.notification, save.outcome) for save in stored),
            *rejected,
        )
        keep = bool(plan.reading.settings.keep_messages)
        message_id = ledger.enter(connection, plan.message, settled, keep_body=keep)
        events.write(connection, plan.message, message_id, stored)
    return Receipt(plan.message, message_id, settled, tuple(save for save in stored if save.is_written))


def _may_repeat(plan: Plan, found: present.Found) -> bool:
    """Whether a notification of the plan may be in the ledger; asking it for every message costs a statement.

    One that was stored left its record at its own modstamp or a later one. So a record that is not here, or is older
    here, has not had this notification, but for one that went to quarantine or whose record is gone: that one meets
    the ledger's primary key, and the message is played again with the ledger asked.
    """
    return bool(plan.settled) or any(found.is_as_fresh_as(row) for row in plan.rows)


def _duplicate(notification: Notification) -> Settled:
    return Settled(notification, Outcome.DUPLICATE)


def _store(
    connection: Connection, plan: Plan, rows: list[Row], found: present.Found
) -> tuple[list[Save], list[Settled]]:
    """All rows at once. Whatever is wrong with one of them fails the whole."""
    if not rows:
        return [], []
    decided, rejected = _decide(plan, rows, found)
    tables = plan.reading.models.tables_below(rows[0].layout.root)
    if any(signal.receivers for signal in SAVES):
        _store_and_tell(connection, plan, decided, tables)
    else:
        saves.write(connection, decided, tables)
    return decided, rejected


def _store_and_tell(connection: Connection, plan: Plan, decided: list[Save], tables: tuple[Table, ...]) -> None:
    """The session is for receivers. It works in a savepoint, made when it is first used, so that a receiver can
    commit or roll back what receivers did but never what the store did; in the end it lets go of its instances.
    """
    with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
        _before(session, plan, decided)
        saves.write(connection, decided, tables)
        _after(session, plan, decided)
        session.commit()


def _store_each(connection: Connection, plan: Plan, rows: list[Row]) -> tuple[list[Save], list[Settled]]:
    """One row after the other, each in a savepoint, so that a bad one costs itself only."""
    stored: list[Save] = []
    rejected: list[Settled] = []
    for row in rows:
        try:
            with connection.begin_nested():
                good, bad = _store(connection, plan, [row], present.read(connection, plan.reading.models, [row]))
                stored += good
                rejected += bad
        except FAILURES as error:
            if verdict(error) is not Verdict.RECORD:
                raise
            rejected.append(Settled(row.notification, Outcome.QUARANTINED, _unstorable(error)))
    return stored, rejected


def _decide(plan: Plan, rows: list[Row], found: present.Found) -> tuple[list[Save], list[Settled]]:
    """What becomes of each row. Raises ConstraintViolated when two rows claim one record: a key changed hands within
    the message, so its records must be stored one after the other.
    """
    decided: list[Save] = []
    rejected: list[Settled] = []
    for row in rows:
        try:
            decided.append(saves.decide(row, found, plan))
        except Unstorable as error:
            rejected.append(Settled(row.notification, Outcome.QUARANTINED, error))
    claimed = [id(save.present) for save in decided if save.present is not None]
    if len(set(claimed)) < len(claimed):
        raise ConstraintViolated("Two records of the message claim one row.")
    return decided, rejected


def _unstorable(error: Exception) -> Unstorable:
    if isinstance(error, Unstorable):
        return error
    violated = ConstraintViolated(f"The database refused the record: {_said(error)}")
    violated.__cause__ = error
    return violated


def _before(session: Session, plan: Plan, decided: Iterable[Save]) -> None:
    """pre_save, with a transient instance; what receivers set on it is written too."""
    for save in decided:
        if save.is_written and pre_save.has_receivers_for(save.layout.model):
            shown = {**save.before, **save.values}
            save.instance = _transient(save.layout.model, shown)
            _send(pre_save, session, plan, save)
            now = {name: getattr(save.instance, name) for name in save.layout.by_attribute if name != "child_name"}
            now["external_id"] = save.layout.key.stored(now["external_id"] or "")
            save.values |= {name: value for name, value in now.items() if value != shown.get(name)}
            save.compare()


def _transient(model: type[RecordMixin], values: dict[str, Any]) -> RecordMixin:
    try:
        return model(**values)
    except Exception as error:
        raise ReceiverRaised(f"{model.__name__} cannot be made: {type(error).__name__}: {error}") from error


def _after(session: Session, plan: Plan, decided: Iterable[Save]) -> None:
    """post_save, with instances loaded in the session: one statement a leaf class, and none if nobody listens."""
    heard = [s for s in decided if s.is_written and any(x.has_receivers_for(s.layout.model) for x in SAVES)]
    by_class: dict[type[RecordMixin], dict[str, Save]] = {}
    for save in heard:
        by_class.setdefault(save.layout.model, {})[save.key] = save
    # what a pre_save receiver loaded is older than what was written
    session.flush()
    session.expunge_all()
    for model, by_key in by_class.items():
        for instance in session.scalars(select(model).where(model.external_id.in_(list(by_key)))).unique():
            by_key[instance.external_id].instance = instance
    for save in heard:
        _send(post_save, session, plan, save)


def _send(signal: Signal, session: Session, plan: Plan, save: Save) -> None:
    try:
        signal.send(save.layout.model, **arguments(save, plan.message), session=session)
    except Exception as error:
        raise ReceiverRaised(f"A {signal.name} receiver raised {type(error).__name__}: {error}") from error


def arguments(save: Save, message: Message) -> dict[str, Any]:
    """What every receiver gets beside the session, the same for all signals; see the table in signals.py."""
    changed = save.changes()
    return {
        "instance": save.instance,
        "created": save.outcome is Outcome.CREATED,
        "changed": changed,
        "update_fields": frozenset(changed),
        "raw": message.raw,
        "message": message,
    }
