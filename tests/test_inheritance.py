"""Inheritance: what a class takes over, what a query through its parent gives, and what that costs, on every database.

The first half is what SQLObject's InheritableSQLObject can do, the second what it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    Select,
    String,
    Table,
    case,
    cast,
    column,
    create_engine,
    delete,
    exists,
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
    with_polymorphic,
)

from omreceiver import ExternalId, Field, Record, RecordMixin, Reference, Settings, post_save
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.records.models import Models
from omreceiver.store.database import open_engine
from omreceiver.store.upgrade import missing, upgrade
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import post
from tests.accounts import at
from tests.conftest import MakeApp, tables_of
from tests.statements import statements

ORGANIZATION = "00Dxx0000001gPFEAY"
CUSTOMER, KEY_CUSTOMER = "012000000000001AAA", "012000000000002AAA"
P = TypeVar("P", bound="Base")


class Shop(DeclarativeBase):
    """The user's own base, for classes that no message fills."""


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


class Note(Shop):
    """One to many: each belongs to a person, of whatever class."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.external_id", onupdate="CASCADE", ondelete="CASCADE"))
    words: Mapped[str] = mapped_column(String(80))
    person: Mapped[Person] = relationship(back_populates="notes")


class Tag(Shop):
    """Many to many."""

    __tablename__ = "tag"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    people: Mapped[list[Person]] = relationship(
        secondary=tagged, back_populates="tags", order_by="Person.external_id", passive_deletes=True
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


class User(Base, sobject="User"):
    """A root of its own, which a Contact names as its owner."""


class PartnerUser(User, when={"UserType": "PowerPartner"}):
    portal: Mapped[str | None] = Field("Portal__c")


CLASSES: list[Any] = [Person, Contact, Lead, Customer, KeyCustomer]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    Shop.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def new(model: type[P], key: str, **values: Any) -> P:
    """A record with this key, and a Salesforce ID that ends in it."""
    return model(external_id=key, salesforce_id=key.rjust(18, "0"), organization_id=ORGANIZATION, **values)


def kinds(records: Iterable[Any]) -> list[tuple[str, str]]:
    """Key and class of each, in the order of the keys."""
    return sorted((record.external_id, type(record).__name__) for record in records)


@pytest.fixture
def people(session: Session) -> Session:
    """One record of each class, stored; the session holds none of them."""
    session.add_all(
        [
            new(Person, "p", email="p@example.com"),
            new(Contact, "c", email="c@example.com", phone="1", city="Bonn"),
            new(Lead, "l", email="l@example.com", company="Acme", city="Bonn"),
            new(Customer, "u", email="u@example.com", phone="2", level=1),
            new(KeyCustomer, "k", email="k@example.com", phone="3", city="Ulm", level=2, manager="Ann"),
        ]
    )
    session.commit()
    session.expunge_all()
    return session


def rows(session: Session, *models: Any) -> dict[str, list[str]]:
    """The keys in the table of each class itself, whatever the classes make of them."""
    tables = [table_of(model) for model in models or CLASSES]
    return {t.name: list(session.scalars(select(t.c.external_id).order_by(t.c.external_id))) for t in tables}


def table_of(model: Any) -> Table:
    table = inspect(model).local_table
    assert isinstance(table, Table)
    return table


# -- what a query through a parent gives ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("through", "key", "leaf"),
    [
        (Person, "k", KeyCustomer),
        (Contact, "k", KeyCustomer),
        (Customer, "k", KeyCustomer),
        (Person, "l", Lead),
        (Contact, "c", Contact),
        (Person, "p", Person),
    ],
)
def test_a_get_by_key_through_any_class_above_gives_the_leaf(
    people: Session, through: type[Person], key: str, leaf: type[Person]
) -> None:
    found = people.get_one(through, key)

    assert type(found) is leaf
    assert found.email == f"{key}@example.com"


def test_a_get_through_a_class_beside_it_finds_nothing(people: Session) -> None:
    assert people.get(Lead, "k") is None
    assert people.get(Customer, "c") is None


def test_selecting_a_parent_lists_its_leaves(people: Session) -> None:
    everybody = [("c", "Contact"), ("k", "KeyCustomer"), ("l", "Lead"), ("p", "Person"), ("u", "Customer")]

    assert kinds(people.scalars(select(Person))) == everybody
    assert kinds(people.scalars(select(Contact))) == [("c", "Contact"), ("k", "KeyCustomer"), ("u", "Customer")]
    assert kinds(people.scalars(select(KeyCustomer))) == [("k", "KeyCustomer")]


def test_a_reference_to_a_parent_gives_the_leaf(session: Session) -> None:
    session.add_all([new(PartnerUser, "005a", portal="north"), new(Contact, "c", owner_id="005a".rjust(18, "0"))])
    session.commit()

    owner = session.get_one(Contact, "c").owner

    assert type(owner) is PartnerUser
    assert owner.portal == "north"


def test_one_to_many_through_the_parent(people: Session) -> None:
    key_customer, lead = people.get_one(Person, "k"), people.get_one(Person, "l")
    key_customer.notes = [Note(words="met in Ulm"), Note(words="call back")]
    lead.notes = [Note(words="new")]
    people.commit()

    met = people.scalars(select(Note).where(Note.words == "met in Ulm")).one()
    assert type(met.person) is KeyCustomer
    assert met.person.manager == "Ann"
    assert sorted(note.words for note in people.get_one(KeyCustomer, "k").notes) == ["call back", "met in Ulm"]
    assert [key for (key,) in people.execute(select(KeyCustomer.external_id).where(KeyCustomer.notes.any()))] == ["k"]


def test_many_to_many_through_the_parent(people: Session) -> None:
    ann, lead = people.get_one(Person, "k"), people.get_one(Person, "l")
    people.add_all([Tag(name="vip", people=[ann, lead]), Tag(name="fair", people=[ann])])
    people.commit()

    assert kinds(people.get_one(Tag, "vip").people) == [("k", "KeyCustomer"), ("l", "Lead")]
    assert [tag.name for tag in people.get_one(KeyCustomer, "k").tags] == ["fair", "vip"]
    tagged_leads = select(Lead).join(Lead.tags).where(Tag.name == "vip")
    assert kinds(people.scalars(tagged_leads)) == [("l", "Lead")]


# -- what parent and child share --------------------------------------------------------------------------------------


def test_parent_and_child_share_one_key(people: Session) -> None:
    assert rows(people) == {
        "person": ["c", "k", "l", "p", "u"],
        "contact": ["c", "k", "u"],
        "lead": ["l"],
        "customer": ["k", "u"],
        "key_customer": ["k"],
    }
    assert people.get_one(Person, "k") is people.get_one(KeyCustomer, "k")


def test_the_root_says_the_leaf_in_child_name(people: Session) -> None:
    found = people.execute(select(Person.external_id, Person.child_name)).all()

    assert dict(found) == {"c": "Contact", "k": "KeyCustomer", "l": "Lead", "p": "Person", "u": "Customer"}
    assert "child_name" not in table_of(KeyCustomer).c


def test_columns_of_all_parents_are_read_and_written_through_the_child(people: Session) -> None:
    ann = people.get_one(KeyCustomer, "k")
    assert (ann.email, ann.phone, ann.level, ann.manager) == ("k@example.com", "3", 2, "Ann")

    ann.email, ann.phone, ann.level, ann.manager = "new@example.com", "4", 3, "Bea"
    people.commit()

    assert people.execute(select(table_of(Person).c.email).filter_by(external_id="k")).scalar() == "new@example.com"
    assert people.execute(select(table_of(Contact).c.phone).filter_by(external_id="k")).scalar() == "4"
    assert people.execute(select(table_of(Customer).c.level).filter_by(external_id="k")).scalar() == 3
    assert people.execute(select(table_of(KeyCustomer).c.manager).filter_by(external_id="k")).scalar() == "Bea"


def test_a_filter_on_a_child_mixes_columns_of_all_levels(people: Session) -> None:
    query = select(KeyCustomer).where(
        KeyCustomer.email.endswith("@example.com"), KeyCustomer.phone == "3", KeyCustomer.manager == "Ann"
    )

    assert kinds(people.scalars(query)) == [("k", "KeyCustomer")]
    assert people.scalars(query.where(KeyCustomer.level == 1)).all() == []


def test_a_filter_through_the_parent_mixes_columns_of_several_children(people: Session) -> None:
    person = with_polymorphic(Person, "*")
    query = select(person).where(
        person.email != "p@example.com", (person.Lead.company == "Acme") | (person.Customer.level >= 2)
    )

    assert kinds(people.scalars(query)) == [("k", "KeyCustomer"), ("l", "Lead")]


def test_a_filter_through_the_parent_names_the_children_as_they_are(people: Session) -> None:
    """A class and all below it are one query, without an option."""
    query = select(Person).where(Person.email != "p@example.com", (Lead.company == "Acme") | (Customer.level >= 2))

    assert kinds(people.scalars(query)) == [("k", "KeyCustomer"), ("l", "Lead")]
    assert kinds(people.scalars(select(Contact).where(KeyCustomer.manager == "Ann"))) == [("k", "KeyCustomer")]


@pytest.mark.parametrize("through", [Person, Contact, KeyCustomer])
def test_deleting_a_record_removes_its_rows_whichever_class_it_was_found_through(
    people: Session, through: type[Person]
) -> None:
    record = people.get_one(through, "k")
    record.notes, record.tags = [Note(words="bye")], [Tag(name="vip")]
    people.commit()

    people.delete(record)
    people.commit()

    assert rows(people) == {
        "person": ["c", "l", "p", "u"],
        "contact": ["c", "u"],
        "lead": ["l"],
        "customer": ["u"],
        "key_customer": [],
    }
    assert people.scalars(select(Note)).all() == []
    assert people.execute(select(tagged)).all() == []


def test_deleting_many_by_the_root_removes_their_rows_everywhere(people: Session) -> None:
    people.execute(delete(Person).where(Person.child_name.in_(["KeyCustomer", "Lead"])))
    people.commit()

    assert rows(people) == {
        "person": ["c", "p", "u"],
        "contact": ["c", "u"],
        "lead": [],
        "customer": ["u"],
        "key_customer": [],
    }


# -- declarations -----------------------------------------------------------------------------------------------------


def test_a_class_may_be_marked_as_never_inherited(base: Any) -> None:
    class Country(base, sobject="Country__c", inheritable=False):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    assert "child_name" not in table_of(Country).c
    assert inspect(Country).polymorphic_on is None
    with pytest.raises(DeclarationError, match=r"^Island derives from Country, which is declared inheritable=False\."):

        class Island(Country):
            pass


def test_a_leaf_may_be_marked_as_never_inherited(base: Any) -> None:
    class Place(base):
        pass

    class Country(Place, sobject="Country__c", inheritable=False):  # type: ignore[call-arg]
        pass

    assert "child_name" in table_of(Place).c
    with pytest.raises(DeclarationError, match=r"^Island derives from Country"):

        class Island(Country):
            pass


@pytest.mark.parametrize(
    ("parent", "holder"), [("Person", "Person"), ("Contact", "Contact"), ("Customer", "Contact")], ids=str
)
def test_redefining_a_column_is_refused_naming_both_classes(base: Any, parent: str, holder: str) -> None:
    class Person(base):
        email: Mapped[str | None] = Field("Email")

    class Contact(Person, sobject="Contact"):  # type: ignore[call-arg]
        phone: Mapped[str | None] = Field("Phone")

    class Customer(Contact, when={"RecordTypeId": CUSTOMER}):  # type: ignore[call-arg]
        pass

    column = "email" if holder == "Person" else "phone"
    above = {"Person": Person, "Contact": Contact, "Customer": Customer}[parent]
    with pytest.raises(DeclarationError, match=rf"^E008 Special\.{column} declares {holder}\.{column} again"):
        type("Special", (above,), {column: Field("Other__c"), "__annotations__": {column: Mapped[str | None]}})


def test_mapping_an_inherited_field_under_another_name_is_refused(base: Any) -> None:
    class Person(base, sobject="Contact"):  # type: ignore[call-arg]
        email: Mapped[str | None] = Field("Email")

    with pytest.raises(DeclarationError, match=r"^E008 Special\.address declares Person\.email again"):

        class Special(Person, when={"RecordTypeId": CUSTOMER}):  # type: ignore[call-arg]
            address: Mapped[str | None] = Field("Email")


def test_a_relationship_may_name_a_class_that_is_declared_later() -> None:
    """Defining a class does not make SQLAlchemy look for everything that its parent names."""

    class Plain(DeclarativeBase):
        pass

    class FromSalesforce(RecordMixin, Plain):
        __abstract__ = True

    class Account(FromSalesforce, sobject="Account"):
        visits: Mapped[list[Any]] = relationship("Visit")

    class PartnerAccount(Account, when={"RecordTypeId": CUSTOMER}):
        tier: Mapped[str | None] = Field("Tier__c")

    class Visit(Plain):
        __tablename__ = "visit"
        id: Mapped[int] = mapped_column(primary_key=True)
        account_id: Mapped[str] = mapped_column(ForeignKey(Account.external_id))

    assert PartnerAccount(visits=[visit := Visit()]).visits == [visit]


# -- what SQLObject cannot --------------------------------------------------------------------------------------------


def test_several_parents_that_carry_fields(people: Session) -> None:
    """Mixins: each table that has one holds its columns, and the classes below inherit them as any other."""
    assert set(table_of(Contact).c.keys()) == {"external_id", "owner_id", "city", "phone"}
    assert set(table_of(Lead).c.keys()) == {"external_id", "city", "company"}
    assert kinds(people.scalars(select(Contact).where(Contact.city == "Ulm"))) == [("k", "KeyCustomer")]
    assert kinds(people.scalars(select(Lead).where(Lead.city == "Bonn"))) == [("l", "Lead")]


def test_two_classes_of_one_parent_in_one_query(people: Session) -> None:
    """An alias of one of them is its own copy of the parent too; `flat` lets the database see through it."""
    people.add_all(
        [
            new(Lead, "l2", email="c@example.com", company="Beta", city="Köln"),
            new(Lead, "l3", email="x@example.com", company="Gamma", city="Ulm"),
        ]
    )
    lead = aliased(Lead, flat=True)

    by_parent = select(Contact.email, lead.email, lead.company).join(lead, lead.email == Contact.email)
    by_child = select(Contact.external_id, lead.external_id).join(lead, lead.city == Contact.city)
    in_order = by_child.where(lead.email != Contact.email).order_by(lead.email.desc(), Contact.email)
    assert people.execute(by_parent).all() == [("c@example.com", "c@example.com", "Beta")]
    assert sorted(people.execute(by_child)) == [("c", "l"), ("k", "l3")]
    assert people.execute(in_order).all() == [("k", "l3"), ("c", "l")]


def test_pairs_of_records_of_two_classes_of_one_parent(people: Session) -> None:
    lead = aliased(Lead, flat=True)

    [(contact, its_lead)] = people.execute(select(Contact, lead).join(lead, lead.city == Contact.city))

    assert (type(contact), contact.email) == (Contact, "c@example.com")
    assert (type(its_lead), its_lead.email) == (Lead, "l@example.com")


def test_a_class_and_its_own_parent_in_one_query(people: Session) -> None:
    """Everybody who lives where the lead lives: a class is joined to itself by way of the root."""
    people.get_one(Person, "k").email = people.get_one(Person, "l").email
    contact = aliased(Contact, flat=True)

    same = select(Person.external_id, contact.external_id).join(contact, contact.email == Person.email)

    assert sorted(people.execute(same.where(Person.external_id != contact.external_id))) == [("l", "k")]


def test_an_alias_inside_exists(people: Session) -> None:
    """Inside and outside are two copies of the parent only if one is an alias: else `Lead.email == Contact.email`
    compares a row with itself. `exists` is told a column of the class itself, or it looks into the parent's table.
    """
    people.add(new(Lead, "l2", email="c@example.com"))
    lead = aliased(Lead, flat=True)

    has_lead = exists(lead.external_id).where(lead.email == Contact.email)
    assert people.scalars(select(Contact.external_id).where(has_lead)).all() == ["c"]
    assert sorted(people.scalars(select(Contact.external_id).where(~has_lead))) == ["k", "u"]


def test_a_subquery_that_stands_alone_needs_no_alias(people: Session) -> None:
    people.add(new(Lead, "l2", email="c@example.com"))

    among = Contact.email.in_(select(Lead.email))
    assert people.scalars(select(Contact.external_id).where(among)).all() == ["c"]


def test_without_an_alias_sqlalchemy_warns(people: Session) -> None:
    query = select(Contact.external_id, Lead.external_id).join(Lead, Lead.city == Contact.city)

    with pytest.warns(SAWarning, match="An alias is being generated automatically"):
        assert people.execute(query).all() == [("c", "l")]


def test_distinct_and_ordered_by_a_column_of_a_child(people: Session) -> None:
    people.add(new(Lead, "l2", email="l2@example.com", company="Aardvark"))
    for key in ("l", "l2", "k"):
        people.get_one(Person, key).notes = [Note(words="one"), Note(words="two")]
    people.flush()

    query = select(Person).join(Person.notes).distinct().order_by(Lead.company, Person.external_id)
    found = [person.external_id for person in people.scalars(query)]

    assert sorted(found) == ["k", "l", "l2"]
    assert [key for key in found if key != "k"] == ["l2", "l"]


def test_the_columns_of_a_class_include_the_inherited_ones(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": CUSTOMER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")
        remarks: Mapped[str | None]

    system = {"external_id", "child_name", "salesforce_id", "organization_id", "modstamp", "action_stamps", "extra"}
    assert set(Account.fields) == system | {"name"}
    assert set(PartnerAccount.fields) == system | {"name", "tier", "remarks"}


def test_the_columns_of_a_class_serve_in_queries(people: Session) -> None:
    named = {name: KeyCustomer.fields[name] for name in ("email", "phone", "level", "manager")}

    assert people.execute(select(*named.values())).all() == [("k@example.com", "3", 2, "Ann")]
    assert people.scalars(select(Person.external_id).where(Person.fields["email"] == "l@example.com")).all() == ["l"]


def test_changes_that_are_not_yet_stored_are_seen_through_the_parent(people: Session) -> None:
    people.add(new(KeyCustomer, "k2", email="k2@example.com", manager="Zoe"))
    people.get_one(Lead, "l").company = "Changed"
    people.delete(people.get_one(Person, "c"))

    query = select(Person).where((KeyCustomer.manager == "Zoe") | (Lead.company == "Changed"))
    assert kinds(people.scalars(query)) == [("k2", "KeyCustomer"), ("l", "Lead")]
    assert people.get(Person, "c") is None
    people.rollback()
    assert people.scalars(query).all() == []
    assert type(people.get(Person, "c")) is Contact


def test_aggregates_over_the_parent(people: Session) -> None:
    assert people.scalar(select(func.count()).select_from(Person)) == 5
    assert people.scalar(select(func.count()).select_from(Contact)) == 3
    assert people.scalar(select(func.count()).select_from(Contact).where(Contact.email != "k@example.com")) == 2
    person = with_polymorphic(Person, "*")
    both = select(func.max(person.email), func.sum(person.Customer.level))
    assert people.execute(both).all() == [("u@example.com", 3)]

    by_class = select(Person.child_name, func.count()).group_by(Person.child_name)
    assert dict(people.execute(by_class).all()) == dict.fromkeys(
        ["Person", "Contact", "Lead", "Customer", "KeyCustomer"], 1
    )
    with_phone = select(func.count()).select_from(Person).where(Contact.phone.in_(["1", "3"]))
    assert people.scalar(with_phone) == 2


def test_many_are_updated_at_once_through_the_class_that_holds_the_column(people: Session) -> None:
    """An UPDATE has one table: conditions on others are asked for in a subquery, of an alias."""
    people.execute(update(Person).where(Person.child_name == "Lead").values(email="nobody@example.com"))
    contact = aliased(Contact, flat=True)
    ulm = select(contact.external_id).where(contact.email == "k@example.com", contact.city == "Ulm")
    people.execute(update(Customer).where(Customer.external_id.in_(ulm)).values(level=9))
    people.commit()

    assert people.get_one(Lead, "l").email == "nobody@example.com"
    assert people.get_one(Contact, "c").email == "c@example.com"
    assert dict(people.execute(select(Customer.external_id, Customer.level)).all()) == {"k": 9, "u": 1}


def test_a_field_that_is_added_later_leaves_the_data(database_url: str) -> None:
    """Your classes have migrations of yours: `missing` says which columns, here a line of Alembic's adds each."""
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    before = two_levels({}, {})
    upgrade(engine, Models(before))
    with Session(engine) as session, session.begin():
        session.add(new(before[1], "a", name="Acme", tier="Gold"))

    after = two_levels({"site": Field("Site")}, {"topics": Field("Topics__c")})
    lacking = missing(engine, Models(after))
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        for table, column in lacking.columns:
            operations.add_column(table.name, column._copy())

    assert [(table.name, column.name) for table, column in lacking.columns] == [
        ("account", "site"),
        ("partner_account", "topics"),
    ]
    assert not missing(engine, Models(after))
    with Session(engine) as session:
        found: Any = session.get_one(after[0], "a")
        assert type(found) is after[1]
        assert (found.name, found.tier, found.site, found.topics) == ("Acme", "Gold", None, None)
    engine.dispose()


def two_levels(above: dict[str, Any], below: dict[str, Any]) -> list[Any]:
    """Account and PartnerAccount on a base of their own, each with what is given."""

    class Fresh(RecordMixin, DeclarativeBase):
        type_annotation_map = Record.type_annotation_map

    def declared(name: str, parent: Any, fields: dict[str, Any], **keywords: Any) -> Any:
        annotations = dict.fromkeys(fields, Mapped[str | None])
        return type(name, (parent,), {**fields, "__annotations__": annotations}, **keywords)

    account = declared("Account", Fresh, {"name": Field("Name"), **above}, sobject="Account")
    partner = {"tier": Field("Tier__c"), **below}
    return [account, declared("PartnerAccount", account, partner, when={"RecordTypeId": CUSTOMER})]


# -- what it costs ----------------------------------------------------------------------------------------------------

N, LEAVES = 200, (Lead, Customer, KeyCustomer)


@pytest.fixture
def many(session: Session) -> Session:
    """200 records of 3 leaf classes on three levels."""
    session.add_all([new(LEAVES[at % 3], f"{at:03}", email=f"{at}@example.com", city="Bonn") for at in range(N)])
    session.commit()
    session.expunge_all()
    return session


def read_all(record: Any) -> list[Any]:
    return [getattr(record, name) for name in type(record).fields]


def test_n_records_of_k_leaf_classes_take_at_most_1_plus_k_statements(engine: Engine, many: Session) -> None:
    with statements(engine, only="SELECT") as seen:
        found = [read_all(person) for person in many.scalars(select(Person))]

    assert len(found) == N
    assert len(seen) <= 1 + len(LEAVES)


def test_and_one_with_an_option(engine: Engine, many: Session) -> None:
    with statements(engine, only="SELECT") as seen:
        found = [read_all(person) for person in many.scalars(select(with_polymorphic(Person, "*")))]

    assert len(found) == N
    assert len(seen) == 1


def test_records_of_a_class_in_the_middle_cost_no_more(engine: Engine, many: Session) -> None:
    with statements(engine, only="SELECT") as seen:
        found = many.scalars(select(Contact)).all()
        assert all(read_all(contact) for contact in found)

    assert {type(contact) for contact in found} == {Customer, KeyCustomer}
    assert len(seen) <= 1 + 2


def test_the_naive_way_takes_one_more_for_each_record(engine: Engine, many: Session) -> None:
    """The parent's table alone, and the rest when it is asked for: what the tests above are measured against."""
    with statements(engine, only="SELECT") as seen:
        found = [read_all(person) for person in many.scalars(select(with_polymorphic(Person, [Person])))]

    assert len(found) == N
    assert len(seen) == 1 + N


def test_a_get_takes_one_statement(engine: Engine, many: Session) -> None:
    with statements(engine, only="SELECT") as seen:
        found = many.get_one(Person, "002")
        assert read_all(found)

    assert type(found) is KeyCustomer
    assert len(seen) == 1


# -- classes without a discriminator, filled by messages --------------------------------------------------------------


@pytest.fixture
def country(base: Any) -> Any:
    """A root with none below."""

    class Country(base, sobject="Country__c", inheritable=False):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Code__c")
        name: Mapped[str | None] = Field("Name")
        remarks: Mapped[str | None]

    return Country


def send(app: Flask, sobject: str, *records: Mapping[str, Any]) -> list[str]:
    """The outcomes, in the order of the records."""
    answer = post(app, compose(sobject, *records))
    assert answer.ack, answer
    assert answer.receipt is not None
    return [answer.outcomes[notification.id] for notification in answer.receipt.message.notifications]


def germany(**fields: Any) -> dict[str, Any]:
    return {"Id": "a01000000000001AAA", "Code__c": "DE", "Name": "Germany", "SystemModstamp": at(1), **fields}


def test_messages_fill_a_class_without_a_discriminator(make_app: MakeApp, database_url: str, country: Any) -> None:
    app = make_app(database_url, country)

    assert send(app, "Country__c", germany()) == ["created"]
    assert send(app, "Country__c", germany(Name="Deutschland", SystemModstamp=at(2))) == ["updated"]
    assert send(app, "Country__c", germany(Name="Deutschland", SystemModstamp=at(3))) == ["unchanged"]
    assert send(app, "Country__c", germany(Name="late", SystemModstamp=at(2))) == ["stale"]
    assert send(app, "Country__c", germany(Code__c="D", Name="Deutschland", SystemModstamp=at(4))) == ["rekeyed"]
    [row] = tables_of(app)["country"]
    assert (row["external_id"], row["name"], row["modstamp"]) == ("D", "Deutschland", at(4))
    assert "child_name" not in row


def test_signals_and_your_own_columns_work_without_a_discriminator(
    make_app: MakeApp, database_url: str, country: Any, signals: Recorder
) -> None:
    app = make_app(database_url, country)
    send(app, "Country__c", germany())
    with Session(parts_of(app).engine) as session, session.begin():
        session.get_one(country, "DE").remarks = "mine"

    send(app, "Country__c", germany(Name="Deutschland", SystemModstamp=at(2)))

    assert [row["remarks"] for row in tables_of(app)["country"]] == ["mine"]
    created, updated = signals.of(post_save)
    assert (created.created, updated.created) == (True, False)
    assert (updated.instance.external_id, updated.changed) == ("DE", {"name": ("Germany", "Deutschland")})


def test_messages_fill_a_leaf_that_has_none_below(make_app: MakeApp, database_url: str, base: Any) -> None:
    class Place(base):
        name: Mapped[str | None] = Field("Name")

    class Country(Place, sobject="Country__c", inheritable=False):  # type: ignore[call-arg]
        capital: Mapped[str | None] = Field("Capital__c")

    app = make_app(database_url, base)
    assert send(app, "Country__c", germany(Capital__c="Bonn")) == ["created"]
    assert send(app, "Country__c", germany(Capital__c="Berlin", SystemModstamp=at(2))) == ["updated"]
    with Session(parts_of(app).engine) as session:
        [place] = session.scalars(select(Place))
        assert (type(place), place.name, place.child_name) == (Country, "Germany", "Country")
        assert place.capital == "Berlin"


# -- 100,000 records --------------------------------------------------------------------------------------------------

RECORDS = 100_000
#: a table with the numbers from 1 on, as each database makes one fastest
NUMBERS = {
    "sqlite": f"WITH RECURSIVE upto(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM upto WHERE n < {RECORDS})"
    " SELECT n FROM upto",
    "postgresql": f"SELECT n FROM generate_series(1, {RECORDS}) AS numbers(n)",
    "mariadb": f"SELECT seq AS n FROM seq_1_to_{RECORDS}",
}


class Plant(RecordMixin, DeclarativeBase):
    """A base of its own for many records."""


class Asset(Plant):
    serial: Mapped[str | None] = Field("SerialNumber", index=True)
    colour: Mapped[str | None] = Field("Colour__c")


class Machine(Asset, sobject="Asset"):
    maker: Mapped[str | None] = Field("Maker__c", index=True)


class Robot(Machine, when={"RecordTypeId": CUSTOMER}):
    arm: Mapped[str | None] = Field("Arm__c", index=True)


@pytest.fixture
def plant(database_url: str) -> Iterator[Connection]:
    """Every record an Asset, two of three a Machine, one of three a Robot; the values of a column all differ.

    The engine is SQLAlchemy's own: `open_engine` tells PostgreSQL never to read a whole table.
    """
    engine = create_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    with engine.connect() as connection:
        Asset.metadata.create_all(connection)
        fill(connection)
        connection.commit()
        tables = ", ".join(table.name for table in Asset.metadata.sorted_tables)
        analyze = {"sqlite": "ANALYZE", "postgresql": f"ANALYZE {tables}", "mariadb": f"ANALYZE TABLE {tables}"}
        connection.execute(text(analyze[connection.dialect.name]))
        yield connection
    engine.dispose()


def fill(connection: Connection) -> None:
    numbers = text(NUMBERS[connection.dialect.name]).columns(column("n", Integer)).subquery()
    number = cast(numbers.c.n, String(6))
    leaf = case((numbers.c.n % 3 == 0, "Robot"), (numbers.c.n % 3 == 1, "Machine"), else_="Asset")
    values = {
        "external_id": literal("key ") + number,
        "child_name": leaf,
        "salesforce_id": literal("02i") + number,
        "organization_id": literal(ORGANIZATION),
        "serial": literal("serial ") + number,
        "colour": literal("colour ") + number,
    }
    connection.execute(insert(table_of(Asset)).from_select([*values], select(*values.values())))
    for model, attribute, remainders in ((Machine, "maker", (0, 1)), (Robot, "arm", (0,))):
        number_of = literal(f"{attribute} ") + number
        rows = select(values["external_id"], number_of).where((numbers.c.n % 3).in_(remainders))
        connection.execute(insert(table_of(model)).from_select(["external_id", attribute], rows))


def read_whole(connection: Connection, query: Select[Any]) -> list[str]:
    """The tables that the database reads from one end to the other for this query, by what EXPLAIN says."""
    sql = query.compile(connection, compile_kwargs={"literal_binds": True})
    if connection.dialect.name == "sqlite":
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").mappings()
        return [step["detail"] for step in steps if step["detail"].startswith("SCAN")]
    if connection.dialect.name == "postgresql":
        [whole] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}").scalar_one()
        return [step["Relation Name"] for step in nested(whole["Plan"]) if "Seq Scan" in step["Node Type"]]
    steps = connection.exec_driver_sql(f"EXPLAIN {sql}").mappings()
    return [step["table"] for step in steps if step["type"] in ("ALL", "index")]


def nested(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for below in step.get("Plans", ()):
        yield from nested(below)


def test_filters_over_100_000_records_in_three_levels_are_answered_from_indexes(plant: Connection) -> None:
    asset = with_polymorphic(Asset, "*")
    queries: dict[str, Select[Any]] = {
        "a child's column through the root": select(asset).where(asset.Robot.arm == "arm 600"),
        "without an option": select(Asset).where(Robot.arm == "arm 600"),
        "through the class between": select(Machine).where(Robot.arm == "arm 600"),
        "the root's column on the leaf": select(Robot).where(Robot.serial == "serial 600"),
        "the column of the class between": select(Robot).where(Robot.maker == "maker 600"),
        "of two levels": select(asset).where(asset.Robot.arm == "arm 600", asset.serial == "serial 600"),
        "the key": select(Asset).where(Asset.external_id == "key 600"),
    }

    assert {name: read_whole(plant, query) for name, query in queries.items()} == {name: [] for name in queries}
    with Session(plant) as session:
        found = {name: kinds(session.scalars(query)) for name, query in queries.items()}
    assert found == {name: [("key 600", "Robot")] for name in queries}


def test_a_column_without_an_index_would_be_seen(plant: Connection) -> None:
    """Else the test above proves nothing."""
    assert read_whole(plant, select(Asset).where(Asset.colour == "colour 600"))
