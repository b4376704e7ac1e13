"""References: the ID, the record once it is here, its type even before, loaded for many at once, and in queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, insert, inspect, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased
from sqlalchemy.orm.exc import DetachedInstanceError

from omreceiver import Field, Record, RecordMixin, Reference, Settings
from omreceiver.errors import DeclarationError, QueryError
from omreceiver.records.ids import to18
from omreceiver.records.models import Models
from omreceiver.records.prefixes import key_prefix
from omreceiver.records.references import references_of
from omreceiver.store.database import open_engine
from omreceiver.store.upgrade import upgrade
from tests.statements import statements


class Base(RecordMixin, DeclarativeBase):
    """Of these tests' own."""

    type_annotation_map = Record.type_annotation_map


class Person(Base):
    email: Mapped[str | None] = Field("Email")


class Contact(Person, sobject="Contact"):
    last_name: Mapped[str | None] = Field("LastName")
    account: Mapped[Any] = Reference("AccountId", "Account")


class Lead(Person, sobject="Lead"):
    last_name: Mapped[str | None] = Field("LastName")
    company: Mapped[str | None] = Field("Company")


class Account(Base, sobject="Account"):
    name: Mapped[str | None] = Field("Name")
    owner: Mapped[Any] = Reference("OwnerId", "User")


class PartnerAccount(Account, when={"RecordTypeId": "012000000000001AAA"}):
    tier: Mapped[str | None] = Field("Tier__c")


class User(Base, sobject="User"):
    name: Mapped[str | None] = Field("Name")


class Task(Base, sobject="Task"):
    who: Mapped[Any] = Reference("WhoId", "Contact", "Lead")
    what: Mapped[Any] = Reference("WhatId", "Account", "acme__Invoice__c")
    parent: Mapped[Any] = Reference("Parent__c", "Task")


CLASSES = [Person, Contact, Lead, Account, PartnerAccount, User, Task]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    upgrade(engine, Models(CLASSES))
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def record(model: Any, salesforce_id: str, **values: object) -> Any:
    """A record whose key is its Salesforce ID, written out to 18 characters."""
    full = salesforce_id.ljust(15, "0") + "AAA"
    return model(external_id=full, salesforce_id=full, organization_id="00D000000000001AAA", **values)


def full(salesforce_id: str) -> str:
    return salesforce_id.ljust(15, "0") + "AAA"


def know(session: Session, **sobjects: str) -> None:
    """Put key prefixes where the receiver keeps what it learned: p00T="Task"."""
    for name, several in sobjects.items():
        for sobject in several.split():
            session.execute(insert(key_prefix), {"prefix": name.removeprefix("p"), "sobject": sobject})


# -- of a record ------------------------------------------------------------------------------------------------------


def test_the_record_is_the_leaf_whatever_root_it_lives_in(session: Session) -> None:
    session.add_all(
        [
            record(Contact, "003A", last_name="Ada"),
            record(PartnerAccount, "001A", tier="Gold"),
            record(Task, "00TA", who_id=full("003A"), what_id=full("001A")),
        ]
    )
    session.commit()
    task = session.get_one(Task, full("00TA"))

    assert isinstance(task.who, Contact)
    assert task.who.last_name == "Ada"
    assert isinstance(task.what, PartnerAccount)
    assert task.what.tier == "Gold"


def test_it_is_none_until_the_record_arrives(engine: Engine, session: Session) -> None:
    session.add(record(Task, "00TA", who_id=full("00QA")))
    session.commit()
    task = session.get_one(Task, full("00TA"))
    assert task.who is None

    with Session(engine) as elsewhere:
        elsewhere.add(record(Lead, "00QA"))
        elsewhere.commit()
    session.commit()  # a new transaction sees what others did

    assert isinstance(task.who, Lead)


def test_a_record_added_in_the_same_session_is_seen_at_once(session: Session) -> None:
    session.add(task := record(Task, "00TA", who_id=full("00QA")))
    session.flush()
    assert task.who is None
    session.add(record(Lead, "00QA"))
    assert isinstance(task.who, Lead)


def test_another_id_is_another_record(session: Session) -> None:
    session.add_all([record(Lead, "00QA"), record(Lead, "00QB"), task := record(Task, "00TA", who_id=full("00QA"))])
    session.flush()
    first = task.who
    task.who_id = full("00QB")
    assert task.who is not first
    assert task.who.salesforce_id == full("00QB")
    task.who_id = None
    assert task.who is None


def test_a_record_may_be_assigned(session: Session) -> None:
    session.add_all([lead := record(Lead, "00QA"), task := record(Task, "00TA", who=None)])
    task.who = lead
    assert task.who_id == full("00QA")
    session.flush()
    assert task.who is lead
    task.who = None
    assert task.who_id is None
    for other in ("003", Lead(), record(Account, "001A")):
        with pytest.raises(DeclarationError, match=r"^who (names Contact and Lead only|cannot name a Lead)"):
            task.who = other


def test_a_record_that_is_deleted_is_no_longer_named(session: Session) -> None:
    session.add_all([lead := record(Lead, "00QA"), task := record(Task, "00TA", who_id=full("00QA"))])
    session.flush()
    assert task.who is lead
    session.delete(lead)
    session.flush()
    assert task.who is None


def test_a_hundred_are_loaded_in_one_statement_a_root(engine: Engine, session: Session) -> None:
    for at in range(50):
        session.add_all(
            [
                record(Contact, f"003{at:03}"),
                record(Lead, f"00Q{at:03}"),
                record(PartnerAccount if at % 2 else Account, f"001{at:03}"),
                record(Task, f"00T{at:03}", who_id=full(f"003{at:03}"), what_id=full(f"001{at:03}")),
                record(Task, f"00U{at:03}", who_id=full(f"00Q{at:03}"), what_id=full(f"a00{at:03}")),
            ]
        )
    session.commit()
    tasks = session.scalars(select(Task)).all()
    assert len(tasks) == 100

    with statements(engine, only="SELECT") as seen:
        assert {type(task.who) for task in tasks} == {Contact, Lead}
    assert len(seen) == 1, "Contact and Lead have one root, Person"
    with statements(engine, only="SELECT") as seen:
        assert {type(task.what) for task in tasks} == {Account, PartnerAccount, type(None)}
    assert len(seen) == 1
    with statements(engine, only="SELECT") as seen:
        assert [task.who for task in tasks]
        assert [task.what.name for task in tasks if task.what] == [None] * 50
    assert seen == []


def test_types_of_many_that_nothing_tells_are_looked_up_once(engine: Engine, session: Session) -> None:
    session.add_all([record(Task, f"00T{at:03}", who_id=full(f"zzz{at:03}")) for at in range(50)])
    session.commit()
    tasks: list[Any] = list(session.scalars(select(Task)))
    with statements(engine, only="SELECT") as seen:
        assert {task.who_type for task in tasks} == {None}
    assert len(seen) == 2, "the records themselves, and the prefixes"


def test_what_was_not_there_is_looked_for_again_in_another_transaction(engine: Engine) -> None:
    with Session(engine, expire_on_commit=False) as session:
        session.add(task := record(Task, "00TA", who_id=full("00QA")))
        session.commit()
        assert task.who is None
        session.commit()
        with Session(engine) as elsewhere:
            elsewhere.add(record(Lead, "00QA"))
            elsewhere.commit()
        assert isinstance(task.who, Lead)
        task.who.salesforce_id = full("00QB")
        assert task.who is None, "the record has another ID now"
        session.rollback()


def test_they_may_be_loaded_before_their_session_ends(engine: Engine) -> None:
    with Session(engine) as session:
        session.add_all([record(Lead, "00QA", company="Acme"), record(Task, "00TA", who_id=full("00QA"))])
        session.commit()
    with Session(engine, expire_on_commit=False) as session:
        [loaded] = tasks = list(session.scalars(select(Task)))
        reference: Any = Task.who
        reference.load(session, tasks)
    assert loaded.who.company == "Acme"


def test_one_that_was_not_loaded_says_so_when_its_session_is_gone(engine: Engine) -> None:
    with Session(engine, expire_on_commit=False) as session:
        session.add(task := record(Task, "00TA", who_id=full("00QA")))
        session.commit()
    with pytest.raises(DetachedInstanceError, match=r"Task\.who was not loaded .* Task\.who\.load\(session, records\)"):
        task.who  # noqa: B018


def test_backward(session: Session) -> None:
    session.add_all([record(Task, f"00T{name}", who_id=full("003A")) for name in "BA"])
    session.add_all([contact := record(Contact, "003A"), record(Task, "00TC", who_id=full("003B"))])
    session.flush()
    assert [task.external_id for task in contact.references(Task.who)] == [full("00TA"), full("00TB")]
    assert contact.references(Task.what) == []
    assert record(Contact, "003C").references(Task.who) == []


# -- its type ---------------------------------------------------------------------------------------------------------


def test_the_type_is_that_of_the_record_whatever_the_prefix_says(session: Session) -> None:
    know(session, p00Q="Contact")
    session.add_all([record(Lead, "00QA"), task := record(Task, "00TA", who_id=full("00QA"))])
    session.flush()
    assert task.who_type == "Lead"


def test_the_prefix_tells_it_before_the_record_arrives(session: Session) -> None:
    know(session, p003="Contact", p00Q="Lead", p006="Opportunity")
    for who, sobject in (("003A", "Contact"), ("00QA", "Lead"), ("006A", "Opportunity"), ("zzzA", None)):
        session.add(task := record(Task, f"00T{who}", who_id=full(who)))
        session.flush()
        assert task.who_type == sobject
        assert session.scalar(select(Task.who.type).where(Task.external_id == task.external_id)) == sobject


def test_a_prefix_of_several_objects_does_not_fool_it(session: Session) -> None:
    """One of the targets among them is the only one that the reference can hold; two of them leave it open."""
    know(session, p00a="CaseComment IdeaComment", p00Q="Lead IdeaComment", p003="Contact Lead")
    for who, sobject in (("00aA", None), ("00QA", "Lead"), ("003A", None)):
        session.add(task := record(Task, f"00T{who}", who_id=full(who)))
        session.flush()
        assert task.who_type == sobject
        assert session.scalar(select(Task.who.type).where(Task.external_id == task.external_id)) == sobject


def test_a_prefix_learned_later_is_found_by_an_open_session(session: Session) -> None:
    session.add(task := record(Task, "00TA", who_id=full("00QA")))
    session.flush()
    assert task.who_type is None
    know(session, p00Q="Lead")
    session.commit()
    assert task.who_type == "Lead"


def test_a_blank_reference_has_no_type_and_a_plain_one_always_has_its_own(session: Session) -> None:
    session.add_all([task := record(Task, "00TA"), contact := record(Contact, "003A", account_id=full("001A"))])
    session.flush()
    assert (task.who_type, contact.account_type) == (None, "Account")
    assert session.scalars(select(Task.who.type)).all() == [None]
    assert session.scalars(select(Contact.account.type)).all() == ["Account"]


# -- in queries -------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(session: Session) -> Session:
    """Four tasks: about a contact of an account with an owner, a lead, somebody who has not arrived, and nobody."""
    know(session, p003="Contact", p00Q="Lead", p00T="Task")
    session.add_all(
        [
            record(User, "005A", name="Grace"),
            record(PartnerAccount, "001A", name="Acme", tier="Gold", owner_id=full("005A")),
            record(Contact, "003A", last_name="SHRader", email="s@x.example", account_id=full("001A")),
            record(Lead, "00QA", last_name="Lovelace", company="Engines"),
            record(Task, "00T1", who_id=full("003A"), what_id=full("001A")),
            record(Task, "00T2", who_id=full("00QA"), parent_id=full("00T1")),
            record(Task, "00T3", who_id=full("00QB")),
            record(Task, "00T4"),
        ]
    )
    session.commit()
    return session


def found(session: Session, *conditions: Any) -> list[str]:
    """The numbers of the tasks for which the conditions hold."""
    keys = session.scalars(select(Task.external_id).where(*conditions).order_by(Task.external_id))
    return [key[3] for key in keys]


def test_by_type(busy: Session) -> None:
    assert found(busy, Task.who.type == "Contact") == ["1"]
    assert found(busy, Task.who.type.in_(["Contact", "Lead"])) == ["1", "2", "3"]
    assert found(busy, Task.who.type.like("L%")) == ["2", "3"]
    assert found(busy, Task.who.type.is_(None)) == ["4"]
    assert found(busy, Task.who.type != "Lead") == ["1"]


def test_by_an_attribute_of_a_target(busy: Session) -> None:
    who: Any = Task.who
    assert found(busy, who.of(Contact).last_name.like("SHR%")) == ["1"]
    assert found(busy, who.of(Lead).last_name.like("SHR%")) == []
    assert found(busy, who.of(Person).email == "s@x.example") == ["1"], "an attribute of a parent class"
    assert found(busy, who.of(Lead).salesforce_id.is_not(None)) == ["2"], "only what has arrived"


def test_by_a_leaf_class_of_a_target(busy: Session) -> None:
    what: Any = Task.what
    assert found(busy, what.of(PartnerAccount).tier == "Gold") == ["1"]
    assert found(busy, what.of(Account).name == "Acme") == ["1"]


def test_along_references_of_references(busy: Session) -> None:
    who: Any = Task.who
    owner = who.of(Contact).account.of(Account).owner
    assert found(busy, owner.of(User).name == "Grace") == ["1"]
    assert found(busy, owner.id == full("005A")) == ["1"]
    assert found(busy, owner.type == "User") == ["1"]
    assert busy.scalars(select(owner.of(User).name).order_by(Task.external_id)).all() == ["Grace", None, None, None]


def test_from_a_class_to_itself(busy: Session) -> None:
    parent: Any = Task.parent
    assert found(busy, parent.of(Task).who.of(Contact).last_name == "SHRader") == ["2"]
    assert found(busy, parent.of(Task).external_id == full("00T1")) == ["2"]


def test_by_the_name_fields_over_all_targets(busy: Session) -> None:
    who: Any = Task.who
    rows = busy.execute(select(who.last_name, who.email, who.type).order_by(Task.external_id)).all()
    assert [tuple(row) for row in rows] == [
        ("SHRader", "s@x.example", "Contact"),
        ("Lovelace", None, "Lead"),
        (None, None, "Lead"),
        (None, None, None),
    ]
    assert found(busy, who.name_field("LastName").like("L%")) == ["2"]


def test_by_a_record(busy: Session) -> None:
    contact, lead = busy.get_one(Contact, full("003A")), busy.get_one(Lead, full("00QA"))
    who: Any = Task.who
    assert found(busy, who == contact) == ["1"]
    assert found(busy, who != contact) == ["2", "3"]
    assert found(busy, who.in_([contact, lead])) == ["1", "2"]
    assert found(busy, who == None) == found(busy, who.is_(None)) == ["4"]  # noqa: E711
    assert found(busy, who.is_not(None)) == ["1", "2", "3"]
    for other in ("003", Lead(), record(Account, "001A")):
        with pytest.raises(QueryError, match=r"^who (names Contact and Lead only|cannot name a Lead).*Task\.who_id\.$"):
            found(busy, who == other)
    assert found(busy, who.not_in([contact])) == ["2", "3"]


def test_by_an_id_of_15_or_18_characters(session: Session) -> None:
    lead = "00QA00000000001"
    session.add_all([Lead(external_id="L", salesforce_id=lead, organization_id="00D"), task := record(Task, "00TA")])
    task.who_id = lead
    assert isinstance(task.who, Lead), "assigned, and not stored yet"
    session.commit()
    assert (task.who_id, task.who.salesforce_id) == (to18(lead), to18(lead))
    who_id: Any = Task.who_id  # type: ignore[attr-defined]
    for written in (lead, to18(lead)):
        assert session.scalars(select(Task).where(who_id == written)).all() == [task]
        assert session.scalar(select(Lead).where(Lead.salesforce_id == written)) is task.who


def test_a_class_that_the_reference_never_names_is_refused(busy: Session) -> None:
    who: Any = Task.who
    with pytest.raises(QueryError, match=r"^Task\.who names Contact and Lead only, not Account\.$"):
        who.of(Account)
    with pytest.raises(QueryError, match=r"only, not Contact\.$"):
        who.of("Contact")


def test_from_an_alias_of_the_class(busy: Session) -> None:
    other: Any = aliased(Task)
    rows = busy.execute(
        select(Task.external_id, other.external_id)
        .join(other, other.parent_id == Task.salesforce_id)
        .where(other.who.type == "Lead", Task.who.type == "Contact")
    ).all()
    assert [(one[3], two[3]) for one, two in rows] == [("1", "2")]


def test_in_order_by_and_group_by(busy: Session) -> None:
    who: Any = Task.who
    ordered = busy.scalars(select(Task.external_id).where(who.last_name.is_not(None)).order_by(who.last_name.desc()))
    assert [key[3] for key in ordered] == ["1", "2"]


def test_a_query_for_the_reference_alone_gives_a_row_for_each_record(busy: Session) -> None:
    assert sorted(map(str, busy.scalars(select(Task.who.type)))) == ["Contact", "Lead", "Lead", "None"]


def test_what_is_no_name_field_or_mapped_nowhere_is_refused(busy: Session) -> None:
    who: Any = Task.who
    with pytest.raises(QueryError, match=r"^Company is no field of Name, which has Alias, Email"):
        who.name_field("Company")
    with pytest.raises(QueryError, match=r"^No class that Task\.who may name maps the field Title\. Add it"):
        who.name_field("Title")
    with pytest.raises(AttributeError, match="company: a reference has id, type, of"):
        who.company  # noqa: B018


def test_targets_that_nobody_declared_are_told_by_their_prefix(database_url: str, base: Any) -> None:
    class Case(base, sobject="Case"):  # type: ignore[call-arg]
        owner: Mapped[Any] = Reference("OwnerId", "User", "Group")

    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    upgrade(engine, Models([Case]))
    with Session(engine) as session:
        know(session, p005="User")
        session.add(record(Case, "500A", owner_id=full("005A")))
        session.flush()
        assert session.execute(select(Case.owner.type, Case.owner.child_name)).one() == ("User", None)
    engine.dispose()


def test_a_target_may_have_attributes_of_any_name(sqlite_url: str, base: Any) -> None:
    class Agent(base, sobject="User"):  # type: ignore[call-arg]
        alias: Mapped[str | None] = Field("Alias")
        lookup: Mapped[str | None] = Field("Lookup__c")

    class Case(base, sobject="Case"):  # type: ignore[call-arg]
        owner: Mapped[Any] = Reference("OwnerId", "User")

    engine = open_engine(sqlite_url)
    upgrade(engine, Models([Agent, Case]))
    with Session(engine) as session:
        session.add_all([record(Agent, "005A", alias="grace", lookup="x"), record(Case, "500A", owner_id=full("005A"))])
        session.flush()
        agent = Case.owner.of(Agent)
        assert session.execute(select(agent.alias, agent.lookup, Case.owner.alias)).one() == ("grace", "x", "grace")
        with pytest.raises(QueryError, match=r"^references is no column\.$"):
            agent.references  # noqa: B018
    engine.dispose()


def test_the_id_of_a_reference_cannot_be_declared_beside_it(base: Any) -> None:
    with pytest.raises(
        DeclarationError, match=r"^E002 Case\.owner is a reference and makes owner_id, which is declared"
    ):

        class Case(base, sobject="Case"):  # type: ignore[call-arg]
            owner: Mapped[Any] = Reference("OwnerId", "User")
            owner_id: Mapped[str | None] = Field("Legacy_Owner_Id__c")


def test_references_of_a_class_are_its_own_and_inherited_ones() -> None:
    assert {name: reference.field for name, reference in references_of(PartnerAccount).items()} == {"owner": "OwnerId"}
    assert [reference.relationship for reference in references_of(Task).values()] == ["Who", "What", "Parent__r"]


def test_no_reference_has_a_constraint(engine: Engine) -> None:
    found = {table: inspect(engine).get_foreign_keys(table) for table in inspect(engine).get_table_names()}
    columns = {column for keys in found.values() for key in keys for column in key["constrained_columns"]}
    assert columns == {"external_id"}
