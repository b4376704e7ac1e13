"""The command line: a thin skin. Each file holds one group of commands; this one lists them and imports none."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from omreceiver.errors import OmreceiverError

#: exit codes: 0, 1 when something fell short, and this one
WRONG_USE = 2
#: command → what it does, as the command itself says first; it is in the file of its name, which is imported when it
#: is called: Flask, SQLAlchemy and Spyne take longer than `omreceiver --help` should
COMMANDS = {
    "classes": (
        "Which sObject goes to which class and table, by which key, from which field list, and what is unmapped."
    ),
    "db": "Create, upgrade, check, prune, part and rebuild the tables.",
    "quarantine": "Look at what could not be stored; store it when its cause is mended, or drop it.",
    "relay": "Call the durable receivers of OMRECEIVER_MODELS, in this process, until it is told to stop.",
    "replay": "Replay messages: files, case folders, or folders of them; or with --kept those that are kept here.",
    "send": (
        "Compose a message about one record and send it, such as `omreceiver send Account Name=Acme ERP_Id__c=A-1`."
    ),
    "serve": "Create the tables that are missing and serve.",
    "show": "Show what arrived, what became of it, and why.",
    "soql": 'Print the records that a SOQL query gives, such as "SELECT Name FROM Account WHERE Owner.Name = :owner".',
}


class Commands(click.Group):
    """Finds a command in its file. Turns the package's own errors into one sentence and an exit code; a traceback is
    for bugs.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

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
