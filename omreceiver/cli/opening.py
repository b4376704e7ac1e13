"""Opens what a command works with, says what is not there before work begins, and closes it with the command."""

from __future__ import annotations

import click
from flask import Flask

from omreceiver.app import assemble, create_app, parts_of
from omreceiver.config import Settings
from omreceiver.errors import ConfigurationError
from omreceiver.receive import Parts
from omreceiver.store.database import check_reachable
from omreceiver.store.upgrade import missing


def open_parts() -> Parts:
    """The parts of a receiver whose database answers. Raises DatabaseUnreachable when it does not."""
    return _opened(assemble(Settings.from_environment()))


def open_app() -> Flask:
    """A receiver whose database answers; its tables may be missing. Raises DatabaseUnreachable."""
    app = create_app()
    _opened(parts_of(app))
    return app


def check_tables(parts: Parts, *, ledger_only: bool = False) -> Parts:
    """The same parts. Raises ConfigurationError when a table or a column that they need is missing."""
    found = missing(parts.engine, parts.models)
    sentences = found.sentences() if found.revision or not ledger_only else []
    if sentences:
        more = f" ({len(sentences) - 1} more: `omreceiver db check`)" if len(sentences) > 1 else ""
        raise ConfigurationError(sentences[0] + more)
    return parts


def _opened(parts: Parts) -> Parts:
    click.get_current_context().call_on_close(parts.engine.dispose)
    check_reachable(parts.engine)
    return parts
