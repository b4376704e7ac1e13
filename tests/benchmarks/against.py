"""Runs compare.py of the bench folder against the product on PostgreSQL, and keeps the ratios that it prints.

    python -m tests.benchmarks.against --bench FOLDER [--rounds 3]

It measures the floor, the naive listener and the product in one run; see the README of that folder.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.engine import make_url

from tests import processes
from tests.benchmarks import figures, servers
from tests.benchmarks.servers import NotThere
from tests.databases import DRIVERS

KIND = "postgresql"
LINE = re.compile(r"^ *(\d+) a message +(\w+) +(\d+) notifications/s +([\d.]+) of the floor$", flags=re.M)


def compare(bench: Path, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """A row for each size of message and each program. Raises NotThere."""
    if not (bench / "compare.py").is_file():
        raise NotThere(f"{bench} holds no compare.py")
    with (
        servers.databases(KIND, folder, "ours", "floor") as (ours, theirs),
        servers.product(KIND, ours, folder) as target,
    ):
        command = [sys.executable, "compare.py", "--rounds", str(rounds)]
        command += ["--url", f"http://127.0.0.1:{target.port}{target.path}", "--dsn", servers.dsn(KIND, theirs)]
        command += ["--sqlalchemy-url", make_url(theirs).set(drivername=DRIVERS[KIND]).render_as_string(False)]
        env = processes.environment(folder, PYTHONDONTWRITEBYTECODE="1")
        done = subprocess.run(command, cwd=bench, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise NotThere(f"compare.py ended with {done.returncode}")
    print(done.stdout, end="")
    return list(_rows(done.stdout))


def _rows(printed: str) -> Iterator[dict[str, Any]]:
    for size, name, rate, ratio in LINE.findall(printed):
        yield {"size": int(size), "program": name, "rate": float(rate), "ratio": float(ratio)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="the folder with compare.py")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        try:
            figures.save("against", compare(given.bench.absolute(), given.rounds, Path(folder)))
        except NotThere as error:
            print(f"compare.py is left out: {error}")


if __name__ == "__main__":
    main()
