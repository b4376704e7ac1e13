"""Tombstones: records that tell of other records' deletion, as Salesforce itself sends nothing when one is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from types import ModuleType


@dataclass(frozen=True)
class Tombstone:
    """An sObject whose records an Apex delete trigger writes, and whose outbound message names what was deleted:
    the documented way round the missing delete event (Integration Patterns, "Remote Process Invocation: Fire and
    Forget").

        deleted = Tombstone("Deleted_Object__c", record_id="Object_Id__c", sobject="Object_Type__c")

    `record_id` is the field that holds the ID of the deleted record, `sobject` the one that holds its API name; without
    it the record is looked for in all classes. Put it into a module that declares records. Select SystemModstamp or
    CreatedDate in its outbound message: it is the time of the deletion, by which older messages are told from newer.
    """

    name: str
    _: KW_ONLY
    record_id: str
    sobject: str | None = None


def tombstones_in(modules: Iterable[ModuleType]) -> list[Tombstone]:
    """The tombstones that modules hold by name, each once."""
    held = (value for module in modules for value in vars(module).values() if isinstance(value, Tombstone))
    return list(dict.fromkeys(held))
