"""What the rows of a message are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from omreceiver.store.freshness import Lists
from omreceiver.store.plan import Plan
from omreceiver.store.present import Found
from omreceiver.store.tombstones import Gone


@dataclass(frozen=True)
class Situation:
    """The plan, what is here of its records, and what is remembered of those that are not."""

    plan: Plan
    found: Found
    #: Salesforce ID → what is remembered
    gone: Mapping[str, Gone]
    lists: Lists
