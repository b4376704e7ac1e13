"""The memory of a gunicorn worker: after many notifications, and at the peak of one big message.

python -m tests.benchmarks.memory [--notifications 200000]
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import string
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track

from omreceiver.testing.messages import ORGANIZATION
from tests.benchmarks import figures, opportunities, servers, wide
from tests.benchmarks.senders import post, seconds_for
from tests.benchmarks.servers import NotThere, Target
from tests.databases import DATABASES

#: notifications a message, messages between two looks
SIZE, STEP = 100, 200
LONG, ROW = 100 * 2**10, 10


def long_run(kind: str, notifications: int) -> list[dict[str, float]]:
    """MiB of the worker after every so many notifications, half new and half changed. Raises NotThere."""
    with TemporaryDirectory() as folder, _served(kind, Path(folder)) as target:
        [worker] = _workers(target)
        seen = []
        for turn in track(range(notifications // (SIZE * STEP)), "Receiving", console=Console(stderr=True)):
            seconds_for(target.port, target.path, opportunities.half_new(STEP, SIZE, turn))
            seen.append({"notifications": (turn + 1) * SIZE * STEP, "MiB": _mib(worker, "VmRSS")})
        return seen


def big_message(kind: str) -> dict[str, Any]:
    """MiB of the worker before and at the peak of a hundred records with three hundred fields, a long text in each; and
    of a row of such messages.
    """
    settings = {"OMRECEIVER_MODELS": wide.__name__, "OMRECEIVER_ORGANIZATIONS": ORGANIZATION[:15]}
    letters = random.Random(1).choices(string.ascii_letters + "   \n", k=LONG)
    bodies = [wide.THINGS.message(range(SIZE), turn, F0__c="".join(letters)) for turn in range(1, ROW + 1)]
    with TemporaryDirectory() as folder, _served(kind, Path(folder), **settings) as target:
        [worker] = _workers(target)
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
        post(connection, target.path, wide.THINGS.message([SIZE], 1))
        peaks = [_mib(worker, "VmHWM")]
        for body in bodies:
            post(connection, target.path, body)
            peaks.append(_mib(worker, "VmHWM"))
        connection.close()
    return {"database": kind, "body": len(bodies[0]) / 2**20, "before": peaks[0], "peak": peaks[1], "row": peaks[-1]}


@contextmanager
def _served(kind: str, folder: Path, **settings: str) -> Iterator[Target]:
    with ExitStack() as stack:
        [url] = stack.enter_context(servers.databases(kind, folder, "memory"))
        yield stack.enter_context(servers.product(kind, url, folder, workers=1, **settings))


def _workers(target: Target) -> list[int]:
    """The processes that a gunicorn has begun."""
    if not Path("/proc/self/status").exists():
        raise NotThere("this system does not tell the memory of a process")
    return [int(each) for each in Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()]


def _mib(process: int, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), flags=re.M)
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notifications", type=int, default=200_000)
    given = parser.parse_args()
    found: dict[str, Any] = {"big": []}
    for kind in DATABASES:
        try:
            found["big"].append(big_message(kind))
        except NotThere as error:
            print(f"{kind} is left out: {error}")
    reached = [each["database"] for each in found["big"]]
    kind = "postgresql" if "postgresql" in reached else "sqlite"
    found |= {"database": kind, "long": long_run(kind, given.notifications)}
    print(*found["big"], found["long"][0], found["long"][-1], sep="\n")
    figures.save("memory", found)


if __name__ == "__main__":
    main()
