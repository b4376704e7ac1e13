"""Key prefixes, learned from describes and traffic: om_key_prefix."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from omreceiver.records.columns import CHARSET, ExactString

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "om_key_prefix",
        sa.Column("prefix", ExactString(3), nullable=False),
        sa.Column("sobject", ExactString(80), nullable=False),
        sa.PrimaryKeyConstraint("prefix", "sobject", name="pk_om_key_prefix"),
        **CHARSET,
    )


def downgrade() -> None:
    op.drop_table("om_key_prefix")
