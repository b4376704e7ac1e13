"""Tells receivers inside the transaction: pre_save and pre_delete before the writes, post_save and post_delete after.

The session is for receivers. It works in a savepoint, made when it is first used, so that a receiver can commit or
roll back what receivers did but never what the store did; in the end it lets go of its instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from omreceiver.errors import ReceiverRaised
from omreceiver.records.record import RecordMixin
from omreceiver.schema.notification import Message
from omreceiver.signals import (
    DELETES,
    NOT_TOLD,
    OF_CHANGES,
    SAVES,
    Signal,
    named,
    pre_delete,
    pre_save,
)
from omreceiver.store.batch import Batch
from omreceiver.store.deadline import Deadline
from omreceiver.store.plan import Outcome
from omreceiver.store.removals import Removal
from omreceiver.store.saves import Save

#: one record that a message changes
Changed = Save | Removal


def around(
    sent: Batch,
    deadline: Deadline,
    saves: Sequence[Save],
    removals: Sequence[Removal],
    write: Callable[[], None],
) -> None:
    """Write, and tell receivers before and after; when nobody listens, only write, and the batch may wait. Raises
    Unavailable when the time is up before all were told.
    """
    if not any(signal.receivers for signal in OF_CHANGES):
        write()
        return
    with Session(sent.connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
        changed: list[Changed] = [*(save for save in saves if save.is_told), *removals]
        _before(session, deadline, changed)
        write()
        sent.send()
        _after(session, deadline, [change for change in changed if change.is_told])
        session.commit()
        _fill(session)


def _fill(session: Session) -> None:
    """What a receiver's rollback has emptied, for those who get the instances after the commit."""
    for instance in list(session):
        state: Any = inspect(instance)
        if state.expired_attributes and not state.modified:
            session.refresh(instance)


def signals_of(change: Changed) -> tuple[Signal, ...]:
    """Those that tell of a change: before, after, and when it is committed."""
    return DELETES if change.outcome is Outcome.DELETED else SAVES


def is_heard(signal: Signal, change: Changed) -> bool:
    """Whether a signal may call anybody for a change. What changed is found out for listeners only."""
    return bool(signal.receivers) and signal.is_heard(change.layout.model, change.changes())


def _is_heard_of(change: Changed) -> bool:
    return any(is_heard(signal, change) for signal in signals_of(change))


def _before(session: Session, deadline: Deadline, changed: list[Changed]) -> None:
    """pre_save with a transient instance: what receivers set on it is written too; pre_delete with a loaded one."""
    leaving = [each for each in changed if each.outcome is Outcome.DELETED and _is_heard_of(each)]
    # as they are before: a deletion may bring another key and another class along
    _load(
        session, [(each.layout.mapper.base_mapper.class_, each.present.key, each) for each in leaving if each.present]
    )
    for each in changed:
        signal = signals_of(each)[0]
        if not is_heard(signal, each):
            continue
        if signal is pre_delete:
            _send(signal, session, deadline, each)
        elif isinstance(each, Save):
            _send_pre_save(session, deadline, each)


def _send_pre_save(session: Session, deadline: Deadline, save: Save) -> None:
    shown = {**save.before, **save.values}
    save.instance = _transient(save.layout.model, shown)
    _send(pre_save, session, deadline, save)
    now = {name: getattr(save.instance, name) for name in save.layout.by_attribute if name != "child_name"}
    now["external_id"] = save.layout.key.stored(now["external_id"] or "")
    save.values |= {name: value for name, value in now.items() if value != shown.get(name)}
    save.compare()


def _transient(model: type[RecordMixin], values: dict[str, Any]) -> RecordMixin:
    try:
        return model(**values)
    except Exception as error:
        raise ReceiverRaised(f"{model.__name__} cannot be made: {type(error).__name__}: {error}") from error


def _after(session: Session, deadline: Deadline, changed: list[Changed]) -> None:
    """post_save with instances loaded in the session, one statement a leaf class, and none if nobody listens;
    post_delete with the instances as they were.
    """
    # what a receiver loaded before the writes is older than what was written
    session.flush()
    session.expunge_all()
    saved = [each for each in changed if each.outcome is not Outcome.DELETED and _is_heard_of(each)]
    _load(session, [(each.layout.model, each.key, each) for each in saved])
    for each in changed:
        signal = signals_of(each)[1]
        if is_heard(signal, each):
            _send(signal, session, deadline, each)


def _load(session: Session, wanted: Iterable[tuple[type[RecordMixin], str, Changed]]) -> None:
    """Load the instances of (class, key, change): one statement a class."""
    by_class: dict[type[RecordMixin], dict[str, Changed]] = {}
    for model, key, change in wanted:
        by_class.setdefault(model, {})[key] = change
    for model, by_key in by_class.items():
        for instance in session.scalars(select(model).where(model.external_id.in_(list(by_key)))).unique():
            by_key[instance.external_id].instance = instance


def _send(signal: Signal, session: Session, deadline: Deadline, change: Changed) -> None:
    deadline.check()
    model, sent = change.layout.model, {**arguments(change, deadline.message), "session": session}
    try:
        results = [(each, signal.call(each, model, sent, deadline.slow)) for each in signal.heard_by(model)]
    except Exception as error:
        raise ReceiverRaised(f"A {signal.name} receiver raised {type(error).__name__}: {error}") from error
    ran = [named(receiver) for receiver, result in results if result is not NOT_TOLD]
    if ran:
        change.receivers[signal.name] = ran


def arguments(change: Changed, message: Message) -> dict[str, Any]:
    """What every receiver gets beside the session, the same for all signals; see the table in signals/__init__.py."""
    changed = change.changes()
    return {
        "instance": change.instance,
        "created": change.outcome is Outcome.CREATED,
        "deleted": change.outcome is Outcome.DELETED,
        "changed": dict(changed),
        "update_fields": frozenset(changed),
        "raw": message.raw,
        "message": message,
    }
