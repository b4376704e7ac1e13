"""The book-keeping tables, all prefixed om_. Their migrations are in migrations/; a test holds the two together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, UniqueConstraint, text

from omreceiver.records.columns import CHARSET, ExactString, Json, LongBinary, LongText, UTCDateTime
from omreceiver.records.prefixes import LONGEST_NAME
from omreceiver.records.prefixes import metadata as metadata

#: SQLite counts up only an INTEGER primary key
RowNumber = BigInteger().with_variant(Integer(), "sqlite")

#: one row a delivery; `body` is the notifications element without SessionId, compressed by zlib
message = Table(
    "om_message",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("received_at", UTCDateTime(), nullable=False, index=True),
    Column("organization_id", ExactString(18), nullable=False),
    Column("action_id", ExactString(18), nullable=False),
    Column("sobject", ExactString(LONGEST_NAME)),
    Column("wsdl", ExactString(255)),
    Column("raw", Boolean(), nullable=False),
    # kept here and played again: out of quarantine, or from a kept body
    Column("again", Boolean(), nullable=False),
    Column("outcomes", Json, nullable=False),
    Column("body", LongBinary),
    **CHARSET,
)

#: the ledger: one row a notification, for as long as it may come again. The ID leads its key: all rows may be of one
#: organization, and a planner that knows nothing yet would read them all
notification = Table(
    "om_notification",
    metadata,
    Column("notification_id", ExactString(18), primary_key=True),
    Column("organization_id", ExactString(18), primary_key=True),
    Column("message_id", BigInteger(), nullable=False, index=True),
    Column("record_id", ExactString(18), index=True),
    Column("outcome", ExactString(12), nullable=False),
    # how often it came again
    Column("repeats", Integer(), nullable=False, server_default="0"),
    # what was compared, changed and called; see store/detail.py
    Column("detail", Json),
    **CHARSET,
)

#: what could not be stored, kept whole. `settled_at` and `outcome` tell what became of it later; open ones have none
quarantine = Table(
    "om_quarantine",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("quarantined_at", UTCDateTime(), nullable=False),
    Column("organization_id", ExactString(18), nullable=False),
    Column("notification_id", ExactString(18), nullable=False, index=True),
    Column("message_id", BigInteger(), nullable=False),
    Column("action_id", ExactString(18), nullable=False),
    Column("sobject", ExactString(LONGEST_NAME)),
    Column("record_id", ExactString(18)),
    Column("error", ExactString(80), nullable=False),
    Column("reason", LongText, nullable=False),
    Column("traceback", LongText),
    Column("fragment", LongText, nullable=False),
    # the notifications element around it, without SessionId
    Column("head", LongText),
    Column("wsdl", ExactString(255)),
    Column("raw", Boolean(), nullable=False),
    Column("attempts", Integer(), nullable=False),
    Column("settled_at", UTCDateTime(), index=True),
    Column("outcome", ExactString(12)),
    **CHARSET,
)

#: every action that has sent something: its fields so far, and the WSDL whose URL its last message came to. It is of
#: one sObject; that two of a name meet is for fixtures, which may make up one ActionId for all. `first` is true for the
#: first action of its sObject, whose stamps need no column of their own, and NULL for all others
action = Table(
    "om_action",
    metadata,
    Column("organization_id", ExactString(18), primary_key=True),
    Column("action_id", ExactString(18), primary_key=True),
    Column("sobject", ExactString(LONGEST_NAME), primary_key=True),
    Column("first", Boolean()),
    Column("wsdl", ExactString(255)),
    Column("fields", Json, nullable=False),
    Column("seen_at", UTCDateTime(), nullable=False),
    UniqueConstraint("organization_id", "sobject", "first", name="uq_om_action_first"),
    **CHARSET,
)

#: records that are not here, lest an older message bring them back
tombstone = Table(
    "om_tombstone",
    metadata,
    Column("salesforce_id", ExactString(18), primary_key=True),
    Column("organization_id", ExactString(18), primary_key=True),
    Column("deleted_at", UTCDateTime()),
    # the stamp that it had when its place became another record's
    Column("displaced_at", UTCDateTime()),
    # when it was told here, by which it is pruned
    Column("told_at", UTCDateTime(), nullable=False, index=True),
    **CHARSET,
)

#: one row a change that a durable receiver waits for, written in the record's own transaction
event = Table(
    "om_event",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("created_at", UTCDateTime(), nullable=False),
    Column("message_id", BigInteger(), nullable=False, index=True),
    Column("notification_id", ExactString(18), nullable=False, index=True),
    Column("child_name", ExactString(80), nullable=False),
    Column("external_id", ExactString(255), nullable=False),
    Column("created", Boolean(), nullable=False),
    Column("deleted", Boolean(), nullable=False),
    Column("raw", Boolean(), nullable=False),
    Column("changed", Json, nullable=False),
    **CHARSET,
)

#: an index of what waits, where the database has such: a record's first is found without those after it
_WAITING: Any = {f"{dialect}_where": text("due_at IS NOT NULL") for dialect in ("postgresql", "sqlite")}

#: one row an event and receiver; `due_at` is NULL when there is nothing left to do
delivery = Table(
    "om_delivery",
    metadata,
    Column("event_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("receiver", ExactString(80), primary_key=True),
    Column("record_id", ExactString(18)),
    Column("due_at", UTCDateTime()),
    Column("delivered_at", UTCDateTime(), index=True),
    Column("attempts", Integer(), nullable=False),
    Column("error", LongText),
    # what is due, and what of a record and receiver must come before it
    Index("ix_om_delivery_due_at", "due_at", "event_id"),
    Index("ix_om_delivery_in_order", "record_id", "receiver", "event_id", "due_at", **_WAITING),
    **CHARSET,
)
