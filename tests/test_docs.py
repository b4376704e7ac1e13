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
from omreceiver.config import Settings
from omreceiver.signals import OF_MESSAGES, OF_RECORDS, post_save
from omreceiver.store.plan import Outcome
from omreceiver.testing import compose
from tests import processes
from tests.commands import all_commands
from tests.conftest import ROOT
from tests.databases import fresh_database

DOCS = sorted((ROOT / "docs").glob("*.md"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
README = (ROOT / "README.md").read_text()


def code_files(page: str) -> dict[str, str]:
    """The Python blocks of a page by the name in their first line."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, flags=re.S)
    assert len(blocks) == page.count("```python")
    return dict(blocks)


def run(page: str, folder: Path) -> str:
    """The code of a page, written into files and tested as a user would; gives what pytest prints."""
    for name, code in code_files(page).items():
        (folder / name).write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-W", "error", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands() -> dict[str, click.Command]:
    """Those that do something, groups left out, as one types them."""
    return {f"omreceiver {line}": each for line, each in all_commands() if not isinstance(each, click.Group)}


def test_the_code_of_the_readme_runs(tmp_path: Path) -> None:
    """URL, signals and fixture replay, as a user would write them into files."""
    printed = run(README, tmp_path)
    assert "1 passed" in printed
    assert "Account A-1: None is now Acme" in printed
    assert "created Acme" in printed


def test_the_code_of_the_signals_page_runs(tmp_path: Path) -> None:
    assert "2 passed" in run((ROOT / "docs/signals.md").read_text(), tmp_path)


def test_every_durable_receiver_of_the_signals_page_is_connected(tmp_path: Path) -> None:
    files = code_files((ROOT / "docs/signals.md").read_text())
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    modules = ", ".join(name.removesuffix(".py") for name in files if not name.startswith("test_"))
    source = f"import {modules}; from omreceiver.signals.durable import durable_receivers as d; print(*d.names())"
    printed = processes.run([sys.executable, "-W", "error", "-c", source], tmp_path, PARTNER_SECRET=SECRET)
    assert printed.stdout.split() == ["erp", "scoring", "dashboard", "warehouse", "partner", "log"], printed.stderr


def test_the_listener_of_the_signals_page_shows_what_changes(tmp_path: Path) -> None:
    for name, code in code_files((ROOT / "docs/signals.md").read_text()).items():
        (tmp_path / name).write_text(code)
    (tmp_path / "message.xml").write_bytes(compose("Account", {"ERP_Id__c": "A-1", "Rating": "Hot"}))
    with fresh_database("postgresql", tmp_path) as url:
        settings = {"DATABASE_URL": url, "OMRECEIVER_MODELS": "models,dashboard", "OMRECEIVER_WSDL_DIR": "nowhere"}
        settings["PYTHONPATH"] = str(tmp_path)
        for arguments in (["db", "create"], ["replay", "message.xml"]):
            processes.run([sys.executable, "-m", "omreceiver", *arguments], tmp_path, **settings).check_returncode()
        board = subprocess.Popen(
            [sys.executable, "board.py"],
            cwd=tmp_path,
            env=processes.environment(tmp_path, **settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        with board:
            assert board.stdout is not None
            assert board.stdout.readline() == "A-1 (None, 'Hot')\n"
            board.kill()


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


@pytest.mark.parametrize("name", commands())
def test_every_command_is_documented_and_helps(name: str) -> None:
    assert f"| `{name}" in (ROOT / "docs/commands.md").read_text()
    command = commands()[name]
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_every_documented_command_exists() -> None:
    documented = set(re.findall(r"^\| `(omreceiver(?: [a-z]+)+)", (ROOT / "docs/commands.md").read_text(), flags=re.M))
    assert documented == set(commands())


def test_every_outcome_and_signal_is_documented() -> None:
    architecture, signals = (ROOT / "docs/architecture.md").read_text(), (ROOT / "docs/signals.md").read_text()
    assert [outcome for outcome in Outcome if f"`{outcome}`" not in architecture] == []
    assert [signal.name for signal in (*OF_RECORDS, *OF_MESSAGES) if f"| `{signal.name}` |" not in signals] == []
    for argument in ("sender", *post_save.arguments):
        assert f"| `{argument}` |" in signals


def test_the_drawing_is_that_of_receive() -> None:
    stages = re.findall(r"^(\w+\.\w+|announce) {2}", (ROOT / "omreceiver/receive.py").read_text(), flags=re.M)
    drawn = re.findall(r"^ {2}(\w+\.\w+|announce) {2}", (ROOT / "docs/architecture.md").read_text(), flags=re.M)
    assert stages == drawn
    assert len(stages) == 5


def test_the_public_names_are_sorted_and_there() -> None:
    assert omreceiver.__all__ == sorted(omreceiver.__all__)
    assert [name for name in omreceiver.__all__ if not hasattr(omreceiver, name)] == []
