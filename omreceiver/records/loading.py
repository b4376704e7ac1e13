"""Loads the records that references name: those of all records in the session at once, one statement a root.

What was loaded is held by the record that refers to it, until SQLAlchemy expires that record or its ID changes. That
nothing was there is held until a record is inserted in the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session, SessionTransaction, object_session, with_polymorphic
from sqlalchemy.orm.exc import DetachedInstanceError

from omreceiver.records import prefixes
from omreceiver.records.ids import to18

if TYPE_CHECKING:
    from omreceiver.records.references import ReferenceAttribute

HELD = "_referenced_records"
INSERTED = "omreceiver_inserted"
#: IDs a statement; every database takes as many parameters
AT_ONCE = 5_000


class Held(NamedTuple):
    """What a reference was found to name, and when."""

    record_id: str
    record: Any
    #: how many records the session had inserted, in which transaction: after another one nothing may be something
    inserted: int
    transaction: SessionTransaction | None


def record_of(instance: Any, reference: ReferenceAttribute) -> Any:
    """The record that a reference of `instance` names, or None while it has not arrived.

    Loads it for every record of the session that has this reference. Raises DetachedInstanceError for one that left
    its session before it was loaded.
    """
    session = object_session(instance)
    if (record_id := getattr(instance, reference.key)) is None:
        return None
    held = vars(instance).get(HELD, {}).get(reference.name)
    if held is not None and _holds(held, record_id, session):
        return held.record
    if session is None:
        return _without_session(instance, reference)
    load(session, [instance, *_others(session, instance, reference)], reference)
    return vars(instance)[HELD][reference.name].record


def load(session: Session, instances: Iterable[Any], reference: ReferenceAttribute) -> None:
    """Load what a reference names for many records: at most one statement for each root that its targets have."""
    wanted = [(instance, record_id) for instance in instances if (record_id := getattr(instance, reference.key))]
    if not wanted:
        return
    found: dict[str, Any] = {}
    for root in reference.roots(type(wanted[0][0])):
        missing = sorted({_full(record_id) for _, record_id in wanted} - found.keys())
        for start in range(0, len(missing), AT_ONCE):
            found |= _records(session, root, missing[start : start + AT_ONCE])
    inserted, transaction = session.info.get(INSERTED, 0), session.get_transaction()
    for instance, record_id in wanted:
        held = vars(instance).setdefault(HELD, {})
        held[reference.name] = Held(record_id, found.get(_full(record_id)), inserted, transaction)


def sobject_of(instance: Any, reference: ReferenceAttribute) -> str | None:
    """The sObject that a reference names: of the record, else by the key prefix; None when neither tells."""
    if (record_id := getattr(instance, reference.key)) is None:
        return None
    if len(reference.targets) == 1:
        return reference.targets[0]
    if (record := record_of(instance, reference)) is not None:
        sobject: str | None = record.__sobject__
        return sobject
    session = object_session(instance)
    return prefixes.sobject_of(session, record_id, reference.targets) if session else None


def _holds(held: Held, record_id: str, session: Session | None) -> bool:
    if held.record_id != record_id:
        return False
    if session is None:
        return True
    if held.record is None:
        is_same = held.transaction is session.get_transaction() and held.inserted == session.info.get(INSERTED, 0)
        return is_same and not session.new
    if object_session(held.record) is not session or inspect(held.record).deleted:
        return False
    return bool(vars(held.record).get("salesforce_id", _full(record_id)) == _full(record_id))


def _without_session(instance: Any, reference: ReferenceAttribute) -> None:
    """As SQLAlchemy does with its own relationships: a new object has nothing, one that lost its session says so."""
    if inspect(instance).detached:
        raise DetachedInstanceError(
            f"{type(instance).__name__}.{reference.name} was not loaded before its session ended. "
            f"Load it while the session is open: {type(instance).__name__}.{reference.name}.load(session, records)."
        )


def _others(session: Session, instance: Any, reference: ReferenceAttribute) -> list[Any]:
    """The records of the session whose reference is still to be loaded."""
    return [
        other
        for other in session.identity_map.values()
        if other is not instance
        and isinstance(other, reference.owner)
        and (record_id := vars(other).get(reference.key)) is not None
        and ((held := vars(other).get(HELD, {}).get(reference.name)) is None or not _holds(held, record_id, session))
    ]


def _records(session: Session, root: Any, ids: Sequence[str]) -> dict[str, Any]:
    """Leaf instances by ID: the columns of every class come with the one statement."""
    entity = with_polymorphic(root, "*")
    records = session.scalars(select(entity).where(entity.salesforce_id.in_(ids))).unique()
    return {record.salesforce_id: record for record in records}


def _full(record_id: str) -> str:
    """As the tables hold it; one that was just assigned may have 15 characters."""
    return to18(record_id) if len(record_id) == 15 else record_id


def watch(records: type) -> None:
    """Let go of what was loaded when a record of this class, or below it, is expired or refreshed."""
    event.listen(records, "expire", _expired, propagate=True)
    event.listen(records, "refresh", _refreshed, propagate=True)
    event.listen(records, "after_insert", _inserted, propagate=True)


def _expired(instance: Any, *_: object) -> None:
    if instance is not None:  # one that nobody holds any more is expired as well
        instance.__dict__.pop(HELD, None)


def _refreshed(instance: Any, _context: object, names: object) -> None:
    """Only when all is read anew: a part that is made of others is "refreshed" by name."""
    if names is None:
        _expired(instance)


def _inserted(_mapper: object, _connection: object, instance: Any) -> None:
    if (session := object_session(instance)) is not None:
        session.info[INSERTED] = session.info.get(INSERTED, 0) + 1
