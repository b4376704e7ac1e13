"""omreceiver replay: fixtures through the front door, in this process or of a running server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from rich.progress import Progress

from omreceiver.app import parts_of
from omreceiver.cli.opening import check_tables, open_app
from omreceiver.cli.output import json_option, print_rows
from omreceiver.errors import ConfigurationError
from omreceiver.testing.replay import Case, Replayed, cases, replaying, send_to

HEADINGS = ("message", "notifications", "outcomes", "answer")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--url", help="Send to a running server instead of receiving in this process.")
@click.option("--raw/--live", default=None, help="What receivers get as `raw`; --raw is the default in process.")
@json_option
def replay(paths: tuple[Path, ...], url: str | None, raw: bool | None, as_json: bool) -> None:
    """Replay messages: files, case folders, or folders of them. Exit code 1 when one is not acknowledged."""
    if url and raw:
        raise click.UsageError("--raw is for a replay in this process: a running server takes every message as live.")
    messages = cases(*paths)
    answers = _sent(messages, url) if url else _received(messages, raw=raw is not False)
    done = list(with_progress(answers, len(messages)))
    print_rows(HEADINGS, [_row(answer) for answer in done], as_json=as_json)
    sys.exit(0 if all(answer.ack for answer in done) else 1)


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


def with_progress(answers: Iterable[Replayed], total: int) -> Iterator[Replayed]:
    """The same answers, with a bar at a terminal."""
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(answers, total=total, description="Replaying")


def _row(answer: Replayed) -> tuple[object, ...]:
    counted = Counter(answer.outcomes.values())
    shown = [f"{count} {outcome}" for outcome, count in counted.items()]
    return answer.case.name, sum(counted.values()) or None, shown, verdict(answer)


def verdict(answer: Replayed) -> str:
    """What Salesforce would see: ack, or why there is none."""
    return "ack" if answer.ack else f"HTTP {answer.status}: {answer.fault or 'no ack'}"
