"""What a message costs: notifications, fields, class tables, receivers; the whole way through the app, in one process.

    python -m tests.benchmarks.cost [--database postgresql] [--passes 3]

A cell of the grid is the shortest of some messages, half new and half changed, and the number of its statements. What
grows along an axis is fitted by a line, the other axes held where REFERENCE says.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import correlation, linear_regression
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from rich.console import Console
from rich.progress import track

from omreceiver import Change, post_save
from omreceiver.app import parts_of
from tests.benchmarks import figures, servers
from tests.benchmarks.servers import NotThere
from tests.benchmarks.through import send
from tests.statements import of_the_message, statements
from tests.things import Things

AXES = {"notifications": (1, 10, 100), "fields": (5, 20, 100, 300), "tables": (1, 2, 3, 4), "receivers": (0, 1, 10)}
REFERENCE = {"notifications": 100, "fields": 20, "tables": 2, "receivers": 0}
#: messages of a cell one after the other, in each pass
IN_A_ROW = 2
Cell = dict[str, Any]


def measure(url: str, passes: int) -> list[Cell]:
    """Passes through the whole grid, so that what the machine does meanwhile meets no cell alone; of each the best."""
    apps = [
        (things, things.app(url)) for things in (Things(*shape) for shape in product(AXES["fields"], AXES["tables"]))
    ]
    best: dict[tuple[int, ...], Cell] = {}
    for number in track(range(passes), "What a message costs", console=Console(stderr=True)):
        for things, app in apps:
            for cell in _of_shape(app, things, number):
                key = tuple(cell[axis] for axis in AXES)
                before = best.get(key, cell)
                best[key] = cell | {each: min(cell[each], before[each]) for each in ("seconds", "busy")}
    for _, app in apps:
        parts_of(app).engine.dispose()
    return list(best.values())


def _of_shape(app: Flask, things: Things, number: int) -> Iterator[Cell]:
    for turn, (receivers, size) in enumerate(product(AXES["receivers"], AXES["notifications"])):
        with connected(things, receivers):
            turns = things.turns(size, first=(turn + 10 * number) * 1_000_000)
            gc.collect()
            # the first turn warms up
            times = [_times(app, next(turns)) for _ in range(1 + IN_A_ROW)][1:]
            counts = [_statements(app, body) for body in next(turns)]
        shape = {"notifications": size, "fields": things.fields, "tables": things.tables, "receivers": receivers}
        found = {"seconds": min(both[0] for both in times), "busy": min(both[1] for both in times)}
        yield {**shape, **found, "statements": max(counts)}


def _times(app: Flask, bodies: list[bytes]) -> tuple[float, float]:
    """Seconds a message, and those in which this process was busy."""
    begin, busy = time.perf_counter(), time.process_time()
    for body in bodies:
        send(app, body)
    return (time.perf_counter() - begin) / len(bodies), (time.process_time() - busy) / len(bodies)


def _statements(app: Flask, body: bytes) -> int:
    with statements(parts_of(app).engine) as sent:
        send(app, body)
    return len(of_the_message(sent))


@contextmanager
def connected(things: Things, receivers: int) -> Iterator[None]:
    """So many receivers that read what changed."""
    functions = [_reader() for _ in range(receivers)]
    for function in functions:
        post_save.connect(function, sender=things.model)
    try:
        yield
    finally:
        for function in functions:
            post_save.disconnect(function)


def _reader() -> Any:
    def read(sender: object, changed: Mapping[str, Change], **kwargs: Any) -> None:
        sum(change.old != change.new for change in changed.values())

    return read


def fit(cells: list[Cell], measured: str) -> list[dict[str, Any]]:
    """A line along each axis, in units of the cheapest cell: what is fixed, what one more costs, how well it fits."""
    unit = min(cell[measured] for cell in cells)
    rows = []
    for axis, points in AXES.items():
        held = {name: value for name, value in REFERENCE.items() if name != axis}
        along = {cell[axis]: cell for cell in cells if held.items() <= cell.items()}
        costs = [along[point][measured] / unit for point in points]
        line = linear_regression(points, costs)
        counts = [along[point]["statements"] for point in points]
        fitted = {"fixed": line.intercept, "each": line.slope, "fit": correlation(points, costs) ** 2}
        rows.append({"axis": axis, "points": points, "costs": costs, **fitted, "statements": counts})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("postgresql", "sqlite", "mariadb"))
    parser.add_argument("--passes", type=int, default=3)
    given = parser.parse_args()
    kind, cells = _measure_on(given.database, given.passes)
    lines = {measured: fit(cells, measured) for measured in ("seconds", "busy")}
    for line in lines["busy"]:
        print("{axis:14} {fixed:8.2f} + {each:8.4f} each, R² {fit:.3f}, statements {statements}".format(**line))
    figures.save("cost", {"database": kind, "reference": REFERENCE, "lines": lines, "cells": cells})


def _measure_on(kind: str | None, passes: int) -> tuple[str, list[Cell]]:
    """On PostgreSQL where it answers and nobody says otherwise."""
    chosen = kind or "postgresql"
    with TemporaryDirectory() as folder:
        try:
            with servers.databases(chosen, Path(folder), "cost") as [url]:
                return chosen, measure(url, passes)
        except NotThere:
            if kind is not None:
                raise
    return _measure_on("sqlite", passes)


if __name__ == "__main__":
    main()
