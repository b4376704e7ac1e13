"""How fresh a record is, by action: which fields of a message may still be applied, and what is remembered of it.

A row holds the stamp of the newest message that it has seen, `modstamp`. Where several actions send one sObject,
each has a stamp of its own in `action_stamps`, {action: ISO time}: a message that is older than the row still sets the
fields that no newer message has set, which are those that no action with a newer stamp selects. While only the first
action of an sObject has set a row, `action_stamps` is NULL and stands for {FIRST: modstamp}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from omreceiver.store.reading import FIRST, Row

#: the field list of each action of the message's sObject; asks the database
Lists = Callable[[], Mapping[str, frozenset[str]]]
Stamps = dict[str, datetime]


def stamps_of(before: Mapping[str, Any]) -> Stamps:
    """The newest stamp of each action that has set a row; empty for a row that never had one."""
    stored, modstamp = before.get("action_stamps"), before.get("modstamp")
    if stored:
        return {action: datetime.fromisoformat(text) for action, text in stored.items()}
    return {FIRST: modstamp} if modstamp else {}


def set_later(
    modstamp: datetime, stamps: Stamps, action: str, selected: frozenset[str], lists: Lists
) -> frozenset[str]:
    """The selected fields that a message newer than `modstamp` has set: all, if one of its own action is newer. Equal
    stamps are not newer: they have a precision of one second.
    """
    newer = {name for name, stamp in stamps.items() if stamp > modstamp}
    if action in newer:
        return selected
    later = (fields for name, fields in lists().items() if name in newer)
    return selected & frozenset[str]().union(*later)


def key_stamp(stamps: Stamps, field: str | None, lists: Lists) -> datetime | None:
    """Since when a row has its key: the newest stamp of the actions that select the external ID."""
    if len(stamps) < 2 or field is None:
        return max(stamps.values(), default=None)
    selecting = [stamp for name, stamp in stamps.items() if field in lists().get(name, frozenset())]
    return max(selecting, default=None)


def remembered(row: Row, stamps: Stamps, action: str) -> dict[str, Any]:
    """`modstamp` and `action_stamps` of a row after a message."""
    if row.modstamp is not None:
        stamps = {**stamps, action: max(row.modstamp, stamps.get(action, row.modstamp))}
    return stored(stamps)


def stored(stamps: Stamps) -> dict[str, Any]:
    """Stamps as the two columns of a row hold them."""
    if len(stamps) < 2 and (not stamps or FIRST in stamps):
        return {"modstamp": stamps.get(FIRST), "action_stamps": None}
    texts = {name: stamp.isoformat() for name, stamp in sorted(stamps.items())}
    return {"modstamp": max(stamps.values()), "action_stamps": texts}
