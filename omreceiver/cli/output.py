"""How commands print: a table with colours at a terminal, plain columns in a pipe, JSON on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

COLOURS = {
    "created": "green",
    "updated": "green",
    "retyped": "green",
    "rekeyed": "green",
    "deleted": "green",
    "unchanged": "blue",
    "duplicate": "blue",
    "stale": "blue",
    "empty": "blue",
    "quarantined": "bold red",
    "refused": "bold red",
}

T = TypeVar("T")

#: (label, what it says); one that says nothing is not printed
Facts = list[tuple[str, object]]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_rows(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, as_json: bool, whole: Collection[str] = ()
) -> None:
    """Print rows under their headings; as JSON, a list of objects with the headings as keys.

    The columns `whole` are not folded at a terminal as long as the others can be.
    """
    listed = [list(row) for row in rows]
    if as_json:
        print_json([dict(zip(headings, row, strict=True)) for row in listed])
    elif sys.stdout.isatty():
        _print_table(headings, listed, whole)
    else:
        for row in [list[object](headings), *listed]:
            click.echo("\t".join(plain(value) for value in row))


def print_facts(facts: Facts) -> None:
    """Print what is known of one thing, a line each: aligned at a terminal, `label: what it says` in a pipe."""
    known = [(label, value) for label, value in facts if plain(value)]
    if not sys.stdout.isatty():
        for label, value in known:
            click.echo(f"{label}: {plain(value)}")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in known:
        table.add_row(label, _coloured(value))
    Console().print(table)


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, default=_as_json))


def _print_table(headings: Sequence[str], rows: list[list[object]], whole: Collection[str]) -> None:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading.replace("_", " "), overflow="fold", no_wrap=heading in whole)
    for row in rows:
        table.add_row(*map(_coloured, row))
    Console().print(table)


@contextmanager
def progress(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """A bar at a terminal, gone in the end; gives what moves it on by some steps."""
    with Progress(transient=True, disable=not sys.stderr.isatty(), console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)


def with_progress(each: Iterable[T], total: int, description: str) -> Iterator[T]:
    """The same, one by one, with a bar at a terminal."""
    with progress(total, description) as advance:
        for one in each:
            yield one
            advance(1)


def _coloured(value: object) -> Text:
    """A cell; outcomes have their colour, also with a count as in `3 created`."""
    parts = [plain(part) for part in (value if isinstance(value, list) else [value])]
    return Text(", ").join(Text(part, style=COLOURS.get(part.lstrip("0123456789 "), "")) for part in parts)


def plain(value: object) -> str:
    """One line of text that cannot steer a terminal: what is printed here came from outside."""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if isinstance(value, datetime):
        value = value.strftime("%Y-%m-%d %H:%M:%S")
    return "" if value is None else _printable(" ".join(str(value).split()))


def plain_lines(text: str) -> str:
    """As `plain`, with its lines and their indentation."""
    return "\n".join(_printable(line.expandtabs()) for line in text.splitlines())


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _as_json(value: object) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
