"""omreceiver db: the tables."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

import click

from omreceiver import redo
from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import json_option, print_json, print_rows, progress, with_progress
from omreceiver.errors import ChecksFailed
from omreceiver.receive import Parts
from omreceiver.store import parting
from omreceiver.store import prune as store_prune
from omreceiver.store import upgrade as store_upgrade
from omreceiver.store.comparing import Comparison
from omreceiver.store.differences import What
from omreceiver.store.partitions import Doing, Step

STEPS = ("what", "table", "partition", "since", "until", "why")
DIFFERENCES = ("class", "record_id", "external_id", "what", "column", "there", "rebuilt")
#: how many times as long as a step of pruning the rest after it is
REST = 3
T = TypeVar("T")
WHOLE = {"class", "record_id", "what", "column"}


@click.group()
def db() -> None:
    """Create, upgrade, check, prune, part and rebuild the tables."""


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
@json_option
def prune(as_json: bool) -> None:
    """Remove what is older than it has to be. Run it daily; receiving goes on beside it.

    Raw messages go after OMRECEIVER_KEEP_MESSAGES. After OMRECEIVER_KEEP_LEDGER go the lines of the ledger with their
    messages, what was settled in quarantine, tombstones, and events that every durable receiver has had. What is
    open in quarantine stays.
    """
    parts = check_tables(open_parts(), ledger_only=True)
    limits = store_prune.Limits.of(parts.settings, datetime.now(UTC))
    removed: Counter[str] = Counter()
    try:
        with progress(store_prune.due(parts.engine, limits), "Pruning") as advance:
            for step in _unhurried(store_prune.prune(parts.engine, limits)):
                removed.update(step)
                advance(step.total() - step["notifications"] - step["deliveries"])
    finally:
        # also when the database went away in between
        print_rows(store_prune.KINDS, [[removed[kind] for kind in store_prune.KINDS]], as_json=as_json)


def _unhurried(steps: Iterator[T]) -> Iterator[T]:
    """The same, with a rest after each that is longer than it took: who receives meanwhile wants the disk and the
    processors too. Without it pruning costs them a quarter.
    """
    begin = time.monotonic()
    for step in steps:
        yield step
        time.sleep(REST * (time.monotonic() - begin))
        begin = time.monotonic()


@db.command()
@click.option("--ahead", default=2, show_default=True, type=click.IntRange(1, 60), help="Months to make in advance.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@json_option
def partition(ahead: int, dry_run: bool, as_json: bool) -> None:
    """Part messages, the ledger and events by month, on PostgreSQL; make the months to come, drop those that are old.

    Run it daily beside `db prune`. The first run takes the tables as they are for the first partition: nothing is
    copied, and messages wait. A month goes OMRECEIVER_KEEP_LEDGER after its end, unless something of it is open in
    quarantine or still to be delivered; until then the plan says `keep`, and why.
    """
    parts = check_tables(open_parts(), ledger_only=True)
    now = datetime.now(UTC)
    planned = parting.steps(parts.engine, store_prune.Limits.of(parts.settings, now), now, ahead)
    done: list[Step] = []
    try:
        for step in planned:
            if not dry_run and step.doing is not Doing.KEEP:
                parting.do(parts.engine, step)
            done.append(step)
    finally:
        # also when a table could not be locked in time
        print_rows(STEPS, [_step(step) for step in done], as_json=as_json)


def _step(step: Step) -> list[object]:
    one = step.partition
    return [str(step.doing), one.table.name, one.name, one.since, one.until, step.why]


@db.command()
@click.option("--write", is_flag=True, help="Bring the tables to what the messages give. Asks at a terminal.")
@click.option("--yes", is_flag=True, help="With --write: do not ask.")
@json_option
def rebuild(write: bool, yes: bool, as_json: bool) -> None:
    """Build the records anew from kept messages, beside the tables, and print what differs. Exit code 1 when something
    does.

    Receivers do not run, so what they changed of a record differs. Left alone are columns of your own, records that are
    fresher in the tables, and records that no kept message names. What is in quarantine stays out.
    """
    if write and not yes and not sys.stdin.isatty():
        raise click.UsageError("This writes to your tables. Say --yes.")
    parts = check_tables(open_parts())
    with redo.rebuilding(parts) as rebuilt:
        for _ in with_progress(rebuilt.play(), rebuilt.total, "Playing"):
            pass
        found = rebuilt.compare()
        _tell(rebuilt, found)
        if found.differences and not as_json:
            print_rows(DIFFERENCES, _rows(found), as_json=False, whole=WHOLE)
        is_written = write and bool(found.differences)
        if is_written and not yes:
            click.confirm(f"Write {len(found.differences):,} records?", abort=True, err=True)
        written = rebuilt.write(found) if is_written else found
    if as_json:
        print_json(_as_object(rebuilt, written, is_written))
    if is_written:
        click.echo(f"Written: {len(written.differences):,}.", err=True)
    sys.exit(1 if found.differences and not is_written else 0)


def _tell(rebuilt: redo.Rebuild, found: Comparison) -> None:
    """What was done, in a sentence."""
    compared = f"Records that differ: {len(found.differences):,}; equal: {found.equal:,}"
    alone = f"fresher here: {found.fresher:,}; without a kept message: {found.unnamed:,}"
    click.echo(f"Kept messages: {len(rebuilt.played):,}. {compared}; {alone}.", err=True)
    if rebuilt.lost:
        click.echo(f"Left out, as they cannot be stored any more: {rebuilt.lost:,} notifications.", err=True)


def _rows(found: Comparison) -> Iterator[list[object]]:
    """A line a column; for a record that is missing or should be, one."""
    for each in found.differences:
        record = [each.layout.name, each.salesforce_id, each.key, str(each.what)]
        shown = each.columns() if each.what is What.DIFFERS else [("", None, None)]
        yield from ([*record, *column] for column in shown)


def _as_object(rebuilt: redo.Rebuild, found: Comparison, is_written: bool) -> dict[str, object]:
    listed = [
        {
            **{"class": each.layout.name, "record_id": each.salesforce_id, "external_id": each.key},
            "what": str(each.what),
            "columns": {name: {"there": there, "rebuilt": value} for name, there, value in each.columns()},
        }
        for each in found.differences
    ]
    counts = {"equal": found.equal, "fresher": found.fresher, "unnamed": found.unnamed, "lost": rebuilt.lost}
    return {"differences": listed, "written": is_written, "messages": len(rebuilt.played), **counts}
