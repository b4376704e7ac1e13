"""The command line: a thin skin. Each file holds one group of commands; this one gathers them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from omreceiver.cli.classes import classes
from omreceiver.cli.db import db
from omreceiver.cli.quarantine import quarantine
from omreceiver.cli.relay import relay
from omreceiver.cli.replay import replay
from omreceiver.cli.send import send
from omreceiver.cli.serve import serve
from omreceiver.cli.show import show
from omreceiver.cli.soql import soql
from omreceiver.errors import OmreceiverError

#: exit codes: 0, 1 when something fell short, and this one
WRONG_USE = 2


class Commands(click.Group):
    """Turns the package's own errors into one sentence and an exit code; a traceback is for bugs."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OmreceiverError as error:
            click.echo(f"omreceiver: {error}", err=True)
            sys.exit(WRONG_USE)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omreceiver")
def main() -> None:
    """Receives Salesforce outbound messages: records into your tables, signals into your code.

    Settings are read from the environment; see docs/settings.md.
    """
    # OMRECEIVER_MODELS names modules of the project one stands in, as with `python -m`, Flask and gunicorn
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.insert(0, str(Path.cwd()))


for command in (serve, replay, send, show, classes, soql, db, quarantine, relay):
    main.add_command(command)
