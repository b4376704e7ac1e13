"""The records of the crowd, and receivers that write a line for each signal. Only the servers of a test import this,
by OMRECEIVER_MODELS: what it connects would be heard by every other test of a process.
"""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

from omreceiver import ExternalId, Field, RecordId, RecordMixin, committed, post_delete, post_save, receiver

#: what is tried again is told to the log, and so to the test
logging.basicConfig(level=logging.INFO)
PARTNER = "012000000000001AAA"


class CrowdBase(RecordMixin, DeclarativeBase):
    """A base of its own, so that no receiver takes these records by accident."""


class Account(CrowdBase, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")
    record_type: Mapped[RecordId | None] = Field("RecordTypeId")


class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):
    tier: Mapped[str | None] = Field("Tier__c")


#: made by the test, as users make tables of their own
heard = Table(
    "heard",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("told", String(20)),
    Column("external_id", String(255)),
    Column("turn", Integer),
    Column("created", Integer),
)


def hear(signal: str, session: Session, instance: Any, created: bool) -> None:
    line = {"told": signal, "external_id": instance.external_id, "turn": int(instance.name), "created": int(created)}
    session.execute(insert(heard).values(line))


@receiver(post_save, sender=Account)
def saved(sender: type, session: Session, instance: Any, created: bool, **_: Any) -> None:
    hear("post_save", session, instance, created)


@receiver(post_delete, sender=Account)
def deleted(sender: type, session: Session, instance: Any, created: bool, **_: Any) -> None:
    hear("post_delete", session, instance, created)


@receiver(committed, sender=Account)
def told(sender: type, session: Session, instance: Any, created: bool, **_: Any) -> None:
    hear("committed", session, instance, created)


@receiver(committed, sender=Account, durable="elsewhere")
def told_elsewhere(sender: type, **_: Any) -> None:
    """Its events are counted; no relay runs."""
