"""Runs the stages under pytest-benchmark, and keeps of each its median.

python -m tests.benchmarks.stages
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks import figures
from tests.conftest import ROOT

NAME = re.compile(r"test_(\w+)\[(?:(\d+)-a-message)?-?(\w+)?\]")


def measure(printed: Path) -> list[dict[str, Any]]:
    """A row for each stage, size of message and database; reading and planning have none."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "tests/benchmarks/bench_stages.py"]
    subprocess.run([*command, "--benchmark-json", printed, "--benchmark-columns", "median"], cwd=ROOT, check=True)
    rows = []
    for each in json.loads(printed.read_text())["benchmarks"]:
        found = NAME.fullmatch(each["name"])
        assert found, each["name"]
        stage, size, database = found.groups()
        rows.append({"stage": stage, "size": int(size), "database": database, "seconds": each["stats"]["median"]})
    return rows


def main() -> None:
    with TemporaryDirectory() as folder:
        figures.save("stages", measure(Path(folder) / "stages.json"))


if __name__ == "__main__":
    main()
