"""The product beside the floor, on each database: half new and half changed, redelivered, unchanged, with a receiver.

    python -m tests.benchmarks.beside [--rounds 5] [--database postgresql] [--bench FOLDER]

Each round sends the same messages to all of them, one program after the other, so that what the machine does beside
costs all of them alike. The figures are medians of rounds, notifications a second.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track
from sqlalchemy import select

from omreceiver import Settings
from omreceiver.store import tables
from omreceiver.store.database import open_engine
from tests.benchmarks import figures, opportunities, servers
from tests.benchmarks.senders import NotAcknowledged, seconds_for
from tests.benchmarks.servers import NotThere, Target

DATABASES = ("postgresql", "sqlite", "mariadb")
RECEIVER = "tests.benchmarks.reading_receiver"
#: notifications a message → messages a run
COUNTS = {1: 400, 100: 50}
CHANGED, REDELIVERED, UNCHANGED = "half new, half changed", "redelivered", "unchanged"
WITH_RECEIVER = "with a receiver that reads `changed`"
Rates = dict[tuple[int, str, str], list[float]]


def compare(kind: str, rounds: int, bench: Path, folder: Path) -> list[dict[str, Any]]:
    """A row for each size of message and each case: the medians. Raises NotThere."""
    with ExitStack() as stack:
        ours, other, base = stack.enter_context(servers.databases(kind, folder, "ours", "receiver", "floor"))
        targets = [
            stack.enter_context(servers.floor(kind, base, folder, bench)),
            stack.enter_context(servers.product(kind, ours, folder)),
            stack.enter_context(servers.product(kind, other, folder, "receiver", OMRECEIVER_MODELS=RECEIVER)),
        ]
        rates: Rates = defaultdict(list)
        # turn 0 warms up
        for turn in track(range(rounds + 1), f"{kind} beside its floor", console=Console(stderr=True)):
            for size, count in COUNTS.items():
                found = _one_round(targets, count, size, turn)
                for key, rate in found.items() if turn else ():
                    rates[size, *key].append(rate)
        for url in (ours, other):
            _check_outcomes(url)
    return [row for size in COUNTS for row in _rows(rates, kind, size)]


def _one_round(targets: Sequence[Target], count: int, size: int, turn: int) -> dict[tuple[str, str], float]:
    """(case, target) → notifications a second."""
    changed = opportunities.half_new(count, size, turn, change=2 * turn)
    unchanged = opportunities.half_new(count, size, turn, change=2 * turn, delivery=2 * turn + 1)
    both = targets[:2]
    cases = [(CHANGED, changed, targets), (REDELIVERED, changed, both), (UNCHANGED, unchanged, both)]
    return {
        (case, target.name): count * size / seconds_for(target.port, target.path, bodies)
        for case, bodies, takers in cases
        for target in takers
    }


def _check_outcomes(url: str) -> None:
    """A rate says nothing when the notifications did not end as they should."""
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
    with engine.connect() as connection:
        outcomes = set(connection.scalars(select(tables.notification.c.outcome).distinct()))
    engine.dispose()
    if not {"created", "updated"} <= outcomes <= {"created", "updated", "unchanged"}:
        raise NotAcknowledged(f"the notifications ended as {sorted(outcomes)}")


def _rows(rates: Rates, kind: str, size: int) -> list[dict[str, Any]]:
    rows = []
    for case, name in (
        (CHANGED, "product"),
        (WITH_RECEIVER, "receiver"),
        (REDELIVERED, "product"),
        (UNCHANGED, "product"),
    ):
        sent = CHANGED if case is WITH_RECEIVER else case
        ours, floor = median(rates[size, sent, name]), median(rates[size, sent, "floor"])
        row = {"database": kind, "size": size, "case": case, "product": ours, "floor": floor, "ratio": ours / floor}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--bench", type=Path, default=Path("bench"), help="the folder with floor.py for PostgreSQL")
    given = parser.parse_args()
    rows = []
    for kind in given.database or DATABASES:
        with TemporaryDirectory() as folder:
            try:
                rows += compare(kind, given.rounds, given.bench.absolute(), Path(folder))
                if given.database is None:
                    figures.save("beside", rows)
            except NotThere as error:
                print(f"{kind} is left out: {error}")
    for row in rows:
        print("{database:10} {size:4} a message  {case:38} {product:8.0f}/s  {ratio:5.2f} of the floor".format(**row))


if __name__ == "__main__":
    main()
