"""A Salesforce under constant change, which knows what a receiver must hold when it has heard everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from omreceiver.records.ids import to18
from omreceiver.testing import compose
from omreceiver.testing.messages import ORGANIZATION
from tests.storm_records import PARTNER

#: records that are edited at one time, and how often an edit takes up a new one instead: the old one is never edited
#: again, so that no later message can heal what was done to it
RECORDS, NEW = 200, 0.1
#: notifications of a message
BATCH = (1, 20)
OTHER = "012000000000002AAA"
#: field → how often an edit touches it, and its new value
EDITS: Mapping[str, tuple[float, Callable[[Random], Any]]] = {
    "Name": (0.5, lambda lot: f"{lot.choice(['Acme', 'Größe', '<Žluťák & syn>', '猫'])} {lot.randrange(10_000)}"),
    "AnnualRevenue": (0.3, lambda lot: Decimal(lot.randrange(10**8)) / 100),
    "Rating": (0.3, lambda lot: lot.choice(["Hot", "Warm", "Cold"])),
    "RecordTypeId": (0.05, lambda lot: lot.choice([PARTNER, PARTNER, OTHER])),
    "Tier__c": (0.3, lambda lot: lot.choice(["Gold", "Silver", "Bronze"])),
}
#: how often it is made blank instead
BLANK = 0.2

Fields = dict[str, Any]


@dataclass(eq=False)
class Envelope:
    """A message, and whether it has been acknowledged."""

    body: bytes = field(repr=False)
    notifications: Sequence[str]
    is_acknowledged: bool = False


@dataclass
class Org:
    """A Salesforce whose records somebody edits, one each second of some weeks gone by."""

    lot: Random
    #: external ID → the fields of the newest change
    truth: dict[str, Fields] = field(default_factory=dict)
    edited: dict[int, str] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(days=60))
    changes: int = 0

    def message(self) -> Envelope:
        """The next changes, each with the whole record as it then was."""
        changes = [self._change() for _ in range(self.lot.randint(*BATCH))]
        ids = [to18(f"04l{self.changes - at:012d}") for at in range(len(changes))]
        return Envelope(compose("Account", *changes, notification_ids=ids), ids)

    def _change(self) -> Fields:
        self.changes += 1
        self.now += timedelta(seconds=1)
        place = self.lot.randrange(RECORDS)
        if place not in self.edited or self.lot.random() < NEW:
            number = len(self.truth) + 1
            self.edited[place] = f"A-{number}"
            record: Fields = {"Id": to18(f"001{number:012d}"), "ERP_Id__c": f"A-{number}", **dict.fromkeys(EDITS)}
            edits = {name: self._value(name) for name in EDITS}
        else:
            record = self.truth[self.edited[place]]
            edits = {name: self._value(name) for name, (often, _) in EDITS.items() if self.lot.random() < often}
        changed = {**record, **edits, "SystemModstamp": self.now}
        self.truth[self.edited[place]] = changed
        return changed

    def _value(self, name: str) -> Any:
        return None if self.lot.random() < BLANK else EDITS[name][1](self.lot)

    def tables(self) -> dict[str, dict[str, Fields]]:
        """The truth as the class tables shall hold it: table → key → column → value."""
        partners = {key: fields for key, fields in self.truth.items() if fields["RecordTypeId"] == PARTNER}
        return {
            "account": {key: _account(key, fields, key in partners) for key, fields in self.truth.items()},
            "partner_account": {
                key: {"external_id": key, "tier": fields["Tier__c"]} for key, fields in partners.items()
            },
        }


def _account(key: str, fields: Fields, is_partner: bool) -> Fields:
    unmapped = {} if is_partner or fields["Tier__c"] is None else {"Tier__c": fields["Tier__c"]}
    return {
        "external_id": key,
        "child_name": "PartnerAccount" if is_partner else "Account",
        "salesforce_id": fields["Id"],
        "organization_id": ORGANIZATION,
        "modstamp": fields["SystemModstamp"],
        "action_stamps": None,
        "extra": unmapped or None,
        "name": fields["Name"],
        "revenue": fields["AnnualRevenue"],
        "rating": fields["Rating"],
        "record_type": fields["RecordTypeId"],
    }
