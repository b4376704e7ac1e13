"""omreceiver quarantine: what could not be stored."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import json_option, plain, plain_lines, print_json, print_rows
from omreceiver.store import quarantine as store_quarantine

HEADINGS = ("number", "quarantined_at", "sobject", "record_id", "notification_id", "error", "reason")


@click.group()
def quarantine() -> None:
    """Look at what could not be stored."""


@quarantine.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """Every notification in quarantine, newest first, with the reason."""
    entries = store_quarantine.entries(check_tables(open_parts(), ledger_only=True).engine)
    print_rows(HEADINGS, [tuple(getattr(entry, name) for name in HEADINGS) for entry in entries], as_json=as_json)


@quarantine.command()
@click.argument("number", type=int)
@json_option
def show(number: int, as_json: bool) -> None:
    """One notification: the reason, the traceback and its XML. Exit code 1 when there is none of that number."""
    entry = store_quarantine.entry(check_tables(open_parts(), ledger_only=True).engine, number)
    if entry is None:
        click.echo(f"There is no number {number} in quarantine.", err=True)
        sys.exit(1)
    if as_json:
        print_json(asdict(entry))
        return
    for name in HEADINGS:
        click.echo(f"{name.replace('_', ' ')}: {plain(getattr(entry, name))}")
    click.echo(f"\n{plain_lines(entry.fragment)}\n")
    if entry.traceback:
        click.echo(plain_lines(entry.traceback))
