"""omreceiver replay: fixtures through the front door, in this process or of a running server; and kept messages."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from omreceiver import redo
from omreceiver.app import parts_of
from omreceiver.cli.moments import moment
from omreceiver.cli.opening import check_tables, open_app, open_parts
from omreceiver.cli.output import json_option, print_rows, with_progress
from omreceiver.errors import ConfigurationError
from omreceiver.redo import Redone, Selection
from omreceiver.store.plan import Outcome
from omreceiver.testing.replay import Case, Replayed, cases, replaying, send_to

HEADINGS = ("message", "notifications", "outcomes", "answer")
KEPT = ("message", "received_at", "sobject", "notifications", "outcomes", "answer")
WHOLE = {*KEPT} - {"outcomes", "answer"}
F = TypeVar("F", bound=Callable[..., Any])


def selectors(command: F) -> F:
    """The options that say which kept messages."""
    which = "A message's number, a notification's or a record's ID. Repeat it for several."
    came = "Only what came {} it: a date or time (UTC), or like 2h for two hours ago."
    for option in (
        click.option("--until", metavar="TIME", callback=moment, help=came.format("before")),
        click.option("--since", metavar="TIME", callback=moment, help=came.format("at or after")),
        click.option("--class", "classes", multiple=True, metavar="NAME", help="Only this sObject or mapped class."),
        click.option("--action", "actions", multiple=True, metavar="ID", help="Only what this action has sent."),
        click.option("--id", "ids", multiple=True, metavar="ID", help=which),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--url", help="Send to a running server instead of receiving in this process.")
@click.option("--raw/--live", default=None, help="What receivers get as `raw`; --raw is the default in process.")
@click.option("--kept", is_flag=True, help="Replay messages that are kept here, all or those that the options say.")
@selectors
@json_option
def replay(
    paths: tuple[Path, ...], url: str | None, raw: bool | None, kept: bool, as_json: bool, **selected: Any
) -> None:
    """Replay messages: files, case folders, or folders of them; or with --kept those that are kept here.

    Kept messages are stored again in the order in which they came; what is fresher here stays as it is. Exit code 1
    when a message is not acknowledged, or something of it is quarantined.
    """
    _check_use(paths, url, raw, kept, selected)
    if kept:
        _replay_kept(Selection(**selected), raw=raw is not False, as_json=as_json)
    messages = cases(*paths)
    answers = _sent(messages, url) if url else _received(messages, raw=raw is not False)
    done = list(with_progress(answers, len(messages), "Replaying"))
    print_rows(HEADINGS, [_row(answer) for answer in done], as_json=as_json)
    _end(all(answer.ack for answer in done), (answer.outcomes for answer in done))


def _check_use(
    paths: tuple[Path, ...], url: str | None, raw: bool | None, kept: bool, selected: Mapping[str, Any]
) -> None:
    if kept and (paths or url):
        raise click.UsageError("--kept replays what is kept here, in this process; leave out PATH and --url.")
    if not kept and any(selected.values()):
        raise click.UsageError("--id, --action, --class, --since and --until choose kept messages; say --kept too.")
    if not kept and not paths:
        raise click.UsageError("Say what: a PATH, or --kept.")
    if url and raw:
        raise click.UsageError("--raw is for a replay in this process: a running server takes every message as live.")


def _received(messages: list[Case], *, raw: bool) -> Iterator[Replayed]:
    app = open_app()
    check_tables(parts_of(app))
    return replaying(app, messages, raw=raw)


def _sent(messages: list[Case], url: str) -> Iterator[Replayed]:
    for case in messages:
        try:
            yield send_to(url, case.path.read_bytes(), case=case)
        except OSError as error:
            raise ConfigurationError(f"{url} does not answer ({error}). Is the server running?") from error


def _replay_kept(selection: Selection, *, raw: bool, as_json: bool) -> NoReturn:
    parts = check_tables(open_parts())
    try:
        chosen = redo.choose(parts, selection)
    except ValueError as error:
        raise click.UsageError(f"--id and --action take IDs, expected {error}.") from error
    for unknown in chosen.unknown:
        click.echo(f"No kept message that fits has {unknown}.", err=True)
    done: list[Redone] = []
    try:
        for each in with_progress(redo.replaying_kept(parts, chosen, raw=raw), len(chosen.numbers), "Replaying"):
            done.append(each)
    finally:
        # also when the database went away in between
        print_rows(KEPT, [_kept_row(each) for each in done], as_json=as_json, whole=WHOLE)
    is_whole = not chosen.unknown and not any(each.refusal for each in done)
    _end(is_whole, (each.outcomes for each in done))


def _end(is_whole: bool, outcomes: Iterable[Mapping[str, str]]) -> NoReturn:
    """The exit code, and where to look when something was quarantined."""
    held = sum(outcome == Outcome.QUARANTINED for each in outcomes for outcome in each.values())
    if held:
        click.echo(f"{held:,} in quarantine: `omreceiver quarantine list` tells why.", err=True)
    sys.exit(0 if is_whole and not held else 1)


def _row(answer: Replayed) -> tuple[object, ...]:
    return answer.case.name, *_counted(answer.outcomes), verdict(answer)


def _kept_row(each: Redone) -> tuple[object, ...]:
    said = "stored" if each.refusal is None else f"refused: {each.refusal}"
    return each.kept.number, each.kept.received_at, each.kept.sobject, *_counted(each.outcomes), said


def _counted(outcomes: Mapping[str, str]) -> tuple[int | None, list[str]]:
    counted = Counter(outcomes.values())
    return sum(counted.values()) or None, [f"{count} {outcome}" for outcome, count in counted.items()]


def verdict(answer: Replayed) -> str:
    """What Salesforce would see: ack, or why there is none."""
    return "ack" if answer.ack else f"HTTP {answer.status}: {answer.fault or 'no ack'}"
