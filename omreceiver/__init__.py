"""omreceiver: Salesforce outbound messages into your SQL tables, and signals into your Python code."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omreceiver.app import OutboundMessages, create_app, parts_of
    from omreceiver.config import Settings
    from omreceiver.errors import OmreceiverError
    from omreceiver.queries.select import soql
    from omreceiver.records.compounds import Address, Compound, Geolocation
    from omreceiver.records.extend import extend
    from omreceiver.records.fields import ExternalId, Field
    from omreceiver.records.record import Record, RecordMixin
    from omreceiver.records.references import Reference
    from omreceiver.records.tombstones import Tombstone
    from omreceiver.records.typeof import typeof
    from omreceiver.records.types import RecordId
    from omreceiver.signals import (
        Change,
        committed,
        message_received,
        message_refused,
        notification_quarantined,
        post_delete,
        post_save,
        pre_delete,
        pre_save,
        reference_resolved,
    )
    from omreceiver.signals.receiver import receiver
    from omreceiver.testing.replay import replay

#: public name → its module, imported when the name is first asked for: a web process has no need of what tests replay
#: with, and `omreceiver --help` of nothing. A test holds it and the imports above together
_HOMES = {
    "Address": "records.compounds",
    "Change": "signals",
    "Compound": "records.compounds",
    "ExternalId": "records.fields",
    "Field": "records.fields",
    "Geolocation": "records.compounds",
    "OmreceiverError": "errors",
    "OutboundMessages": "app",
    "Record": "records.record",
    "RecordId": "records.types",
    "RecordMixin": "records.record",
    "Reference": "records.references",
    "Settings": "config",
    "Tombstone": "records.tombstones",
    "committed": "signals",
    "create_app": "app",
    "extend": "records.extend",
    "message_received": "signals",
    "message_refused": "signals",
    "notification_quarantined": "signals",
    "parts_of": "app",
    "post_delete": "signals",
    "post_save": "signals",
    "pre_delete": "signals",
    "pre_save": "signals",
    "receiver": "signals.receiver",
    "reference_resolved": "signals",
    "replay": "testing.replay",
    "soql": "queries.select",
    "typeof": "records.typeof",
}

__all__ = [
    "Address",
    "Change",
    "Compound",
    "ExternalId",
    "Field",
    "Geolocation",
    "OmreceiverError",
    "OutboundMessages",
    "Record",
    "RecordId",
    "RecordMixin",
    "Reference",
    "Settings",
    "Tombstone",
    "committed",
    "create_app",
    "extend",
    "message_received",
    "message_refused",
    "notification_quarantined",
    "parts_of",
    "post_delete",
    "post_save",
    "pre_delete",
    "pre_save",
    "receiver",
    "reference_resolved",
    "replay",
    "soql",
    "typeof",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
