"""Signals: Django's words on blinker. What a receiver gets, when it runs, and what happens when it raises.

`pre_save`, `post_save`, `pre_delete` and `post_delete` run inside the transaction of the message, `committed` after its
commit. All send:

    sender         the leaf class of the record
    instance       the record; see each signal for what it may be used for
    created        True when the record is new here
    deleted        True when it was deleted in Salesforce: then `changed` holds the last values as old, and None as new
    changed        {attribute: Change(old, new)} of what this message changed; old is None for a new record
    update_fields  the names in `changed`, as a frozenset
    raw            True in a replay of fixtures, as in Django's loaddata
    message        the Message it came with
    session        a SQLAlchemy Session; see each signal

An unchanged, stale or duplicate record sends nothing.
"""

from __future__ import annotations

from omreceiver.signals.listening import NOT_TOLD, Change, Receiver, Sent, is_heard_as, named
from omreceiver.signals.recording import Recorded, recording
from omreceiver.signals.signal import Signal

__all__ = [
    "DELETES",
    "NOT_TOLD",
    "OF_CHANGES",
    "OF_MESSAGES",
    "OF_RECORDS",
    "SAVES",
    "Change",
    "Receiver",
    "Recorded",
    "Sent",
    "Signal",
    "committed",
    "is_heard_as",
    "message_received",
    "message_refused",
    "named",
    "notification_quarantined",
    "post_delete",
    "post_save",
    "pre_delete",
    "pre_save",
    "recording",
    "reference_resolved",
]

#: what is sent of a record beside its class
RECORD = ("instance", "created", "deleted", "changed", "update_fields", "raw", "message", "session")

pre_save = Signal(
    "pre_save",
    """Before a record is written, inside the transaction.

    `instance` is a transient object with the values about to be written; what a receiver sets on it is written
    with them. Raise to keep the record out: its notification goes to quarantine, its neighbours are stored.
    """,
    RECORD,
)

post_save = Signal(
    "post_save",
    """After a record is written, inside the transaction.

    `instance` is loaded in `session`: set its attributes, add others, query; all of it commits or rolls back with
    the record. A receiver that raises sends the notification to quarantine. A message may be tried again after a
    deadlock or a raise, so what must not happen twice belongs into `committed`.
    """,
    RECORD,
)

pre_delete = Signal(
    "pre_delete",
    """Before a record that was deleted in Salesforce is removed or marked, inside the transaction.

    `instance` is loaded in `session`, with the last values. Raise to keep the record: its notification goes to
    quarantine.
    """,
    RECORD,
)

post_delete = Signal(
    "post_delete",
    """After a record was removed or marked, inside the transaction.

    `instance` has the last values; it is detached, as its rows may be gone.
    """,
    RECORD,
)

committed = Signal(
    "committed",
    """After the commit, robustly: a receiver that raises is logged and stops nobody. It tells of saves and of deletes:
    `deleted` says which.

    `instance` is loaded and detached. `session` is a fresh one for each receiver, committed when
    it returns and rolled back when it raises.
    """,
    RECORD,
)

reference_resolved = Signal(
    "reference_resolved",
    """After the commit, robustly as `committed`: a record arrived that another one's reference named already.

    `sender` and `instance` are the record that waited, loaded and detached; `reference` is the attribute, "who";
    `target` is the record that arrived; `raw`, `message` and `session` as in `committed`.
    """,
    {"instance", "reference", "target", "raw", "message", "session"},
)

message_received = Signal(
    "message_received",
    """A message was let in and nothing of it is stored yet. Robustly: a receiver that raises is logged and stops
    nobody.

    `sender` is the name of its sObject, "Account".
    """,
    {"message", "raw"},
)

message_refused = Signal(
    "message_refused",
    """A message was refused: it was not let in, or could not be read. Robustly.

    `sender` is the class of the error, such as `errors.NotAdmitted`, a receiver of `errors.Refusal` hears them all;
    `error` says why.
    """,
    {"error"},
)

notification_quarantined = Signal(
    "notification_quarantined",
    """After the commit, robustly as `committed`: a notification went to quarantine, and its neighbours did not.

    `sender` is the name of its sObject, "Account"; `error` says why, and `error.__cause__` is what a receiver raised.
    """,
    {"notification", "error", "message", "raw", "session"},
)

#: what is sent of a record that is saved, of one that is deleted, and of both, in the order in which it is sent
SAVES = (pre_save, post_save, committed)
DELETES = (pre_delete, post_delete, committed)
OF_CHANGES = (pre_save, post_save, pre_delete, post_delete, committed)
OF_RECORDS = (*OF_CHANGES, reference_resolved)
OF_MESSAGES = (message_received, message_refused, notification_quarantined)
