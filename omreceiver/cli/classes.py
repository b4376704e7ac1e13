"""omreceiver classes: where each sObject goes."""

from __future__ import annotations

import click

from omreceiver.admin import overview
from omreceiver.app import assemble
from omreceiver.cli.output import json_option, print_rows
from omreceiver.config import Settings

HEADINGS = ("sobject", "class", "tables", "key", "when", "field_list", "mapped", "unmapped")


@click.command()
@json_option
def classes(as_json: bool) -> None:
    """Which sObject goes to which class and table, by which key, from which field list, and what is unmapped."""
    lines = overview.classes(assemble(Settings.from_environment()))
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
