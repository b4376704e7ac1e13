"""omreceiver db: the tables."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.errors import ChecksFailed
from omreceiver.receive import Parts
from omreceiver.store import prune as store_prune
from omreceiver.store import upgrade as store_upgrade


@click.group()
def db() -> None:
    """Create, upgrade, check and prune the tables."""


@db.command()
def create() -> None:
    """Create the tables that are missing. Nothing is dropped; running it again does nothing."""
    _upgrade()


@db.command()
def upgrade() -> None:
    """Bring the om_ tables to the newest revision; create missing tables; add missing columns to built classes."""
    _upgrade()


def _upgrade() -> None:
    parts = open_parts()
    done = store_upgrade.upgrade(parts.engine, parts.models)
    for table in done.tables:
        click.echo(f"created {table.name}")
    for table, column in done.columns_to_add:
        click.echo(f"added {table.name}.{column.name}")
    if done.revision:
        click.echo("upgraded the om_ tables")
    if not done:
        click.echo("nothing to do")
    _report(parts)


@db.command()
def check() -> None:
    """Check the classes, then compare the database with them. Exit code 1 when something is wrong or missing, with
    the cure for each.
    """
    try:
        parts = open_parts()
    except ChecksFailed as failed:
        for finding in failed.findings:
            click.echo(str(finding), err=True)
        sys.exit(1)
    if _report(parts):
        click.echo("all tables and columns are there")


def _report(parts: Parts) -> bool:
    missing = store_upgrade.missing(parts.engine, parts.models)
    for sentence in missing.sentences():
        click.echo(sentence, err=True)
    if missing:
        sys.exit(1)
    return True


@db.command()
def prune() -> None:
    """Remove the raw messages that are older than OMRECEIVER_KEEP_MESSAGES. The ledger stays."""
    parts = check_tables(open_parts(), ledger_only=True)
    before = datetime.now(UTC) - parts.settings.keep_messages
    click.echo(f"removed the bodies of {store_prune.prune_bodies(parts.engine, before):,} messages")
