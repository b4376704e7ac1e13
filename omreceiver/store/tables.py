"""The book-keeping tables, all prefixed om_. Their migrations are in migrations/; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table

from omreceiver.records.columns import CHARSET, ExactString, Json, LongBinary, LongText, UTCDateTime
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
    Column("sobject", ExactString(80)),
    Column("wsdl", ExactString(255)),
    Column("raw", Boolean(), nullable=False),
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
    Column("message_id", BigInteger(), nullable=False),
    Column("record_id", ExactString(18)),
    Column("outcome", ExactString(12), nullable=False),
    **CHARSET,
)

#: what could not be stored, kept whole
quarantine = Table(
    "om_quarantine",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("quarantined_at", UTCDateTime(), nullable=False),
    Column("organization_id", ExactString(18), nullable=False),
    Column("notification_id", ExactString(18), nullable=False, index=True),
    Column("message_id", BigInteger(), nullable=False),
    Column("action_id", ExactString(18), nullable=False),
    Column("sobject", ExactString(80)),
    Column("record_id", ExactString(18)),
    Column("error", ExactString(80), nullable=False),
    Column("reason", LongText, nullable=False),
    Column("traceback", LongText),
    Column("fragment", LongText, nullable=False),
    **CHARSET,
)

#: the fields that an action without a WSDL has ever sent
action = Table(
    "om_action",
    metadata,
    Column("organization_id", ExactString(18), primary_key=True),
    Column("action_id", ExactString(18), primary_key=True),
    Column("sobject", ExactString(80)),
    Column("fields", Json, nullable=False),
    Column("seen_at", UTCDateTime(), nullable=False),
    **CHARSET,
)

#: one row a change that a durable receiver waits for, written in the record's own transaction
event = Table(
    "om_event",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("created_at", UTCDateTime(), nullable=False),
    Column("message_id", BigInteger(), nullable=False),
    Column("notification_id", ExactString(18), nullable=False),
    Column("child_name", ExactString(80), nullable=False),
    Column("external_id", ExactString(255), nullable=False),
    Column("created", Boolean(), nullable=False),
    Column("raw", Boolean(), nullable=False),
    Column("changed", Json, nullable=False),
    **CHARSET,
)

#: one row an event and receiver; `due_at` is NULL when there is nothing left to do
delivery = Table(
    "om_delivery",
    metadata,
    Column("event_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("receiver", ExactString(80), primary_key=True),
    Column("due_at", UTCDateTime(), index=True),
    Column("delivered_at", UTCDateTime()),
    Column("attempts", Integer(), nullable=False),
    Column("error", LongText),
    **CHARSET,
)
