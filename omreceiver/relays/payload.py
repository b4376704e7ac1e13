"""An event as JSON, for whoever is not in this process, in the envelope of Standard Webhooks: type, timestamp, data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from omreceiver.records.record import RecordMixin
from omreceiver.store.events import plain


def kind(sender: type[RecordMixin], sent: Mapping[str, Any]) -> str:
    """The type of an event: Account.updated."""
    done = "deleted" if sent["deleted"] else "created" if sent["created"] else "updated"
    return f"{sender.__name__}.{done}"


def payload(sender: type[RecordMixin], sent: Mapping[str, Any]) -> str:
    """What a durable receiver is told, as a text of JSON; values as Salesforce writes them.

    {"type": "Account.updated", "timestamp": when it was stored, "data": {"event_id", "class", "sobject", "key",
    "salesforce_id", "created", "deleted", "raw", "changed": {attribute: [old, new]}, "record": {attribute: value}}}
    `record` is null when it is gone.
    """
    instance: RecordMixin | None = sent["instance"]
    data = {
        "event_id": sent["event_id"],
        "class": sender.__name__,
        "sobject": sender.__sobject__,
        "key": sent["key"],
        "salesforce_id": sent["salesforce_id"],
        **{name: sent[name] for name in ("created", "deleted", "raw")},
        "changed": {name: [plain(value) for value in both] for name, both in sent["changed"].items()},
        "record": None if instance is None else _record(instance),
    }
    moment: datetime = sent["event_at"]
    whole = {"type": kind(sender, sent), "timestamp": moment.astimezone(UTC).isoformat(), "data": data}
    return json.dumps(whole, ensure_ascii=False)


def _record(instance: RecordMixin) -> dict[str, Any]:
    return {name: plain(getattr(instance, name)) for name in type(instance).fields}
