"""All benchmarks but growth, one after the other, and then the page.

python -m tests.benchmarks [--bench FOLDER] [--rounds 5] [--only beside …]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from tests.conftest import ROOT

PARTS = ("startup", "stages", "cost", "memory", "beside", "against", "report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="bench", help="the folder with floor.py and compare.py")
    parser.add_argument("--rounds", default="5")
    parser.add_argument("--only", choices=PARTS, action="append")
    given = parser.parse_args()
    folder = ["--bench", given.bench]
    options = {"beside": [*folder, "--rounds", given.rounds], "against": folder}
    for part in given.only or PARTS:
        begin = time.monotonic()
        print(f"== {part}", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{part}", *options.get(part, ())]
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"== {part} took {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
