"""Inheritance: what a class takes over, what a query through its parent gives, and what that costs, on every database.

The first half is what SQLObject's InheritableSQLObject can do, the second what it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    String,
    Table,
    cast,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    mapped_column,
    relationship,
    selectin_polymorphic,
    with_polymorphic,
)

from omreceiver import ExternalId, Field, Record, RecordMixin, Reference
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.records.models import Models
from omreceiver.store.database import open_engine
from omreceiver.store.upgrade import missing, upgrade
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.conftest import MakeApp, tables_of

ORGANIZATION = "00Dxx0000001gPFEAY"
CUSTOMER, KEY_CUSTOMER = "012000000000001AAA", "012000000000002AAA"


class Shop(DeclarativeBase):
    """The user's own base, for classes that no message fills."""

    type_annotation_map = Record.type_annotation_map


class Base(RecordMixin, Shop):
    __abstract__ = True


class Addressed:
    """A parent that is no table: a class may have several of them."""

    city: Mapped[str | None] = Field("City__c")


class Owned:
    owner: Mapped[Any] = Reference("OwnerId", "User")


tagged = Table(
    "tagged",
    Shop.metadata,
    Column("person_id", ForeignKey("person.external_id", onupdate="CASCADE", ondelete="CASCADE"), primary_key=True),
    Column("tag", ForeignKey("tag.name"), primary_key=True),
)


class Person(Base):
    """The root of three levels: Person, Contact and Lead, Customer, KeyCustomer."""

    external_id: Mapped[str] = ExternalId("Key__c")
    email: Mapped[str | None] = Field("Email")
    notes: Mapped[list[Note]] = relationship(back_populates="person", cascade="all, delete-orphan")
    tags: Mapped[list[Tag]] = relationship(secondary=tagged, back_populates="people", order_by="Tag.name")


class Contact(Owned, Addressed, Person, sobject="Contact"):
    phone: Mapped[str | None] = Field("Phone")


class Lead(Addressed, Person, sobject="Lead"):
    company: Mapped[str | None] = Field("Company")


class Customer(Contact, when={"RecordTypeId": CUSTOMER}):
    level: Mapped[int | None] = Field("Level__c")


class KeyCustomer(Customer, when={"RecordTypeId": KEY_CUSTOMER}):
    manager: Mapped[str | None] = Field("Manager__c")


class Note(Shop):
    """One to many: each belongs to a person, of whatever class."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey(Person.external_id, onupdate="CASCADE", ondelete="CASCADE"))
    words: Mapped[str]
    person: Mapped[Person] = relationship(back_populates="notes")


class Tag(Shop):
    """Many to many."""

    __tablename__ = "tag"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    people: Mapped[list[Person]] = relationship(
        secondary=tagged, back_populates="tags", order_by="Person.external_id", passive_deletes=True
    )


CLASSES: list[Any] = [Person, Contact, Lead, Customer, KeyCustomer]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    Shop.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def make[T](model: type[T], key: str, **values: Any) -> T:
    return model(external_id=key, salesforce_id=key.rjust(18, "0"), organization_id=ORGANIZATION, **values)
