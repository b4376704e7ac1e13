"""omreceiver: Salesforce outbound messages into your SQL tables, and signals into your Python code."""

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
