"""What the ledger tells of a notification beside its outcome: a JSON object whose keys are all optional.

class, key      the leaf class and the external ID of its record afterwards
arrived, held   the stamp that came, and the one that the row had
changed         the attributes that changed; not for a new record, where it is all of them
kept            the fields that were not applied, as another action had set them later
receivers       signal → the receivers that ran
raised          receiver of `committed` → what it raised
notes           sentences
before          "quarantined", for what came out of quarantine
"""

from __future__ import annotations

from datetime import datetime

from omreceiver.records.ids import to18
from omreceiver.schema.notification import Notification
from omreceiver.signals import Receiver, committed, named
from omreceiver.signals.listening import Conditional, is_about
from omreceiver.store.plan import Settled
from omreceiver.store.saves import BOOKKEEPING, Save
from omreceiver.store.tell import Changed


def settled(change: Changed) -> Settled:
    """The outcome of a record, with what there is to tell of it."""
    arrived = _arrived(change)
    told = {
        "class": change.layout.name,
        "key": change.key,
        "arrived": arrived.isoformat() if arrived else None,
        "held": change.held.isoformat() if change.held else None,
        "receivers": _receivers(change),
        "notes": [*change.notes, *notes(change.notification)],
        **(_compared(change) if isinstance(change, Save) else {}),
    }
    shown = {name: value for name, value in told.items() if value}
    return Settled(change.notification, change.outcome, detail=shown, about=change.salesforce_id)


def _arrived(change: Changed) -> datetime | None:
    return change.row.modstamp or change.row.deleted_at if isinstance(change, Save) else change.delete.deleted_at


def _compared(save: Save) -> dict[str, list[str]]:
    """What differed; nothing for a new record, where all of it is new."""
    changed = save.touched - BOOKKEEPING if save.is_written else ()
    return {"changed": sorted(changed), "kept": sorted(save.kept)}


def _receivers(change: Changed) -> dict[str, list[str]]:
    """Those that ran in the transaction, and those of `committed`, which run as soon as it is."""
    model = change.layout.model
    heard = committed.heard_by(model) if change.is_told else ()
    changed = change.changes() if heard else {}
    after = [_called(receiver) for receiver in heard if is_about(receiver, model, changed)]
    return {**change.receivers, committed.name: after} if after else change.receivers


def _called(receiver: Receiver) -> str:
    """What `when` says is not known before the commit."""
    is_asked = isinstance(receiver, Conditional) and receiver.when is not None
    return f"{named(receiver)}, if it applies" if is_asked else named(receiver)


def notes(notification: Notification) -> list[str]:
    """What is odd about a notification and yet no reason to refuse it."""
    record_id = (notification.record_id or "").strip()
    if len(record_id) == 18 and to18(record_id[:15]) != record_id:
        return [f"The last three characters of {record_id} do not fit the others."]
    return []
