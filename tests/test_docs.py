"""The documents are true: README's code runs, every setting, command, signal and page is where it should be."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import omreceiver
from omreceiver.cli import main
from omreceiver.config import Settings
from omreceiver.store.plan import Outcome
from tests.conftest import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text()


def code_files() -> dict[str, str]:
    """The Python blocks of the README by the name in their first line."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", README, flags=re.S)
    assert len(blocks) == README.count("```python")
    return dict(blocks)


def commands(group: click.Group, prefix: str = "omreceiver") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        inside = isinstance(command, click.Group)
        found |= commands(command, f"{prefix} {name}") if inside else {f"{prefix} {name}": command}  # type: ignore[arg-type]
    return found


def test_the_code_of_the_readme_runs(tmp_path: Path) -> None:
    """URL, signals and fixture replay, as a user would write them into files."""
    for name, code in code_files().items():
        (tmp_path / name).write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "Account A-1: None is now Acme" in done.stdout
    assert "created Acme" in done.stdout


def test_the_readme_opens_with_the_two_commands() -> None:
    assert README.index("make run") < README.index("make test") < README.index("## As an outbound-message URL")
    makefile = (ROOT / "Makefile").read_text()
    assert "\nrun: " in makefile
    assert "\ntest: " in makefile
    assert "make test\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CHANGES.md", *DOCS], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_to_tests_name_tests_that_are_there(page: Path) -> None:
    linked = re.findall(r"\]\(\.\./tests/(test_\w+\.py)#(test_\w+)\)", page.read_text())
    missing = [name for file, name in linked if f"def {name}(" not in (ROOT / "tests" / file).read_text()]
    assert missing == []
    assert page.name != "records.md" or len(linked) > 50


def test_every_page_is_linked_from_the_readme() -> None:
    assert [page.name for page in DOCS if f"docs/{page.name}" not in README] == []


@pytest.mark.parametrize("setting", dataclasses.fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default(setting: dataclasses.Field[object]) -> None:
    name, default = setting.metadata["name"], setting.metadata["default"]
    [line] = [line for line in (ROOT / "docs/settings.md").read_text().splitlines() if line.startswith(f"| `{name}`")]
    assert line.split("|")[2].strip().strip("`") == default
    assert setting.metadata["meaning"]


def test_no_other_setting_is_documented_or_read() -> None:
    names = {setting.metadata["name"] for setting in dataclasses.fields(Settings)}
    mentioned = {word for page in DOCS for word in re.findall(r"OMRECEIVER_[A-Z_]+|DATABASE_URL", page.read_text())}
    assert mentioned <= names
    sources = {path: path.read_text() for path in (ROOT / "omreceiver").rglob("*.py")}
    assert [path.name for path, source in sources.items() if "os.environ" in source] == ["config.py"]


@pytest.mark.parametrize("name", commands(main))
def test_every_command_is_documented_and_helps(name: str) -> None:
    assert f"| `{name}" in (ROOT / "docs/commands.md").read_text()
    command = commands(main)[name]
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_every_documented_command_exists() -> None:
    documented = set(re.findall(r"^\| `(omreceiver(?: [a-z]+)+)", (ROOT / "docs/commands.md").read_text(), flags=re.M))
    assert documented == set(commands(main))


def test_every_outcome_and_signal_is_documented() -> None:
    architecture, signals = (ROOT / "docs/architecture.md").read_text(), (ROOT / "docs/signals.md").read_text()
    assert [outcome for outcome in Outcome if f"`{outcome}`" not in architecture] == []
    assert [
        name for name in ("pre_save", "post_save", "committed", "reference_resolved") if f"| `{name}` |" not in signals
    ] == []
    for argument in ("sender", "instance", "created", "changed", "update_fields", "raw", "message", "session"):
        assert f"| `{argument}` |" in signals


def test_the_drawing_is_that_of_receive() -> None:
    stages = re.findall(r"^(\w+\.\w+|announce) {2}", (ROOT / "omreceiver/receive.py").read_text(), flags=re.M)
    drawn = re.findall(r"^ {2}(\w+\.\w+|announce) {2}", (ROOT / "docs/architecture.md").read_text(), flags=re.M)
    assert stages == drawn
    assert len(stages) == 5


def test_the_public_names_are_sorted_and_there() -> None:
    assert omreceiver.__all__ == sorted(omreceiver.__all__)
    assert [name for name in omreceiver.__all__ if not hasattr(omreceiver, name)] == []
