"""Golden tapes: the exact sequence of signals that a replay sends, kept in a file of JSON.

    [{"signal": "post_save", "sender": "Account", "key": "A-1", "created": true, "changed": {"name": [null, "Acme"]}}]

`pytest --update-tapes` writes them; look at the difference before you commit it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import unified_diff
from pathlib import Path
from typing import Any

from omreceiver.signals import Recorded
from omreceiver.store.events import plain

#: set by the pytest plugin: tapes are written, not compared
is_updating = False


def check(tape: Path, sent: Iterable[Recorded]) -> None:
    """Compare what was sent with a tape, or write it. Raises AssertionError with the lines that differ."""
    text = _written(sent)
    if is_updating:
        tape.write_text(text, encoding="utf-8")
        return
    accept = "Run pytest with --update-tapes to write it"
    if not tape.is_file():
        raise AssertionError(f"There is no tape {tape}. {accept}.")
    expected = tape.read_text(encoding="utf-8")
    if json.loads(expected) != json.loads(text):
        lines = unified_diff(expected.splitlines(), text.splitlines(), "on the tape", "sent now", lineterm="", n=2)
        raise AssertionError(
            "\n".join([f"Other signals were sent than {tape} has. {accept}, if they are right.", *lines])
        )


def _written(sent: Iterable[Recorded]) -> str:
    """One signal a line, so that a difference of one is one line."""
    lines = [json.dumps(_line(each), ensure_ascii=False) for each in sent]
    return "[\n" + ",\n".join(f"  {line}" for line in lines) + "\n]\n" if lines else "[]\n"


def _line(sent: Recorded) -> dict[str, Any]:
    line = {"signal": sent.signal, "sender": sent.sender.__name__, "key": sent.instance.external_id}
    if "changed" not in sent.arguments:
        return {**line, "reference": sent.arguments["reference"], "target": sent.arguments["target"].external_id}
    changed = {name: [plain(value) for value in both] for name, both in sorted(sent.changed.items())}
    told = {"deleted": True} if sent.deleted else {"created": sent.created}
    return {**line, **told, "changed": changed}
