"""Delivery: what the ledger tells of a notification, quarantine that is settled, actions, deleted records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omreceiver.records.columns import CHARSET, ExactString, Json, LongText, UTCDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("om_message", sa.Column("again", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("om_notification", sa.Column("repeats", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("om_notification", sa.Column("detail", Json))
    op.create_index("ix_om_notification_message_id", "om_notification", ["message_id"])
    op.create_index("ix_om_notification_record_id", "om_notification", ["record_id"])
    _upgrade_quarantine()
    # what it held was the field lists of some actions, and is learned again
    op.drop_table("om_action")
    op.create_table(
        "om_action",
        sa.Column("organization_id", ExactString(18), nullable=False),
        sa.Column("action_id", ExactString(18), nullable=False),
        sa.Column("sobject", ExactString(80), nullable=False),
        sa.Column("first", sa.Boolean()),
        sa.Column("wsdl", ExactString(255)),
        sa.Column("fields", Json, nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "action_id", "sobject", name="pk_om_action"),
        sa.UniqueConstraint("organization_id", "sobject", "first", name="uq_om_action_first"),
        **CHARSET,
    )
    op.create_table(
        "om_tombstone",
        sa.Column("salesforce_id", ExactString(18), nullable=False),
        sa.Column("organization_id", ExactString(18), nullable=False),
        sa.Column("deleted_at", UTCDateTime()),
        sa.Column("displaced_at", UTCDateTime()),
        sa.Column("told_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("salesforce_id", "organization_id", name="pk_om_tombstone"),
        **CHARSET,
    )
    op.create_index("ix_om_tombstone_told_at", "om_tombstone", ["told_at"])
    op.add_column("om_event", sa.Column("deleted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_om_event_notification_id", "om_event", ["notification_id"])
    op.create_index("ix_om_event_message_id", "om_event", ["message_id"])
    op.add_column("om_delivery", sa.Column("record_id", ExactString(18)))
    waiting = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_om_delivery_in_order",
        "om_delivery",
        ["record_id", "receiver", "event_id", "due_at"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.drop_index("ix_om_delivery_due_at", "om_delivery")
    op.create_index("ix_om_delivery_due_at", "om_delivery", ["due_at", "event_id"])
    op.create_index("ix_om_delivery_delivered_at", "om_delivery", ["delivered_at"])


def _upgrade_quarantine() -> None:
    op.add_column("om_quarantine", sa.Column("head", LongText))
    op.add_column("om_quarantine", sa.Column("wsdl", ExactString(255)))
    op.add_column("om_quarantine", sa.Column("raw", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("om_quarantine", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("om_quarantine", sa.Column("settled_at", UTCDateTime()))
    op.add_column("om_quarantine", sa.Column("outcome", ExactString(12)))
    op.create_index("ix_om_quarantine_settled_at", "om_quarantine", ["settled_at"])


def downgrade() -> None:
    op.drop_index("ix_om_delivery_delivered_at", "om_delivery")
    op.drop_index("ix_om_delivery_in_order", "om_delivery")
    op.drop_index("ix_om_delivery_due_at", "om_delivery")
    op.create_index("ix_om_delivery_due_at", "om_delivery", ["due_at"])
    op.drop_column("om_delivery", "record_id")
    op.drop_index("ix_om_event_message_id", "om_event")
    op.drop_index("ix_om_event_notification_id", "om_event")
    op.drop_column("om_event", "deleted")
    op.drop_table("om_tombstone")
    op.drop_index("ix_om_quarantine_settled_at", "om_quarantine")
    for column in ("outcome", "settled_at", "attempts", "raw", "wsdl", "head"):
        op.drop_column("om_quarantine", column)
    op.drop_index("ix_om_notification_record_id", "om_notification")
    op.drop_index("ix_om_notification_message_id", "om_notification")
    for column in ("detail", "repeats"):
        op.drop_column("om_notification", column)
    op.drop_column("om_message", "again")
