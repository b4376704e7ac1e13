"""omreceiver relay: carries events to durable receivers."""

from __future__ import annotations

import signal
import threading
from collections import Counter

import click

from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import json_option, print_rows
from omreceiver.relays import outbox
from omreceiver.signals import durable_receivers

#: seconds between looks at an empty outbox
IDLE = 1.0


@click.command()
@click.option("--once", is_flag=True, help="Deliver what is due now, then stop.")
@click.option("--status", "only_status", is_flag=True, help="Show the backlog, deliver nothing.")
@json_option
def relay(once: bool, only_status: bool, as_json: bool) -> None:
    """Call the durable receivers of OMRECEIVER_MODELS, in this process, until it is told to stop.

    Any number of relays may run. With --once, exit code 1 when a receiver raised.
    """
    parts = check_tables(open_parts(), ledger_only=True)
    if only_status:
        backlog = outbox.status(parts.engine)
        print_rows(
            ("waiting", "failing", "parked"), [(backlog.waiting, backlog.failing, backlog.parked)], as_json=as_json
        )
        return
    names = ", ".join(durable_receivers.names()) or "none; name the module that declares them in OMRECEIVER_MODELS"
    click.echo(f"durable receivers: {names}", err=True)
    stop = _stop_on_signals()
    counted: Counter[str] = Counter()
    while not stop.is_set():
        fate = outbox.deliver_next(parts.engine, parts.models) if durable_receivers.names() else None
        if fate is not None:
            counted[str(fate)] += 1
        elif once:
            break
        else:
            stop.wait(IDLE)
    _close(counted, as_json=as_json)


def _stop_on_signals() -> threading.Event:
    """Set when the process is asked to end; the receiver that runs may finish."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _close(counted: Counter[str], *, as_json: bool) -> None:
    fates = [str(fate) for fate in outbox.Fate]
    print_rows(fates, [[counted[fate] for fate in fates]], as_json=as_json)
    raise SystemExit(1 if counted["failed"] or counted["parked"] else 0)
