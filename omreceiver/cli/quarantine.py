"""omreceiver quarantine: what could not be stored, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import click

from omreceiver import redo
from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import (
    Facts,
    json_option,
    plain,
    plain_lines,
    print_facts,
    print_json,
    print_rows,
    with_progress,
)
from omreceiver.receive import Parts
from omreceiver.store import quarantine as store_quarantine
from omreceiver.store.quarantine import Entry, Wanted

#: what fits a terminal of 100 columns with every ID in one piece
SHORT = ("number", "quarantined_at", "sobject", "record_id", "reason")
LONG = (
    *("number", "quarantined_at", "sobject", "record_id", "notification_id", "error", "reason"),
    *("attempts", "settled_at", "outcome"),
)
FACTS = (
    *("number", "quarantined_at", "organization_id", "action_id", "message_id", "wsdl", "raw"),
    *("sobject", "record_id", "notification_id", "error", "reason", "attempts"),
)
RESULTS = ("number", "sobject", "record_id", "outcome", "reason")
WHOLE = {*LONG} - {"reason"}
F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def quarantine() -> None:
    """Look at what could not be stored; store it when its cause is mended, or drop it."""


def filters(command: F) -> F:
    """The options that say which entries."""
    named = click.option("--class", "name", metavar="NAME", help="Only of this sObject or mapped class.")
    said = click.option(
        "--reason", default="", metavar="TEXT", help="Only with this in the reason or the error's name."
    )
    return named(said(command))


def numbers(command: F) -> F:
    """Numbers, the options, or all: something must be said where something is changed."""
    given = click.argument("numbers", nargs=-1, type=click.IntRange(1), metavar="[NUMBER]...")
    everything = click.option("--all", "everything", is_flag=True, help="Everything that is in quarantine.")
    return given(filters(everything(command)))


@quarantine.command("list")
@filters
@click.option("--all", "with_settled", is_flag=True, help="Also those that were retried with success, or dropped.")
@json_option
def list_all(name: str | None, reason: str, with_settled: bool, as_json: bool) -> None:
    """The notifications in quarantine, newest first, with the reason."""
    parts = check_tables(open_parts(), ledger_only=True)
    found = redo.entries(parts, Wanted(reason=reason, is_open=not with_settled), name, newest_first=True)
    narrow = (*SHORT, "outcome") if with_settled else SHORT
    headings = narrow if sys.stdout.isatty() and not as_json else LONG
    print_rows(headings, [_facts(entry, headings) for entry in found], as_json=as_json, whole=WHOLE)


def _facts(entry: Entry, names: Sequence[str]) -> list[object]:
    return [getattr(entry, name) for name in names]


@quarantine.command()
@click.argument("number", type=int)
@json_option
def show(number: int, as_json: bool) -> None:
    """One notification: why it is here, what became of it, its XML. Exit code 1 when there is none of that number."""
    entry = store_quarantine.entry(check_tables(open_parts(), ledger_only=True).engine, number)
    if entry is None:
        click.echo(f"There is no number {number} in quarantine.", err=True)
        sys.exit(1)
    if as_json:
        print_json(asdict(entry))
        return
    known: Facts = [(name.replace("_", " "), getattr(entry, name)) for name in FACTS]
    print_facts([*known, ("became", _became(entry))])
    for text in filter(None, (entry.head, entry.fragment, entry.traceback)):
        click.echo(f"\n{plain_lines(text)}")


def _became(entry: Entry) -> str:
    return f"{plain(entry.outcome)}, {plain(entry.settled_at)}" if entry.settled_at else "open"


@quarantine.command()
@numbers
@json_option
def retry(numbers: tuple[int, ...], name: str | None, reason: str, everything: bool, as_json: bool) -> None:
    """Store them as if they had just come: by number, --class, --reason or --all.

    What a newer message has set since stays. What fails again stays in quarantine, with the new reason: exit code 1.
    """
    wanted = _wanted(numbers, name, reason, everything)
    parts = check_tables(open_parts())
    rest = _tell_missing(parts, wanted)
    done: list[list[object]] = []
    fell_short = rest.numbers != wanted.numbers
    try:
        found = redo.entries(parts, rest, name)
        total = store_quarantine.count(parts.engine, rest)
        for retried in with_progress(redo.retry(parts, found), total, "Retrying"):
            fell_short = fell_short or not retried.is_settled
            done.append([*_facts(retried.entry, RESULTS[:3]), retried.outcome, retried.reason])
    finally:
        # also when the database went away in between
        print_rows(RESULTS, done, as_json=as_json, whole=WHOLE)
    sys.exit(1 if fell_short else 0)


@quarantine.command()
@numbers
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def drop(numbers: tuple[int, ...], name: str | None, reason: str, everything: bool, yes: bool, as_json: bool) -> None:
    """Give them up: by number, --class, --reason or --all. They are kept as a trace for a while, and never stored.

    Asks at a terminal; elsewhere --yes is needed.
    """
    wanted = _wanted(numbers, name, reason, everything)
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("This gives notifications up for good. Say --yes.")
    parts = check_tables(open_parts(), ledger_only=True)
    rest = _tell_missing(parts, wanted)
    found = list(redo.entries(parts, rest, name))
    if found and not yes:
        click.confirm(f"Drop {len(found):,} of what is in quarantine?", abort=True, err=True)
    store_quarantine.drop(parts.engine, [entry.number for entry in found])
    rows = [[*_facts(entry, RESULTS[:3]), store_quarantine.DROPPED, entry.reason] for entry in found]
    print_rows(RESULTS, rows, as_json=as_json, whole=WHOLE)
    sys.exit(0 if rest.numbers == wanted.numbers else 1)


def _wanted(numbers: Iterable[int], name: str | None, reason: str, everything: bool) -> Wanted:
    said = bool(numbers or name or reason)
    if said == everything:
        raise click.UsageError("Say which: numbers, --class, --reason, or --all alone.")
    return Wanted(frozenset(numbers) or None, reason=reason)


def _tell_missing(parts: Parts, wanted: Wanted) -> Wanted:
    """Without the numbers that are not there or are settled, each told in a sentence."""
    if wanted.numbers is None:
        return wanted
    here = Wanted(wanted.numbers, is_open=False)
    known = {entry.number: entry for entry in store_quarantine.entries(parts.engine, here)}
    for number in sorted(wanted.numbers):
        if number not in known:
            click.echo(f"There is no number {number} in quarantine.", err=True)
        elif known[number].settled_at:
            click.echo(f"Number {number} is settled: {_became(known[number])}.", err=True)
    there = {number for number, entry in known.items() if not entry.settled_at}
    return replace(wanted, numbers=frozenset(there))
