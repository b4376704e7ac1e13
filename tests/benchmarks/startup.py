"""How long it takes to start: to import, make the app and acknowledge a message; and to print `omreceiver --help`.

python -m tests.benchmarks.startup [--repeats 7]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests import processes
from tests.benchmarks import figures, opportunities
from tests.conftest import ROOT

FIRST = """
import sys, pathlib, omreceiver
app = omreceiver.create_app()
body = pathlib.Path(sys.argv[1]).read_bytes()
answer = app.test_client().post("/outbound-messages", data=body, content_type="text/xml; charset=utf-8")
assert b">true</" in answer.data, answer.data
"""
PYTHON, FIRST_ANSWER, HELP = "Python alone", "import, app and first ack", "`omreceiver --help`"


def measure(folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """The shortest and the median time of each, in seconds."""
    (folder / "wsdl").mkdir()
    opportunities.write_wsdl(folder / "wsdl")
    program = str(processes.PROGRAMS / "omreceiver")
    settings = {"DATABASE_URL": f"sqlite:///{folder}/start.db", "OMRECEIVER_WSDL_DIR": str(folder / "wsdl")}
    # bytecode is there after an installation, so it may be kept here
    env = processes.environment(folder, **settings, **opportunities.SETTINGS)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([program, "db", "create"], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    seen: dict[str, list[float]] = {PYTHON: [], FIRST_ANSWER: [], HELP: []}
    for turn in range(repeats + 1):
        body = folder / f"{turn}.xml"
        body.write_bytes(opportunities.message(1, turn, turn))
        for name, command in (
            (PYTHON, [sys.executable, "-c", "pass"]),
            (FIRST_ANSWER, [sys.executable, "-c", FIRST, str(body)]),
            (HELP, [program, "--help"]),
        ):
            seen[name].append(_seconds(command, folder, env))
    return {name: {"shortest": min(times[1:]), "median": median(times[1:])} for name, times in seen.items()}


def _seconds(command: Sequence[str], folder: Path, env: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env | {"PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = measure(Path(folder), given.repeats)
    for name, times in found.items():
        print(f"{name:28} {times['shortest']:.2f} s, median {times['median']:.2f} s")
    figures.save("startup", found)


if __name__ == "__main__":
    main()
