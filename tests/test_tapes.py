"""Golden tapes, as a project of a user's has them: its own pytest runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
from flask import Flask
from omreceiver import OutboundMessages, post_save, replay
from omreceiver.testing import create_tables

def test_tape():
    app = Flask("users_app")
    app.config.update(DATABASE_URL="sqlite://", OMRECEIVER_WSDL_DIR="wsdl")
    OutboundMessages().init_app(app)
    create_tables(app)
    {before}
    [answer, *_] = replay(app, "fixtures/contact-created", tape="tape.json")
    assert answer.ack
"""


@pytest.fixture
def users(project: Path) -> Path:
    (project / "test_tape.py").write_text(TEST.format(before=""), encoding="utf-8")
    return project


def run_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_tape_is_written_compared_and_shown_line_by_line(users: Path) -> None:
    tape = users / "fixtures" / "contact-created" / "tape.json"
    missing = run_pytest(users)
    assert missing.returncode == 1
    assert "There is no tape fixtures/contact-created/tape.json. Run pytest with --update-tapes" in missing.stdout

    assert run_pytest(users, "--update-tapes").returncode == 0
    written = tape.read_text(encoding="utf-8")
    lines = json.loads(written)
    assert [line["signal"] for line in lines] == ["pre_save", "post_save", "committed"]
    assert {(line["sender"], line["key"], line["created"]) for line in lines} == {("Contact", "c-1001", True)}
    assert lines[0]["changed"]["last_name"] == [None, "Lind"]
    assert len(written.splitlines()) == len(lines) + 2, "a line for each signal"

    assert run_pytest(users).returncode == 0
    sets = 'post_save.connect(lambda sender, instance, **_: setattr(instance, "phone", "changed"))'
    (users / "test_tape.py").write_text(TEST.format(before=sets), encoding="utf-8")
    assert run_pytest(users).returncode == 0, "what a receiver writes is no signal"

    tape.write_text(written.replace('"created": true', '"created": false', 1), encoding="utf-8")
    differs = run_pytest(users)
    assert differs.returncode == 1
    assert "Other signals were sent than fixtures/contact-created/tape.json has." in differs.stdout
    assert '-  {"signal": "pre_save", "sender": "Contact", "key": "c-1001", "created": false' in differs.stdout
    assert '+  {"signal": "pre_save", "sender": "Contact", "key": "c-1001", "created": true' in differs.stdout
