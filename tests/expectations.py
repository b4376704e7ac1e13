"""What a fixture promises in its expect.json, compared with what happened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from omreceiver.testing import Recorder


@dataclass(frozen=True)
class Expectation:
    """outcomes: one object a message; rows: by table, columns named only where they matter; signals: in order."""

    about: str
    outcomes: list[dict[str, str]]
    rows: dict[str, list[dict[str, Any]]]
    signals: list[dict[str, Any]]

    @classmethod
    def of(cls, case: Path) -> Expectation:
        return cls(**json.loads((case / "expect.json").read_text(encoding="utf-8")))


def rows_as_json(expected: list[dict[str, Any]], actual: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The actual rows whose keys are expected, cut down to the columns that are, written as expect.json does."""
    by_key = {row["external_id"]: row for row in actual}
    return [{name: as_json(by_key[row["external_id"]][name]) for name in row} for row in expected]


def signals_as_json(signals: Recorder) -> list[dict[str, Any]]:
    return [
        {
            "signal": sent.signal,
            "sender": sent.sender.__name__,
            "created": sent.created,
            "changed": sorted(sent.changed),
        }
        for sent in signals
    ]


def as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, datetime | date) else value
