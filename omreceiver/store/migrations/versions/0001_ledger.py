"""The ledger: om_message, om_notification, om_quarantine, om_action."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omreceiver.records.columns import CHARSET, ExactString, Json, LongBinary, LongText, UTCDateTime
from omreceiver.store.tables import RowNumber

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "om_message",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("organization_id", ExactString(18), nullable=False),
        sa.Column("action_id", ExactString(18), nullable=False),
        sa.Column("sobject", ExactString(80)),
        sa.Column("wsdl", ExactString(255)),
        sa.Column("raw", sa.Boolean(), nullable=False),
        sa.Column("outcomes", Json, nullable=False),
        sa.Column("body", LongBinary),
        sa.PrimaryKeyConstraint("id", name="pk_om_message"),
        **CHARSET,
    )
    op.create_index("ix_om_message_received_at", "om_message", ["received_at"])
    op.create_table(
        "om_notification",
        sa.Column("notification_id", ExactString(18), nullable=False),
        sa.Column("organization_id", ExactString(18), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", ExactString(18)),
        sa.Column("outcome", ExactString(12), nullable=False),
        sa.PrimaryKeyConstraint("notification_id", "organization_id", name="pk_om_notification"),
        **CHARSET,
    )
    op.create_table(
        "om_quarantine",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("quarantined_at", UTCDateTime(), nullable=False),
        sa.Column("organization_id", ExactString(18), nullable=False),
        sa.Column("notification_id", ExactString(18), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("action_id", ExactString(18), nullable=False),
        sa.Column("sobject", ExactString(80)),
        sa.Column("record_id", ExactString(18)),
        sa.Column("error", ExactString(80), nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("traceback", LongText),
        sa.Column("fragment", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_om_quarantine"),
        **CHARSET,
    )
    op.create_index("ix_om_quarantine_notification_id", "om_quarantine", ["notification_id"])
    op.create_table(
        "om_action",
        sa.Column("organization_id", ExactString(18), nullable=False),
        sa.Column("action_id", ExactString(18), nullable=False),
        sa.Column("sobject", ExactString(80)),
        sa.Column("fields", Json, nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "action_id", name="pk_om_action"),
        **CHARSET,
    )


def downgrade() -> None:
    for table in ("om_action", "om_quarantine", "om_notification", "om_message"):
        op.drop_table(table)
