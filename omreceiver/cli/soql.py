"""omreceiver soql: prints the records that a query in Salesforce's own words gives."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any

import click
from sqlalchemy.orm import Session

from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import json_option, plain_lines, print_json, print_rows
from omreceiver.queries.parameters import Expected
from omreceiver.queries.select import compile_soql
from omreceiver.records.values import as_text


@click.command()
@click.argument("query")
@click.option(
    "--bind", "pairs", multiple=True, metavar="NAME=VALUE", help="A bind variable; again for one more of a list."
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def soql(query: str, pairs: tuple[str, ...], as_json: bool, as_csv: bool) -> None:
    """Print the records that a SOQL query gives, such as "SELECT Name FROM Account WHERE Owner.Name = :owner".

    Bind variables stand for values: --bind owner=Ann. A blank value is null.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    parts = check_tables(open_parts())
    compiled = compile_soql(query, parts.models)
    values = _values(compiled.binds, pairs)
    with Session(parts.engine) as session:
        result = session.execute(compiled.statement, values)
        headings, rows = list(result.keys()), [tuple(row) for row in result]
    if as_json:
        print_json([dict(zip(headings, map(_json, row), strict=True)) for row in rows])
    elif as_csv:
        _print_csv(headings, rows)
    else:
        print_rows(headings, [list(map(_text, row)) for row in rows], as_json=False)


def _values(expected: Mapping[str, Expected], pairs: tuple[str, ...]) -> dict[str, object]:
    """Every bind variable of the query with its value, read as what it is compared with."""
    given: dict[str, list[object]] = {}
    for pair in pairs:
        name, mark, text = pair.partition("=")
        if not mark or name not in expected:
            names = ", ".join(expected) or "none"
            raise click.UsageError(f"{pair!r} is not NAME=VALUE of a bind variable of the query: {names}.")
        given.setdefault(name, []).append(_value(name, expected[name], text))
    for name, each in expected.items():
        if not each.is_list and len(given.get(name, ())) != 1:
            raise click.UsageError(f"The query has one value for :{name}. Give it once: --bind {name}=…")
    return {name: given.get(name, []) if each.is_list else given[name][0] for name, each in expected.items()}


def _value(name: str, expected: Expected, text: str) -> object:
    try:
        return expected.kind.read(text) if text else None
    except ValueError as error:
        raise click.UsageError(f"{name}={text} cannot be read, expected {expected.kind.word}.") from error


def _json(value: Any) -> object:
    if isinstance(value, Mapping):
        return {name: _json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return as_text(value) if isinstance(value, date | time | bytes | Enum) else value


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(each)}" for name, each in value.items())
    return as_text(value)


def _print_csv(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """At a terminal without what could steer it; in a file every character counts."""
    shown = plain_lines if sys.stdout.isatty() else str
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(headings)
    for row in rows:
        cells = (json.dumps(_json(value)) if isinstance(value, Mapping) else as_text(value) for value in row)
        writer.writerow([shown(cell) for cell in cells])
    # click would take escapes away from what goes into a file
    click.echo(lines.getvalue(), nl=False, color=True)
