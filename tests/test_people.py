"""The page docs/people.md runs: every example gives what it says."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "people.md"


def test_every_example_of_the_page_gives_what_it_says(tmp_path: Path) -> None:
    """In a process and a folder of its own: it declares its classes on Record, as a user does, and writes files."""
    command = [sys.executable, "-W", "error", "-m", "doctest", str(PAGE)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "university.db").exists()


def test_all_of_its_code_is_examples() -> None:
    """A line without >>> would not run."""
    text = PAGE.read_text()
    blocks = text.split("```python\n")[1:]
    examples = doctest.DocTestParser().get_examples(text)
    assert len(blocks) == text.count("```") // 2
    assert all(block.startswith(">>> ") for block in blocks)
    assert len(examples) > 30
