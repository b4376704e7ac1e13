"""What pruning costs those who receive beside it: the same messages with `omreceiver db prune` at work, and without."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import track

from omreceiver.testing.messages import ORGANIZATION
from tests import processes
from tests.benchmarks import servers
from tests.benchmarks.grown import THINGS, Grown
from tests.benchmarks.senders import seconds_for
from tests.conftest import ROOT

Busy = Callable[[], bool]
WINDOWS, MESSAGES, SIZE = 8, 40, 100
PATIENCE = 60


def measure(grown: Grown) -> dict[str, Any]:
    """Notifications a second with and without it: medians of as many windows as there is something to prune for."""
    settings = {
        "DATABASE_URL": grown.url,
        "OMRECEIVER_MODELS": "tests.benchmarks.grown",
        "OMRECEIVER_WSDL_DIR": "nowhere",
        "OMRECEIVER_ORGANIZATIONS": ORGANIZATION[:15],
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        with servers.gunicorn("omreceiver:create_app()", 2, ROOT, folder, **settings) as (port, _):
            # the first warms up
            rates = list(_rates(grown, port, partial(pruning, grown, folder, settings)))[1:]
    alone, beside = (median(column) for column in zip(*rates, strict=True))
    return {"windows": len(rates), "alone": alone, "beside": beside, "cost": 1 - beside / alone}


def _rates(grown: Grown, port: int, prune: Callable[[], AbstractContextManager[Busy]]) -> Iterator[tuple[float, float]]:
    """Pairs of windows, without it and with it, until it runs out of work."""
    for window in track(range(WINDOWS), "Receiving beside pruning", console=Console(stderr=True)):
        bodies = [[_body(grown, 2 * window + part, number) for number in range(MESSAGES)] for part in (0, 1)]
        alone = seconds_for(port, servers.OURS, bodies[0])
        with prune() as is_busy:
            beside = seconds_for(port, servers.OURS, bodies[1])
            if not is_busy():
                return
        yield MESSAGES * SIZE / alone, MESSAGES * SIZE / beside


def _body(grown: Grown, window: int, number: int) -> bytes:
    """Half of its records are new, half are changed."""
    first = grown.records + 1_000_000 + (window * MESSAGES + number) * SIZE
    old = (window * MESSAGES + number) * SIZE // 2 % (grown.records - SIZE)
    return THINGS.message([*range(first, first + SIZE // 2), *range(old, old + SIZE // 2)], 2_000 + window)


@contextmanager
def pruning(grown: Grown, folder: Path, settings: dict[str, str]) -> Iterator[Busy]:
    """The command at work inside the block; gives what tells whether it still is."""
    first = _oldest(grown)
    command = [sys.executable, "-m", "omreceiver", "db", "prune"]
    env = processes.environment(folder, **settings)
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as running:
        until = time.monotonic() + PATIENCE
        while _oldest(grown) == first and time.monotonic() < until and running.poll() is None:
            time.sleep(0.05)
        yield lambda: running.poll() is None
        running.terminate()


def _oldest(grown: Grown) -> int | None:
    with psycopg.connect(grown.url) as connection:
        [found] = connection.execute("SELECT min(id) FROM om_message").fetchone() or [None]
    return found
