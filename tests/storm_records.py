"""The records of the storm: a root, and a leaf for partners, so that one message writes two tables."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy.orm import DeclarativeBase, Mapped

from omreceiver import ExternalId, Field, RecordId, RecordMixin

PARTNER = "012000000000001AAA"


class StormBase(RecordMixin, DeclarativeBase):
    """A base of its own, so that no receiver takes these records by accident."""


class Account(StormBase, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")
    revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
    rating: Mapped[str | None] = Field("Rating")
    record_type: Mapped[RecordId | None] = Field("RecordTypeId")


class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):
    tier: Mapped[str | None] = Field("Tier__c")
