"""What most tests begin with: an account, the moments of its changes, and a message whose outcomes are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask

from omreceiver.testing import compose
from omreceiver.testing.replay import post

#: a record type
PARTNER = "012000000000001AAA"
ONE, TWO, THREE, FOUR = (f"00100000000000{number}AAA" for number in (1, 2, 3, 4))


def at(second: int) -> datetime:
    return datetime(2026, 11, 20, 12, 0, second, tzinfo=UTC)


def acme(**fields: Any) -> dict[str, Any]:
    return {"Id": ONE, "ERP_Id__c": "A-1", "Name": "Acme", "SystemModstamp": at(1), **fields}


def send(app: Flask, *records: Mapping[str, Any], sobject: str = "Account", **options: Any) -> list[str]:
    """Send one message; gives the outcome of each record, in order."""
    answer = post(app, compose(sobject, *records, **options))
    assert answer.ack, answer
    assert answer.receipt is not None
    return [answer.outcomes[notification.id] for notification in answer.receipt.message.notifications]
