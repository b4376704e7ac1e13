"""Events for durable receivers: om_event, om_delivery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omreceiver.records.columns import CHARSET, ExactString, Json, LongText, UTCDateTime
from omreceiver.store.tables import RowNumber

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "om_event",
        sa.Column("id", RowNumber, autoincrement=True, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("notification_id", ExactString(18), nullable=False),
        sa.Column("child_name", ExactString(80), nullable=False),
        sa.Column("external_id", ExactString(255), nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
        sa.Column("raw", sa.Boolean(), nullable=False),
        sa.Column("changed", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_om_event"),
        **CHARSET,
    )
    op.create_table(
        "om_delivery",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("receiver", ExactString(80), nullable=False),
        sa.Column("due_at", UTCDateTime()),
        sa.Column("delivered_at", UTCDateTime()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", LongText),
        sa.PrimaryKeyConstraint("event_id", "receiver", name="pk_om_delivery"),
        **CHARSET,
    )
    op.create_index("ix_om_delivery_due_at", "om_delivery", ["due_at"])


def downgrade() -> None:
    for table in ("om_delivery", "om_event"):
        op.drop_table(table)
