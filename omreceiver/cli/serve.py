"""omreceiver serve: creates what is missing, then serves with gunicorn."""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from rich.console import Console

from omreceiver.app import parts_of
from omreceiver.cli.opening import open_app
from omreceiver.cli.output import with_progress
from omreceiver.errors import ConfigurationError
from omreceiver.receive import Parts
from omreceiver.store.database import open_for
from omreceiver.store.upgrade import missing, upgrade
from omreceiver.testing.replay import cases, replaying

FIXTURES = Path("fixtures")
#: seconds after which gunicorn takes a worker for dead: longer than a message may take by any OMRECEIVER_TIME_LIMIT
WORKER_TIMEOUT = 90
#: left out of the demo, for the reader to send
EXAMPLE = FIXTURES / "contact-created" / "message.xml"


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn with our settings instead of its command line."""

    def __init__(self, app: Flask, **options: Any) -> None:
        self.app = app
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        # a control socket is new in gunicorn 25
        for name in self.options.keys() & self.cfg.settings.keys():
            self.cfg.set(name, self.options[name])

    def load(self) -> Flask:
        return self.app


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Worker processes.")
@click.option("--demo", is_flag=True, help="Replay the fixtures in ./fixtures once, so that there is something to see.")
def serve(host: str, port: int, workers: int, demo: bool) -> None:
    """Create the tables that are missing and serve. Without OMRECEIVER_ORGANIZATIONS only on this machine."""
    app = open_app()
    parts = parts_of(app)
    _check_open(parts, host)
    _check_free(host, port)
    _upgrade(parts)
    for sentence in missing(parts.engine, parts.models).sentences():
        click.echo(sentence, err=True)
    if demo:
        _replay_fixtures(app)
    parts.engine.dispose()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _greet(parts, f"http://{address}")
    options = {"loglevel": "warning", "timeout": WORKER_TIMEOUT, "control_socket_disable": True}
    Server(app, bind=address, workers=workers, threads=4, **options).run()


def _upgrade(parts: Parts) -> None:
    """On an engine of its own: a migration may take longer than a message may."""
    engine = open_for(parts.settings)
    try:
        upgrade(engine, parts.models)
    finally:
        engine.dispose()


def _check_open(parts: Parts, host: str) -> None:
    """Nobody but this machine may reach a server that lets every organization in."""
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local and not parts.settings.organizations:
        raise ConfigurationError(
            f"OMRECEIVER_ORGANIZATIONS is empty, so nothing but this machine may be served, and {host} is more. "
            "Set it to your organization ID (Setup, Company Information), or leave out --host."
        )


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            cure = "Stop the other server, or choose another with --port."
            raise ConfigurationError(f"Port {port} of {host} cannot be used ({error.strerror}). {cure}") from error


def _replay_fixtures(app: Flask) -> None:
    """Once is enough: what is in the ledger already is a duplicate."""
    if not FIXTURES.is_dir():
        raise ConfigurationError(f"--demo replays the folder {FIXTURES}, which is not here. Run it in the project.")
    messages = [case for case in cases(FIXTURES) if case.path != EXAMPLE]
    answers = list(with_progress(replaying(app, messages), len(messages), "Replaying"))
    counted = Counter(outcome for answer in answers for outcome in answer.outcomes.values())
    counted.update(refused=sum(not answer.ack for answer in answers))
    click.echo(f"Replayed {len(answers)} fixtures: " + ", ".join(f"{n} {o}" for o, n in counted.most_common() if n))


def _greet(parts: Parts, url: str) -> None:
    endpoint = url + parts.settings.path
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]The URL to paste into Setup[/bold] (Outbound Messages, Endpoint URL):\n  {endpoint}")
    if parts.settings.tokens:
        console.print("\nPut ?token= and one of OMRECEIVER_TOKENS at its end: without it nobody is let in.")
    elif EXAMPLE.is_file():
        console.print(f"\n[bold]Try it[/bold]:\n  curl -H 'Content-Type: text/xml' --data-binary @{EXAMPLE} {endpoint}")
    console.print(f"\n[bold]See[/bold] what arrived and where it went: {url}/")
    if not parts.settings.organizations:
        console.print("\nOnly this machine is let in: set OMRECEIVER_ORGANIZATIONS before you open it to Salesforce.")
    console.print("\nStop with Ctrl-C.")
