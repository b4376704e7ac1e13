"""omreceiver relay: carries events to durable receivers."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from dataclasses import astuple, fields

import click
from sqlalchemy.exc import InterfaceError, OperationalError

from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import json_option, print_rows
from omreceiver.receive import Parts
from omreceiver.relays import delivery, outbox
from omreceiver.relays.backlog import Backlog, backlogs
from omreceiver.relays.delivery import Fate
from omreceiver.signals.durable import Via, durable_receivers
from omreceiver.store.failures import said

log = logging.getLogger(__name__)

#: seconds between looks at an empty outbox
IDLE = 1.0


@click.command()
@click.option("--once", is_flag=True, help="Deliver what is due now, then stop.")
@click.option("--status", "only_status", is_flag=True, help="Show the backlog, deliver nothing.")
@click.option("--unpark", metavar="RECEIVER", help="Have a receiver called again for what was given up, then stop.")
@json_option
def relay(once: bool, only_status: bool, unpark: str | None, as_json: bool) -> None:
    """Call the durable receivers of OMRECEIVER_MODELS, in this process, until it is told to stop.

    Any number of relays may run. With --once, exit code 1 when a receiver raised or its broker is away.
    """
    parts = check_tables(open_parts(), ledger_only=True)
    if only_status:
        with parts.engine.connect() as connection:
            lines = [astuple(line) for line in backlogs(connection)]
        print_rows([field.name for field in fields(Backlog)], lines, as_json=as_json)
    elif unpark is not None:
        print_rows(["receiver", "unparked"], [[unpark, outbox.unpark(parts.engine, unpark)]], as_json=as_json)
    else:
        delivery.get_ready()
        counted = _run(parts, once=once)
        # not on standard output, which a receiver may fill
        click.echo(
            ", ".join(f"{counted[fate]} {fate}" for fate in Fate if counted[fate]) or "nothing was due", err=True
        )
        raise SystemExit(1 if counted.keys() & {Fate.FAILED, Fate.PARKED, Fate.AWAY} else 0)


def _run(parts: Parts, *, once: bool) -> Counter[Fate]:
    """Deliver what is due; gives how many deliveries ended how."""
    known = durable_receivers.names(Via.RELAY, Via.CELERY)
    names = ", ".join(known) or "none; name the module that declares them in OMRECEIVER_MODELS"
    click.echo(f"durable receivers: {names}", err=True)
    stop, counted = _stop_on_signals(), Counter[Fate]()
    while not stop.is_set():
        fate = _next(parts, is_patient=not once)
        if fate is not None:
            counted[fate] += 1
        elif once:
            break
        else:
            stop.wait(IDLE)
    return counted


def _next(parts: Parts, *, is_patient: bool) -> Fate | None:
    """Deliver what is due; while the database is away, nothing is, for one who is patient."""
    try:
        return delivery.deliver_next(parts.engine, parts.models)
    except (OperationalError, InterfaceError) as error:
        if not is_patient:
            raise
        log.warning("the database is away: %s", said(error), extra={"action": "relay_waits"})
        return None


def _stop_on_signals() -> threading.Event:
    """Set when the process is asked to end; the receiver that runs may finish."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
