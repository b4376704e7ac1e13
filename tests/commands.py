"""Every command of the command line, for tests that ask something of all of them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from omreceiver.cli import main


def all_commands(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """(its words after the program's name, the command); a group before what is in it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        each, line = group.get_command(context, name), f"{before} {name}".strip()
        assert each is not None
        yield line, each
        if isinstance(each, click.Group):
            yield from all_commands(each, line)
