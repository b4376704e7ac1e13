"""The time of a message beside the size of the tables and the ledger, and beside pruning. PostgreSQL only.

    python -m tests.benchmarks.growth [--records 10000 1000000 5000000] [--rounds 40]

Databases of their own are filled by COPY, one a size, and dropped in the end; the messages go to each of them in turn.
This takes a quarter of an hour and some GiB of disk.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, track

from omreceiver import Settings
from omreceiver.store.prune import Limits, prune
from tests.benchmarks import figures, pruned
from tests.benchmarks.explained import captured, explain
from tests.benchmarks.grown import THINGS, Grown, database, rows
from tests.benchmarks.servers import NotThere
from tests.benchmarks.through import send
from tests.databases import SERVERS

RECORDS = (10_000, 1_000_000, 5_000_000)
#: bytes of disk that a row takes, with its indexes and what PostgreSQL writes ahead
ROW = 600
WARM = 3


def check_disk(records: Sequence[int]) -> None:
    """Raises NotThere when the tables would not fit, where the server's disk can be seen from here."""
    with psycopg.connect(SERVERS["postgresql"]) as connection:
        [folder] = connection.execute("SHOW data_directory").fetchone() or [""]
    wanted = sum(map(rows, records)) * ROW
    if Path(folder).is_dir() and shutil.disk_usage(folder).free < wanted:
        raise NotThere(f"{wanted / 2**30:.0f} GiB are wanted, and less is free at {folder}")


def times(databases: Sequence[Grown], rounds: int) -> list[dict[str, Any]]:
    """A row for each kind of message: the median of its time on each database, and that as a part of the smallest's."""
    seen: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for turn in track(range(rounds + WARM), "Sending to each of them", console=Console(stderr=True)):
        for grown in databases:
            for kind, body in _messages(grown.records, turn):
                begin = time.perf_counter()
                send(grown.app, body)
                if turn >= WARM:
                    seen[kind][grown.records].append(time.perf_counter() - begin)
    return [_row(kind, {records: median(each) for records, each in by_size.items()}) for kind, by_size in seen.items()]


def _row(kind: str, seconds: dict[int, float]) -> dict[str, Any]:
    smallest = seconds[min(seconds)]
    ratios = {records: each / smallest for records, each in seconds.items()}
    return {"message": kind, "seconds": seconds, "ratios": ratios}


def _messages(records: int, turn: int) -> Iterator[tuple[str, bytes]]:
    """Records from anywhere in the tables, and new ones."""
    scattered = random.Random(turn).sample(range(records), 101)
    new = records + turn * 101
    yield "1 changed", THINGS.message(scattered[:1], turn + 1)
    yield "1 new", THINGS.message([new], turn + 1)
    yield "100 changed", THINGS.message(scattered[1:], turn + 1)
    yield "100 new", THINGS.message(range(new + 1, new + 101), turn + 1)


def plans(grown: Grown) -> list[dict[str, Any]]:
    """EXPLAIN of what is sent for new, changed, redelivered and late notifications, and for a step of each pruning."""
    first = grown.records + 500_000
    mixed = THINGS.message([*range(50), *range(first, first + 50)], 1_000)
    due = Limits.of(Settings(), datetime.now(UTC))
    with captured(grown.engine) as sent:
        for body in (mixed, mixed, THINGS.message(range(50), 0), THINGS.message([first + 50], 1_001)):
            send(grown.app, body)
        next(prune(grown.engine, due))
    return explain(grown.engine, sent)


def measure(records: Sequence[int], rounds: int) -> dict[str, Any]:
    check_disk(records)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with ExitStack() as stack:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("Filling by COPY", total=sum(map(rows, records)))
            databases = [stack.enter_context(database(n, lambda done: bar.advance(task, done))) for n in records]
        found = {"records": records, "ledger": [2 * n for n in records], "times": times(databases, rounds)}
        return found | {"plans": plans(databases[-1]), "pruning": pruned.measure(databases[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=RECORDS)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    found = measure(given.records, given.rounds)
    for row in found["times"]:
        print(row["message"], {n: f"{ratio:.2f}" for n, ratio in row["ratios"].items()}, row["seconds"])
    for plan in found["plans"]:
        print(plan)
    print("pruning:", found["pruning"])
    if tuple(given.records) == RECORDS:
        figures.save("growth", found)


if __name__ == "__main__":
    main()
