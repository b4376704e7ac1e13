"""The Opportunity of the benchmarks: its WSDL, and messages about it in Salesforce's shape. All values are invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from omreceiver.records.values import Value
from omreceiver.testing import compose
from tests.wsdls import select_fields

SOBJECT, KEY = "Opportunity", "External_ID__c"
ORGANIZATION, ACTION = "00Dx0000000abcdEAA", "04kx0000000abcdAAA"
TEXTS = [f"Field_{number}__c" for number in range(14)]
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SETTINGS = {"OMRECEIVER_ORGANIZATIONS": ORGANIZATION[:15], "OMRECEIVER_EXTERNAL_IDS": f"{SOBJECT}={KEY}"}


def write_wsdl(folder: Path) -> None:
    typed = {"SystemModstamp": "dateTime", "CloseDate": "date", "Amount": "double", "IsWon": "boolean"}
    select_fields(folder, SOBJECT, Id="ID", **{KEY: "string"}, **typed, **dict.fromkeys(TEXTS, "string"))


def message(count: int, first: int, change: int, delivery: int | None = None) -> bytes:
    """`count` notifications about the records from `first` on. A higher `change` is a later change of the same records;
    a higher `delivery` alone tells the same values again, with a later stamp and in new notifications.
    """
    turn = change if delivery is None else delivery
    return compose(
        SOBJECT,
        *(_record(number, change, turn) for number in range(first, first + count)),
        organization_id=ORGANIZATION,
        action_id=ACTION,
        notification_ids=[f"04l{turn:03d}{number:09d}AAA" for number in range(first, first + count)],
    )


def _record(number: int, change: int, turn: int) -> dict[str, Value]:
    known: dict[str, Value] = {
        "Id": f"006x{number:011d}AAA",
        KEY: f"EXT-{number}",
        "Amount": 1000.5 + change,
        "CloseDate": "2026-12-31",
        "IsWon": False,
        "SystemModstamp": START + timedelta(seconds=turn),
    }
    return known | {name: f"value {number} of {name}, change {change} & more" for name in TEXTS}


def half_new(count: int, size: int, turn: int, change: int | None = None, delivery: int | None = None) -> list[bytes]:
    """`count` messages of `size` each. Of turn after turn, half of the records are those of the turn before."""
    first = 10_000_000 * (size > 1) + turn * (count * size // 2)
    told = turn if change is None else change
    return [message(size, first + number * size, told, delivery) for number in range(count)]
