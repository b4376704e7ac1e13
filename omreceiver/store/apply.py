"""Plan → Receipt: one transaction a message, and no ack before its commit.

What is committed, and when. The ledger, the records, what receivers before and after a save or a delete wrote, events
for durable receivers: all in one transaction. Its parts come in this order: which records are there, read and locked
by ascending key; which notifications are known, where they may be; pre_save and pre_delete; the writes; post_save and
post_delete; the ledger; the events. Two workers with the same message meet at the locks or at the ledger's primary
key: the second one fails, rolls back, tries again, and finds duplicates. In the same way a record that is remembered as
deleted is not asked for at first: the batch that would bring it back is Doubted, and the next attempt asks.

What is tried again: conflicts (deadlock, serialization, a key inserted by somebody else), a few times, with a pause
that grows. What is not: the database being away. That is Unavailable: nothing was written, Salesforce sends again.

When a record or a receiver makes the transaction fail, the message is played once more with a savepoint around each
record, so that only the bad ones go to quarantine. A good message never pays for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from omreceiver.errors import ConstraintViolated, Unstorable
from omreceiver.schema.notification import Message, Notification
from omreceiver.store import decide, detail, events, ledger, present, removals, tell, tombstones, write
from omreceiver.store.batch import Batch, Doubted, batch
from omreceiver.store.deadline import Attempts, Deadline
from omreceiver.store.failures import Verdict, said, verdict
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.freshness import Lists
from omreceiver.store.plan import Outcome, Plan, Settled
from omreceiver.store.situation import Situation
from omreceiver.store.tell import Changed
from omreceiver.store.tombstones import Gone

#: of the database, of a record, and of a value that a column's type will not bind
FAILURES = (SQLAlchemyError, Unstorable, ValueError, TypeError, ArithmeticError)
#: how often a record is looked at anew for which others insert rows meanwhile
LOOKS = 8


@dataclass(frozen=True)
class Receipt:
    """What became of a message, after its commit."""

    message: Message
    message_id: int
    settled: tuple[Settled, ...]
    #: the fields that its action selects
    selected: frozenset[str]
    #: the records that were written or removed, and that receivers hear of
    changed: tuple[Changed, ...] = field(default=(), repr=False)

    @property
    def outcomes(self) -> dict[str, str]:
        """Notification ID → outcome."""
        return {entry.notification.id: str(entry.outcome) for entry in self.settled}


@dataclass
class Stored:
    """What a part of a message has become, before its commit."""

    changes: list[Changed] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)

    def add(self, other: Stored) -> None:
        self.changes += other.changes
        self.settled += other.settled


def apply(plan: Plan, engine: Engine, field_lists: FieldLists, deadline: Deadline) -> Receipt:
    """Store a plan, on an engine for writing. Raises Unavailable when nothing could be written and the message should
    come again.
    """
    is_careful, attempts = False, Attempts(deadline)
    while True:
        try:
            return _transaction(plan, engine, field_lists, attempts, is_careful)
        except Doubted:
            attempts.is_asking = True
        except FAILURES as error:
            judged = attempts.again(error)
            # a key inserted by somebody else looks like a bad record: look again before being careful
            is_odd = len(attempts.failures) > 1 or isinstance(error, Unstorable)
            is_careful = is_careful or (judged is Verdict.RECORD and is_odd)


def _transaction(plan: Plan, engine: Engine, field_lists: FieldLists, attempts: Attempts, is_careful: bool) -> Receipt:
    with engine.begin() as connection:
        if plan.deletes:
            tombstones.close(connection)
        asks = attempts.is_asking or bool(plan.deletes)
        there, sent = _look(connection, plan, asks), batch(connection)
        asked = not plan.message.again and (attempts.is_asking or _may_repeat(plan, there))
        seen = ledger.known(connection, plan.message) if asked else set()
        # asked at most once a transaction, and only for a message that is older than a row
        lists = cache(partial(field_lists.of_all, connection, plan.message))
        store = partial(_store, sent, lists=lists, deadline=attempts.deadline)
        fresh = plan.without(seen).newest()
        stored = _store_each(sent, fresh, store) if is_careful else store(fresh, there)
        if not asks:
            tombstones.doubt(sent, plan.message, there.absent)
        settled = [
            *(_duplicate(s.notification) if s.notification.id in seen else s for s in fresh.settled),
            *(_duplicate(notification) for notification in plan.notifications() if notification.id in seen),
            *(detail.settled(change) for change in stored.changes),
            *stored.settled,
        ]
        keep = bool(plan.reading.settings.keep_messages)
        settled = plan.message.in_order(settled)
        message_id = ledger.enter(sent, plan.message, settled, keep_body=keep)
        changed = tuple(plan.message.in_order(change for change in stored.changes if change.is_told))
        events.write(connection, plan.message, message_id, changed)
        attempts.deadline.check()
    return Receipt(plan.message, message_id, tuple(settled), plan.reading.selected, changed)


@dataclass(frozen=True)
class There:
    """What the tables hold of the records of a plan, and what is remembered of those that they do not."""

    found: present.Found
    #: the Salesforce IDs of those that are not there
    absent: frozenset[str]
    gone: Mapping[str, Gone]


def _look(connection: Connection, plan: Plan, asks: bool = True) -> There:
    """What is remembered of absent records is hardly ever anything: it is asked for where it may be, or doubted."""
    found = present.read(connection, plan)
    absent = frozenset(row.salesforce_id for row in plan.rows if found.of(row) is None)
    return There(found, absent, tombstones.known(connection, plan.message, absent) if asks else {})


def _may_repeat(plan: Plan, there: There) -> bool:
    """Whether a notification of the plan may be in the ledger; asking it for every message costs a statement.

    One that was stored left its record at its own modstamp or a later one. So a record that is not here and of which
    nothing is remembered, or that is older here, has not had this notification, but for one that went to quarantine:
    that one meets the ledger's primary key, and the message is played again with the ledger asked.
    """
    is_odd = plan.is_crowded or bool(plan.settled or plan.deletes or there.gone)
    return is_odd or any(there.found.is_as_fresh_as(row) for row in plan.rows)


def _duplicate(notification: Notification) -> Settled:
    return Settled(notification, Outcome.DUPLICATE)


def _store(sent: Batch, plan: Plan, there: There, *, lists: Lists, deadline: Deadline) -> Stored:
    """All records of a plan at once. Whatever is wrong with one of them fails the whole."""
    connection, judged = sent.connection, removals.judge(plan, there.found)
    leaving = [removal.present for removal in judged.removals]
    rows, found = [*plan.rows, *judged.marks], there.found.without(leaving)
    decided = decide.decide(rows, Situation(plan, found, there.gone, lists))

    def write_all() -> None:
        removals.remove(connection, [*leaving, *decided.claims.drops], plan.reading.models)
        for root in dict.fromkeys(row.layout.root for row in rows):
            saves = [save for save in decided.saves if save.layout.root is root]
            moves = [move for move in decided.claims.moves if move.present.root is root]
            write.write(sent, saves, moves, plan.reading.models.tables_below(root))

    tell.around(sent, deadline, decided.saves, judged.removals, write_all)
    tombstones.remember(connection, plan.message, {**decided.gone(), **judged.gone})
    back = {save.salesforce_id for save in decided.saves if save.is_here_again}
    tombstones.forget(connection, plan.message, back & there.gone.keys())
    return Stored([*decided.saves, *judged.removals], [*decided.rejected, *judged.settled])


def _store_each(sent: Batch, plan: Plan, store: Callable[[Plan, There], Stored]) -> Stored:
    """One record after the other, each in a savepoint, so that a bad one costs itself only."""
    stored = Stored()
    for part in plan.each():
        stored.add(_store_one(sent, part, store))
    return stored


def _store_one(sent: Batch, part: Plan, store: Callable[[Plan, There], Stored]) -> Stored:
    """A record for which somebody else inserted a row since we looked is not bad: it is here now, so look again."""
    for _ in range(LOOKS):
        there: There | None = None
        try:
            with sent.saved():
                there = _look(sent.connection, part)
                return store(part, there)
        except FAILURES as error:
            if verdict(error) is not Verdict.RECORD:
                raise
            failed = error
        if there is None or not isinstance(failed, IntegrityError) or not _has_come(sent.connection, part, there):
            break
    [notification] = part.notifications()
    return Stored(settled=[Settled(notification, Outcome.QUARANTINED, _unstorable(failed))])


def _has_come(connection: Connection, part: Plan, before: There) -> bool:
    now = present.read(connection, part)
    return any(before.found.of(row) is None and now.of(row) is not None for row in part.rows)


def _unstorable(error: Exception) -> Unstorable:
    if isinstance(error, Unstorable):
        return error
    violated = ConstraintViolated(f"The tables do not take the record: {said(error)}")
    violated.__cause__ = error
    return violated
