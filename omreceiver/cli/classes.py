"""omreceiver classes: where each sObject goes."""

from __future__ import annotations

import click

from omreceiver.admin import overview
from omreceiver.app import assemble
from omreceiver.cli.output import json_option, print_rows
from omreceiver.config import Settings
from omreceiver.receive import Parts

HEADINGS = ("sobject", "class", "tables", "key", "when", "field_list", "mapped", "unmapped")


REFERENCES = ("class", "field", "relationship", "targets", "polymorphic", "attribute")


@click.command()
@click.option("--references", "only_references", is_flag=True, help="Print which field refers to which sObjects.")
@json_option
def classes(only_references: bool, as_json: bool) -> None:
    """Which sObject goes to which class and table, by which key, from which field list, and what is unmapped."""
    parts = assemble(Settings.from_environment())
    if only_references:
        _print_references(parts, as_json)
    else:
        _print_classes(parts, as_json)


def _print_references(parts: Parts, as_json: bool) -> None:
    lines = overview.references(parts)
    rows = [
        (line.name, line.field, line.relationship, list(line.targets), line.polymorphic, line.attribute)
        for line in lines
    ]
    print_rows(REFERENCES, rows, as_json=as_json)


def _print_classes(parts: Parts, as_json: bool) -> None:
    lines = overview.classes(parts)
    rows = [
        (
            line.sobject,
            line.name,
            list(line.tables),
            line.key,
            [f"{field}={value}" for field, value in line.when.items()],
            list(line.wsdls) or "what each action has sent",
            list(line.fields) if as_json else len(line.fields),
            list(line.unmapped),
        )
        for line in lines
    ]
    print_rows(HEADINGS, rows, as_json=as_json)
