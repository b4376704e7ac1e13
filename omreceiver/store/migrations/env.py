"""Alembic's entry: runs the chain of the om_ tables on the connection that upgrade.py hands over."""

from __future__ import annotations

from alembic import context

from omreceiver.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="om_alembic_version",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
