"""Records declared without `from __future__ import annotations`, as older code is written, and with quotes."""

from datetime import date, datetime
from decimal import Decimal
from typing import Optional, Union

from sqlalchemy.orm import DeclarativeBase, Mapped

from omreceiver import ExternalId, Field, RecordId, RecordMixin, Reference


class PlainBase(RecordMixin, DeclarativeBase):
    """A base of its own, so that no receiver takes these records by accident."""


class PlainAccount(PlainBase, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[Optional[str]] = Field("Name")  # noqa: UP045 — as older code is written
    site: Mapped[Union[str, None]] = Field("Site")  # noqa: UP007
    phone: Mapped["str | None"] = Field("Phone")
    fax: "Mapped[str | None]" = Field("Fax")
    owner_id: Mapped[RecordId | None] = Field("OwnerId")
    revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
    founded: Mapped[date | None] = Field("Founded__c")
    seen_at: Mapped[datetime] = Field("LastSeen__c")
    topics: Mapped[list[str] | None] = Field("Topics__c")
    parent: Mapped[Optional["PlainAccount"]] = Reference("ParentId", "Account")
