"""TYPEOF: other fields for each type a reference names, one statement, one row a record; and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased

from omreceiver import Address, Compound, Field, Record, RecordMixin, Reference, Settings, typeof
from omreceiver.errors import QueryError
from omreceiver.records.models import Models
from omreceiver.records.prefixes import key_prefix
from omreceiver.records.typeof import Matched
from omreceiver.store.database import open_engine
from omreceiver.store.upgrade import upgrade
from tests.statements import statements
from tests.test_references import full, record


class Base(RecordMixin, DeclarativeBase):
    """Of these tests' own."""

    type_annotation_map = Record.type_annotation_map


class User(Base, sobject="User"):
    name: Mapped[str | None] = Field("Name")


class Account(Base, sobject="Account"):
    name: Mapped[str | None] = Field("Name")
    phone: Mapped[str | None] = Field("Phone")
    employees: Mapped[int | None] = Field("NumberOfEmployees")
    billing: Mapped[Address | None] = Compound("BillingAddress")
    owner: Mapped[Any] = Reference("OwnerId", "User")


class PartnerAccount(Account, when={"RecordTypeId": "012000000000001AAA"}):
    tier: Mapped[str | None] = Field("Tier__c")


class Opportunity(Base, sobject="Opportunity"):
    name: Mapped[str | None] = Field("Name")
    amount: Mapped[Decimal | None] = Field("Amount")


class Contact(Base, sobject="Contact"):
    email: Mapped[str | None] = Field("Email")


class Event(Base, sobject="Event"):
    subject: Mapped[str | None] = Field("Subject")
    what: Mapped[Any] = Reference("WhatId", "Account", "Opportunity", "Contact")
    owner: Mapped[Any] = Reference("OwnerId", "Calendar", "User")
    account: Mapped[Any] = Reference("AccountId", "Account")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": database_url}).database_url)
    upgrade(engine, Models([User, Account, PartnerAccount, Opportunity, Contact, Event]))
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Events about an account, a partner, an opportunity, a contact, one that has not arrived, and nothing."""
    with Session(engine) as session:
        for prefix, sobject in (("001", "Account"), ("006", "Opportunity"), ("003", "Contact"), ("005", "User")):
            session.execute(insert(key_prefix), {"prefix": prefix, "sobject": sobject})
        session.add_all(
            [
                record(User, "005A", name="Grace"),
                record(Account, "001A", name="Acme", phone="1", employees=3, owner_id=full("005A")),
                record(PartnerAccount, "001B", name="Beta", phone="2", tier="Gold"),
                record(Opportunity, "006A", name="Deal", amount=Decimal("12.50")),
                record(Contact, "003A", email="c@x.example"),
                record(Event, "00U1", what_id=full("001A"), owner_id=full("005A")),
                record(Event, "00U2", what_id=full("001B")),
                record(Event, "00U3", what_id=full("006A")),
                record(Event, "00U4", what_id=full("003A")),
                record(Event, "00U5", what_id=full("006Z")),
                record(Event, "00U6"),
            ]
        )
        session.commit()
        yield session


def told(session: Session, column: Any, *conditions: Any) -> list[dict[str, Any] | None]:
    return list(session.scalars(select(column).where(*conditions).order_by(Event.external_id)))


def test_each_type_has_its_fields_in_one_statement(engine: Engine, session: Session) -> None:
    whens: dict[Any, list[Any]] = {Account: [Account.phone, Account.employees], Opportunity: [Opportunity.amount]}
    with statements(engine, only="SELECT") as seen:
        assert told(session, typeof(Event.what, whens, else_=["Email"])) == [
            {"phone": "1", "employees": 3},
            {"phone": "2", "employees": None},
            {"amount": Decimal("12.5")},
            {"email": "c@x.example"},
            {"amount": None},  # known by its prefix, though it has not arrived
            None,
        ]
    assert len(seen) == 1


def test_the_result_knows_its_type(session: Session) -> None:
    whats = told(session, typeof(Event.what, {Account: [Account.phone]}, else_=["Email"]))
    types = [found.type if isinstance(found, Matched) else None for found in whats]
    assert types == ["Account", "Account", "Opportunity", "Contact", "Opportunity", None]


def test_no_match_and_no_else_gives_none(session: Session) -> None:
    assert told(session, typeof(Event.what, {Opportunity: [Opportunity.name]})) == [
        None,
        None,
        {"name": "Deal"},
        None,
        {"name": None},
        None,
    ]


def test_else_takes_name_fields_of_every_target(session: Session) -> None:
    column = typeof(Event.what, {Contact: [Contact.email]}, else_=["Name", "Type"])
    assert told(session, column)[:4] == [
        {"name": "Acme", "type": "Account"},
        {"name": "Beta", "type": "Account"},
        {"name": "Deal", "type": "Opportunity"},
        {"email": "c@x.example"},
    ]


def test_a_leaf_class_comes_before_the_class_above_it_when_it_is_named_first(session: Session) -> None:
    column = typeof(Event.what, {PartnerAccount: [PartnerAccount.tier], Account: [Account.name]})
    assert told(session, column)[:2] == [{"name": "Acme"}, {"tier": "Gold"}]


def test_several_in_one_select_and_a_filter_on_the_type_beside_them(engine: Engine, session: Session) -> None:
    what = typeof(Event.what, {Account: [Account.name]}, else_=["Name"])
    owner = typeof(Event.owner, {User: [User.name]})
    wanted = select(Event.external_id, what, owner).where(Event.what.type.in_(["Account", "Opportunity"]))
    with statements(engine, only="SELECT") as seen:
        rows = session.execute(wanted.order_by(Event.external_id)).all()
    assert len(seen) == 1
    assert [(row.external_id[3], row.what, row.owner) for row in rows] == [
        ("1", {"name": "Acme"}, {"name": "Grace"}),
        ("2", {"name": "Beta"}, None),
        ("3", {"name": "Deal"}, None),
        ("5", {"name": None}, None),
    ]


def test_fields_that_are_further_away(session: Session) -> None:
    def owner_name(account: Any) -> Any:
        return account.owner.of(User).name.label("owner_name")

    assert told(session, typeof(Event.what, {Account: [Account.name, owner_name]}))[:2] == [
        {"name": "Acme", "owner_name": "Grace"},
        {"name": "Beta", "owner_name": None},
    ]


def test_a_part_of_a_compound(session: Session) -> None:
    session.get_one(Account, full("001A")).billing = Address(city="Berlin")
    session.flush()
    whole: Any = Account
    assert told(session, typeof(Event.what, {Account: [whole.billing_city]}))[0] == {"billing_city": "Berlin"}


def test_from_an_alias_beside_the_class_itself(session: Session) -> None:
    other: Any = aliased(Event)
    columns = typeof(Event.what, {Account: [Account.name]}), typeof(other.what, {Contact: [Contact.email]}, label="b")
    pair = select(*columns).join(other, other.external_id > Event.external_id)
    rows = session.execute(pair.where(Event.external_id == full("00U1"), other.external_id == full("00U4"))).all()
    assert [tuple(row) for row in rows] == [({"name": "Acme"}, {"email": "c@x.example"})]


def test_keys_may_be_the_names_of_fields(session: Session) -> None:
    whens: dict[Any, list[Any]] = {
        Account: [Account.employees, Account.salesforce_id],
        Opportunity: [Opportunity.amount],
    }
    column = typeof(Event.what, whens, ["Email"], keys="fields", label="What")
    [first, *_, third, fourth] = told(session, column)[:4]
    assert first == {"NumberOfEmployees": 3, "Id": full("001A")}
    assert (third, fourth) == ({"Amount": Decimal("12.5")}, {"Email": "c@x.example"})


def test_equal_columns_under_other_keys_are_two_statements(session: Session) -> None:
    """SQLAlchemy keeps compiled statements; the rows of one must not come out as those of the other."""
    whens = {Opportunity: [Opportunity.amount]}
    assert told(session, typeof(Event.what, whens))[2] == {"amount": Decimal("12.5")}
    assert told(session, typeof(Event.what, whens, keys="fields"))[2] == {"Amount": Decimal("12.5")}
    assert told(session, typeof(Event.what, whens))[2] == {"amount": Decimal("12.5")}
    assert isinstance(told(session, typeof(Event.what, whens))[2], Matched)


# -- what Salesforce refuses ------------------------------------------------------------------------------------------

WHATS: dict[Any, list[Any]] = {Account: [Account.name]}


@pytest.mark.parametrize(
    ("declare", "rule"),
    [
        (
            lambda: typeof(Event.account, WHATS),
            r"^TYPEOF is for polymorphic references; AccountId names Account only\.",
        ),
        (lambda: typeof(Event.subject, WHATS), r"^TYPEOF is for references; Event\.subject is none\.$"),
        (
            lambda: typeof(Event.what, {User: [User.name]}),
            r"^WHEN User: WhatId names Account and Opportunity",
        ),
        (lambda: typeof(Event.what, {Account: [User.name]}), r"^WHEN Account: User\.name is no field of Account\.$"),
        (lambda: typeof(Event.what, WHATS, ["Phone", "Amount"]), r"^ELSE Amount: only fields of Name can stand here"),
        (lambda: typeof(Event.what, WHATS, ["Title"]), r"^No class that Event\.what may name maps the field Title"),
        (lambda: typeof(Event.what, {Account: [typeof(Event.what, WHATS)]}), r"^TYPEOF cannot be nested\."),
        (lambda: typeof(Event.what, {Account: [Account.billing]}), r"^billing is more than one column"),
        (lambda: typeof(Event.what, {Account: [lambda account: account.name]}), r"must give a column with a \.label"),
    ],
)
def test_what_is_refused_when_it_is_written(declare: Callable[[], Any], rule: str) -> None:
    with pytest.raises(QueryError, match=rule):
        declare()


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (lambda: select(typeof(Event.what, WHATS), func.count()), "beside an aggregate"),
        (lambda: select(typeof(Event.what, WHATS), func.max(Event.subject) + "!"), "beside an aggregate"),
        (lambda: select(typeof(Event.what, WHATS)).group_by(Event.subject), "GROUP BY or HAVING"),
        (lambda: select(typeof(Event.what, WHATS)).having(Event.subject == "x"), "GROUP BY or HAVING"),
        (
            lambda: select(Event.external_id).where(Event.subject.in_(select(typeof(Event.what, WHATS)))),
            "not in a subquery or a semi-join",
        ),
    ],
)
def test_what_is_refused_when_it_is_executed(statement: Callable[[], Any], rule: str, sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with Session(engine) as session, pytest.raises(QueryError, match=rule):
        session.execute(statement())
    engine.dispose()


def test_aggregates_inside_of_a_subquery_beside_it_are_no_aggregates_of_the_query(session: Session) -> None:
    other: Any = aliased(Event)
    count = select(func.count()).select_from(other).where(other.what_id == Event.what_id).scalar_subquery()  # type: ignore[attr-defined]
    rows = session.execute(select(typeof(Event.what, WHATS), count).order_by(Event.external_id)).all()
    assert [tuple(row) for row in rows][:2] == [({"name": "Acme"}, 1), ({"name": "Beta"}, 1)]
