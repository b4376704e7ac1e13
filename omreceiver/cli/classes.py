"""omreceiver classes: where each sObject goes, and what tells the field list of each action."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from omreceiver.admin import overview
from omreceiver.admin.actions import ActionLine, actions
from omreceiver.admin.overview import ClassLine
from omreceiver.app import assemble
from omreceiver.cli.output import json_option, print_json, print_rows
from omreceiver.config import Settings
from omreceiver.receive import Parts

CLASSES = ("sobject", "class", "tables", "key", "when", "field_list", "mapped", "unmapped")
REFERENCES = ("class", "field", "relationship", "targets", "polymorphic", "attribute")
ACTIONS = ("sobject", "action", "field_list", "by", "fields", "sent_but_not_listed", "last_new", "organization")
#: what of these fits a terminal of 100 columns
NARROW = ACTIONS[:-1]
WHOLE = {"action", "last_new"}


@click.command()
@click.option("--references", "only_references", is_flag=True, help="Print which field refers to which sObjects.")
@click.option("--actions", "only_actions", is_flag=True, help="Print only the actions and their field lists.")
@json_option
def classes(only_references: bool, only_actions: bool, as_json: bool) -> None:
    """Which sObject goes to which class and table, by which key, from which field list, and what is unmapped.

    Below, each action that has sent something: what tells its field list, and what it sent that the list does not
    select, which means that the WSDL is old. Without a database only the classes.
    """
    if only_references and only_actions:
        raise click.UsageError("--references and --actions exclude each other.")
    parts = assemble(Settings.from_environment())
    click.get_current_context().call_on_close(parts.engine.dispose)
    if only_references:
        _print_references(parts, as_json)
        return
    seen = _actions(parts)
    if only_actions:
        _print_actions(seen, as_json)
    elif as_json:
        print_json([_class(line, seen) for line in overview.classes(parts)])
    else:
        print_rows(CLASSES, [_class_row(line) for line in overview.classes(parts)], as_json=False)
        if seen:
            click.echo()
            _print_actions(seen, as_json=False)


def _actions(parts: Parts) -> list[ActionLine]:
    """Every action that has sent something; none, and a sentence, when the database does not tell."""
    file = parts.engine.url.database if parts.engine.dialect.name == "sqlite" else None
    try:
        # SQLite would make the file
        if file and not file.startswith("file:") and not Path(file).exists():
            return _no_actions(f"there is no {file} yet")
        with parts.engine.connect() as connection:
            return actions(connection, parts)
    except SQLAlchemyError as error:
        return _no_actions(f"the database is away or has no tables ({type(error).__name__}): `omreceiver db check`")


def _no_actions(reason: str) -> list[ActionLine]:
    click.echo(f"Without the actions: {reason}.", err=True)
    return []


def _print_references(parts: Parts, as_json: bool) -> None:
    lines = overview.references(parts)
    rows = [
        (line.name, line.field, line.relationship, list(line.targets), line.polymorphic, line.attribute)
        for line in lines
    ]
    print_rows(REFERENCES, rows, as_json=as_json)


def _print_actions(lines: list[ActionLine], as_json: bool) -> None:
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    rows = [
        (
            line.sobject,
            line.action_id,
            line.source,
            line.because,
            len(line.fields),
            list(line.drift),
            line.last_new,
            line.organization_id,
        )
        for line in lines
    ]
    headings = NARROW if sys.stdout.isatty() else ACTIONS
    print_rows(headings, [row[: len(headings)] for row in rows], as_json=False, whole=WHOLE)


def _class(line: ClassLine, seen: list[ActionLine]) -> dict[str, object]:
    """Everything about a class, with the actions of its sObject."""
    mine = [asdict(action) for action in seen if action.sobject == line.sobject]
    row = dict(zip(CLASSES, _class_row(line), strict=True))
    return row | {"mapped": list(line.fields), "actions": mine}


def _class_row(line: ClassLine) -> tuple[object, ...]:
    return (
        line.sobject,
        line.name,
        list(line.tables),
        line.key,
        [f"{field}={value}" for field, value in line.when.items()],
        list(line.wsdls) or "what each action has sent",
        len(line.fields),
        list(line.unmapped),
    )
