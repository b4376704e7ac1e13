"""soql(): the rows that queries in Salesforce's words give, the rules they break, and the command that runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

from omreceiver import ExternalId, Field, Record, RecordId, RecordMixin, Reference, Settings
from omreceiver.cli import main
from omreceiver.errors import QueryError, SoqlError
from omreceiver.queries.select import soql
from omreceiver.records.ids import to18
from omreceiver.records.models import Models
from omreceiver.store.database import open_engine
from omreceiver.store.upgrade import upgrade
from tests.conftest import ROOT
from tests.databases import DATABASES, fresh_database
from tests.processes import PROGRAMS, environment
from tests.processes import run as run_program

PARTNER = "012000000000001AAA"
TODAY = date(2026, 11, 18)


class Base(RecordMixin, DeclarativeBase):
    """Of these tests' own."""

    type_annotation_map = Record.type_annotation_map


class Stage(Enum):
    OPEN = "Open"
    WON = "Closed Won"


class Person(Base):
    """Above two sObjects."""

    external_id: Mapped[str] = ExternalId("Email_Key__c", case_sensitive=False)
    first_name: Mapped[str | None] = Field("FirstName")
    last_name: Mapped[str | None] = Field("LastName")
    email: Mapped[str | None] = Field("Email")


class Contact(Person, sobject="Contact"):
    account: Mapped[Any] = Reference("AccountId", "Account")


class Lead(Person, sobject="Lead"):
    company: Mapped[str | None] = Field("Company")


class Account(Base, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")
    phone: Mapped[str | None] = Field("Phone")
    employees: Mapped[int | None] = Field("NumberOfEmployees")
    revenue: Mapped[Decimal | None] = Field("AnnualRevenue")
    topics: Mapped[list[str] | None] = Field("Topics__c")
    active: Mapped[bool | None] = Field("IsActive__c")
    record_type: Mapped[RecordId | None] = Field("RecordTypeId")
    owner: Mapped[Any] = Reference("OwnerId", "User")
    parent: Mapped[Any] = Reference("ParentId", "Account")
    notes: Mapped[str | None]


class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):
    tier: Mapped[str | None] = Field("Tier__c")
    sponsor: Mapped[Any] = Reference("Sponsor__c", "User")
    site: Mapped[str | None] = Field("Site")
    backer: Mapped[Any] = Reference("Backer__c", "Group", "User")


class CustomerAccount(Account, when={"RecordTypeId": "012000000000002AAA"}):
    place: Mapped[str | None] = Field("Site")
    helper: Mapped[Any] = Reference("Backer__c", "Group", "User")


class HouseAccount(Account):
    """Ours: the receiver puts no record here."""


class Opportunity(Base, sobject="Opportunity", inheritable=False):
    name: Mapped[str | None] = Field("Name")
    amount: Mapped[float | None] = Field("Amount")
    close_date: Mapped[date | None] = Field("CloseDate")
    created_date: Mapped[datetime | None] = Field("CreatedDate")
    starts: Mapped[time | None] = Field("Starts__c")
    stage: Mapped[Stage | None] = Field("StageName")
    number: Mapped[str | None] = Field("Number__c")
    account: Mapped[Any] = Reference("AccountId", "Account")


class Invoice(Base, sobject="acme__Invoice__c"):
    external_id: Mapped[str] = ExternalId("acme__Number__c", number=True)
    total: Mapped[Decimal | None] = Field("acme__Total__c")
    account: Mapped[Any] = Reference("acme__Account__c", "Account")


class User(Base, sobject="User"):
    first_name: Mapped[str | None] = Field("FirstName")
    name: Mapped[str | None] = Field("Name")
    manager: Mapped[Any] = Reference("ManagerId", "User")


class Group(Base, sobject="Group"):
    name: Mapped[str | None] = Field("Name")


class Case(Base, sobject="Case"):
    subject: Mapped[str | None] = Field("Subject")
    owner: Mapped[Any] = Reference("OwnerId", "Group", "User")


class Event(Base, sobject="Event"):
    subject: Mapped[str | None] = Field("Subject")
    who: Mapped[Any] = Reference("WhoId", "Contact", "Lead")
    what: Mapped[Any] = Reference("WhatId", "Account", "Case", "Opportunity")
    owner: Mapped[Any] = Reference("OwnerId", "User")
    case: Mapped[Any] = Reference("Case__c", "Case")


MODELS = Models(
    [
        *(Person, Contact, Lead, Account, PartnerAccount, CustomerAccount, HouseAccount),
        *(Opportunity, Invoice, User, Group, Case, Event),
    ]
)


def full(salesforce_id: str) -> str:
    return to18(salesforce_id.ljust(15, "0"))


def record(model: Any, short: str, **values: object) -> Any:
    """A record; IDs are written short, and its key is its Salesforce ID unless it is given."""
    ids = {name: full(str(value)) for name, value in values.items() if name.endswith("_id") and name != "external_id"}
    return model(
        **{"external_id": full(short), **values, **ids}, salesforce_id=full(short), organization_id="00D000000000001AAA"
    )


def records() -> list[Any]:
    """Every case once, and of everything one record that has nothing."""
    return [
        record(User, "005A", first_name="Ann", name="Ann Boss"),
        record(User, "005B", first_name="Bob", name="Bob Lee", manager_id="005A"),
        record(Group, "00GA", name="Queue"),
        record(
            Account,
            "001A",
            external_id="a-1",
            name="Acme",
            phone="111",
            employees=5,
            revenue=Decimal("1000.50"),
            topics=["Art", "Biology"],
            active=True,
            owner_id="005B",
            modstamp=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        record(
            PartnerAccount,
            "001B",
            external_id="A-1",
            name="acme beta",
            phone="222",
            employees=7,
            revenue=Decimal("0.25"),
            topics=["Biology"],
            active=False,
            record_type=PARTNER,
            tier="Gold",
            site="Berlin",
            owner_id="005A",
            parent_id="001A",
            sponsor_id="005B",
            backer_id="00GA",
        ),
        record(
            CustomerAccount,
            "001C",
            external_id="c-1",
            name="O'Brien 50%_\\",
            place="Paris",
            owner_id="005B",
            helper_id="005A",
        ),
        record(HouseAccount, "001D", external_id="d-1", name="House", employees=7, topics=["Art & Biology"]),
        record(Account, "001E", external_id="e-1"),
        record(Contact, "003A", external_id="ada@x", first_name="Ada", last_name="Byron", account_id="001A"),
        record(Contact, "003B", external_id="bea@x", last_name="Bea", email="bea@x", account_id="001B"),
        record(Contact, "003C", external_id="cy@x"),
        record(Lead, "00QA", external_id="lee@x", first_name="Lee", last_name="Lead", company="Leads"),
        record(
            Opportunity,
            "006A",
            name="Deal",
            amount=10.5,
            close_date=date(2026, 11, 18),
            created_date=datetime(2026, 11, 18, 0, 0, tzinfo=UTC),
            starts=time(9, 30),
            stage=Stage.WON,
            number="007",
            account_id="001A",
        ),
        record(
            Opportunity,
            "006B",
            name="Old deal",
            amount=2.0,
            close_date=date(2025, 2, 28),
            created_date=datetime(2026, 11, 17, 23, 59, 59, tzinfo=UTC),
            stage=Stage.OPEN,
            account_id="001B",
        ),
        record(Opportunity, "006C"),
        record(Invoice, "a00A", external_id="9", total=Decimal("19.99"), account_id="001A"),
        record(Invoice, "a00B", external_id="13.0", total=Decimal("0.01"), account_id="001A"),
        record(Case, "500A", subject="Broken", owner_id="00GA"),
        record(Case, "500B", owner_id="005A"),
        record(Event, "00U1", subject="Lunch", what_id="001A", who_id="003A", owner_id="005A"),
        record(Event, "00U2", subject="Demo", what_id="001B", who_id="00QA", owner_id="005B", case_id="500A"),
        record(Event, "00U3", what_id="006A", case_id="500B"),
        record(Event, "00U4", what_id="500A"),
        record(Event, "00U5"),
    ]


@pytest.fixture(scope="module", params=DATABASES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One database of each kind with all records; no test of this module writes."""
    with fresh_database(request.param, tmp_path_factory.mktemp("soql")) as url:
        engine = open_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
        upgrade(engine, MODELS)
        with Session(engine) as session:
            session.add_all(records())
            session.commit()
        yield engine
        engine.dispose()


Run = Callable[..., list[Any]]


@pytest.fixture
def run(engine: Engine) -> Iterator[Run]:
    """run("SELECT …", name=value): the rows."""
    with Session(engine) as session:

        def execute(text: str, **binds: object) -> list[Any]:
            return list(session.execute(soql(text, MODELS, today=lambda: TODAY), binds))

        yield execute


def short(salesforce_id: str) -> str:
    return salesforce_id[:15].rstrip("0")


# -- polymorphic references, TYPEOF -----------------------------------------------------------------------------------


def test_typeof_gives_each_type_its_fields(run: Run) -> None:
    """The example of the documentation."""
    rows = run(
        "SELECT Id, TYPEOF What WHEN Account THEN Phone, NumberOfEmployees WHEN Opportunity THEN Amount, CloseDate "
        "ELSE Name END FROM Event WHERE What.Type IN ('Account', 'Opportunity') ORDER BY Id"
    )
    assert [(short(row.Id), row.What) for row in rows] == [
        ("00U1", {"Phone": "111", "NumberOfEmployees": 5}),
        ("00U2", {"Phone": "222", "NumberOfEmployees": 7}),
        ("00U3", {"Amount": 10.5, "CloseDate": date(2026, 11, 18)}),
    ]
    assert [row.What.type for row in rows] == ["Account", "Account", "Opportunity"]


def test_typeof_without_else_gives_none_where_nothing_matches(run: Run) -> None:
    rows = run("SELECT TYPEOF What WHEN Account THEN Name END FROM Event ORDER BY Id")
    assert [row.What for row in rows] == [{"Name": "Acme"}, {"Name": "acme beta"}, None, None, None]


def test_typeof_with_else_gives_fields_of_name(run: Run) -> None:
    rows = run("SELECT TYPEOF What WHEN Account THEN Phone ELSE name, Type END FROM Event ORDER BY Id")
    assert [row.What for row in rows[1:]] == [
        {"Phone": "222"},
        {"Name": "Deal", "Type": "Opportunity"},
        {"Name": None, "Type": "Case"},
        None,
    ]


def test_typeof_reaches_parents_and_classes_below(run: Run) -> None:
    """Keys are as they are written; Tier__c and Site are on classes below, Owner.Manager is two levels away."""
    [lunch, demo, *_] = run(
        "SELECT TYPEOF what WHEN account THEN Owner.Name, Owner.Manager.FirstName, tier__C, Site, Sponsor__r.Name END "
        "FROM Event ORDER BY Id"
    )
    assert lunch.what == {
        "Owner.Name": "Bob Lee",
        "Owner.Manager.FirstName": "Ann",
        "tier__C": None,
        "Site": None,
        "Sponsor__r.Name": None,
    }
    assert demo.what == {
        "Owner.Name": "Ann Boss",
        "Owner.Manager.FirstName": None,
        "tier__C": "Gold",
        "Site": "Berlin",
        "Sponsor__r.Name": "Bob Lee",
    }


def test_several_typeofs_and_one_of_a_parent(run: Run) -> None:
    rows = run(
        "SELECT TYPEOF Who WHEN Contact THEN LastName, Account.Name WHEN Lead THEN Company END, "
        "TYPEOF Case__r.Owner WHEN User THEN FirstName ELSE Name END FROM Event ORDER BY Id"
    )
    assert [row.Who for row in rows[:3]] == [{"LastName": "Byron", "Account.Name": "Acme"}, {"Company": "Leads"}, None]
    assert [row._mapping["Case__r.Owner"] for row in rows[:3]] == [None, {"Name": "Queue"}, {"FirstName": "Ann"}]


def test_typeof_in_the_outer_select_of_a_semi_join(run: Run) -> None:
    [row] = run(
        "SELECT TYPEOF What WHEN Account THEN Name END FROM Event "
        "WHERE WhatId IN (SELECT AccountId FROM Opportunity WHERE Name = 'deal')"
    )
    assert row.What == {"Name": "Acme"}


POLYMORPHIC = [
    ("What.Type = 'account'", {"00U1", "00U2"}),
    ("What.Type != 'Account'", {"00U3", "00U4", "00U5"}),
    ("What.Type LIKE 'C%'", {"00U4"}),
    ("What.Type IN ('Account','Opportunity')", {"00U1", "00U2", "00U3"}),
    ("What.Type NOT IN ('Account','Opportunity')", {"00U4", "00U5"}),
    ("What.Type = null", {"00U5"}),
    ("What.Name LIKE 'A%'", {"00U1", "00U2"}),
    ("Who.LastName = 'byron'", {"00U1"}),
    ("Who.Type = 'Lead' AND Who.FirstName = 'Lee'", {"00U2"}),
    ("Owner.FirstName LIKE 'B%'", {"00U2"}),
    ("Owner.Type = 'User'", {"00U1", "00U2"}),
    ("Case__r.Owner.Type = 'Group'", {"00U2"}),
    ("WhatId = '001A00000000000'", {"00U1"}),
    (f"What.Id = '{full('001A')}'", {"00U1"}),
]


@pytest.mark.parametrize(("condition", "expected"), POLYMORPHIC)
def test_polymorphic_references_in_conditions(run: Run, condition: str, expected: set[str]) -> None:
    assert {short(row.Id) for row in run(f"SELECT Id FROM Event WHERE {condition}")} == expected


BROKEN_TYPEOF = [
    # section "TYPEOF": not in a semi-join's SELECT, not with functions in SELECT, not with COUNT()
    (
        "SELECT Id FROM Account\nWHERE Id IN (SELECT TYPEOF What WHEN Account THEN Id END FROM Event)",
        (2, 21, "TYPEOF cannot stand in the SELECT of a semi-join, in the outer SELECT only"),
    ),
    (
        "SELECT FORMAT(Subject), TYPEOF What WHEN Account THEN Phone END FROM Event",
        (1, 25, "TYPEOF cannot stand beside a function in SELECT, as FORMAT() is"),
    ),
    (
        "SELECT FORMAT(TYPEOF What WHEN Account THEN Phone END) FROM Event",
        (1, 15, "TYPEOF cannot stand in a function, as FORMAT() is"),
    ),
    (
        "SELECT COUNT(), TYPEOF What WHEN Account THEN Phone END FROM Event",
        (1, 17, "TYPEOF cannot stand beside COUNT(): the query gives no records"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone END, MAX(Subject) FROM Event",
        (1, 8, "TYPEOF cannot stand beside MAX()"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone END FROM Event GROUP BY Subject",
        (1, 8, "TYPEOF cannot stand in a query with GROUP BY"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone END FROM Event GROUP BY ROLLUP(Subject)",
        (1, 8, "TYPEOF cannot stand in a query with GROUP BY ROLLUP"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone END FROM Event GROUP BY CUBE(Subject, WhatId)",
        (1, 8, "TYPEOF cannot stand in a query with GROUP BY CUBE"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone END FROM Event HAVING COUNT(Id) > 1",
        (1, 8, "TYPEOF cannot stand in a query with HAVING"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN TYPEOF Owner WHEN User THEN Name END END FROM Event",
        (1, 38, "TYPEOF cannot be nested"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN FORMAT(Phone) END FROM Event",
        (1, 38, "FORMAT() cannot stand in TYPEOF, which selects fields only"),
    ),
    (
        "SELECT Id, what.Name, TYPEOF What WHEN Account THEN Phone END FROM Event",
        (1, 12, "what.Name cannot be selected beside TYPEOF What"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone END, TYPEOF What WHEN Case THEN Id END FROM Event",
        (1, 49, "TYPEOF What stands twice"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone WHEN Account THEN Name END FROM Event",
        (1, 49, "WHEN Account stands twice"),
    ),
    (
        "SELECT TYPEOF Owner WHEN User THEN Name END FROM Event",
        (1, 15, "TYPEOF is for polymorphic references; Owner names User only"),
    ),
    ("SELECT TYPEOF Subject WHEN User THEN Name END FROM Event", (1, 15, "Event has no relationship Subject")),
    (
        "SELECT TYPEOF What WHEN Contact THEN Name END FROM Event",
        (1, 25, "WhatId never names Contact; it names Account or Case or Opportunity"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone,\n Amount END FROM Event",
        (2, 2, "Account has no field Amount"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone ELSE Amount END FROM Event",
        (1, 49, "only fields of Name can stand behind ELSE"),
    ),
    (
        "SELECT TYPEOF What WHEN Account THEN Phone ELSE Name, Email END FROM Event",
        (1, 55, "No class that Event.what may name maps the field Email"),
    ),
    (
        "SELECT TYPEOF What.Owner WHEN User THEN Name END FROM Event",
        (1, 20, "What names Account or Case or Opportunity, of which it gives the fields of Name only"),
    ),
    (
        "SELECT TYPEOF Backer__r WHEN User THEN Name END FROM Account",
        (1, 15, "several classes have a reference Backer__r; declare it once, in the class above them"),
    ),
    ("SELECT Id FROM Event WHERE TYPEOF What = 'x'", (1, 28, "TYPEOF stands in the SELECT clause only")),
    ("SELECT Id FROM Event ORDER BY TYPEOF What", (1, 31, "TYPEOF stands in the SELECT clause only")),
]


# -- fields and parents -----------------------------------------------------------------------------------------------

ACCOUNTS = {"001A", "001B", "001C", "001D", "001E"}


def test_rows_have_the_fields_as_they_are_written(run: Run) -> None:
    [row] = run(
        "select Id, NAME, Account.name, Account.Owner.Manager.Name from Opportunity where Id = '006A00000000000'"
    )
    assert row._mapping == {
        "Id": full("006A"),
        "NAME": "Deal",
        "Account.name": "Acme",
        "Account.Owner.Manager.Name": "Ann Boss",
    }
    assert row.NAME == "Deal"


def test_values_come_as_python_types(run: Run) -> None:
    [row] = run(
        "SELECT Amount, CloseDate, CreatedDate, Starts__c, StageName, Account.AnnualRevenue, Account.Topics__c, "
        "Account.IsActive__c, Account.NumberOfEmployees, Account.SystemModstamp, Account.LastModifiedDate "
        "FROM Opportunity WHERE Name = 'Deal'"
    )
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    assert tuple(row) == (
        *(10.5, date(2026, 11, 18), datetime(2026, 11, 18, tzinfo=UTC), time(9, 30), Stage.WON),
        *(Decimal("1000.5"), ["Art", "Biology"], True, 5, stamp, stamp),
    )


def test_fields_of_classes_below_are_null_for_the_others(run: Run) -> None:
    """Site is a field of two classes below, in two tables."""
    rows = run("SELECT Id, Tier__c, Site, Sponsor__r.Name, ERP_Id__c, Backer__r.Name FROM Account ORDER BY Id")
    assert [row._mapping["Backer__r.Name"] for row in rows] == [None, "Queue", "Ann Boss", None, None]
    assert [(short(row.Id), row.Tier__c, row.Site, row._mapping["Sponsor__r.Name"]) for row in rows] == [
        ("001A", None, None, None),
        ("001B", "Gold", "Berlin", "Bob Lee"),
        ("001C", None, "Paris", None),
        ("001D", None, None, None),
        ("001E", None, None, None),
    ]
    assert [row.ERP_Id__c for row in rows] == ["a-1", "A-1", "c-1", "d-1", "e-1"]
    rows = run("SELECT Account.Tier__c, Account.Site, Account.ERP_Id__c FROM Contact ORDER BY Id")
    assert [tuple(row) for row in rows] == [(None, None, "a-1"), ("Gold", "Berlin", "A-1"), (None, None, None)]


def test_an_sobject_below_a_root_of_several(run: Run) -> None:
    """Contact and Lead share tables; each query is of one."""
    assert [row.LastName for row in run("SELECT LastName FROM Lead")] == ["Lead"]
    assert [row.LastName for row in run("SELECT LastName FROM Contact ORDER BY Id")] == ["Byron", "Bea", None]
    assert run("SELECT COUNT() FROM Contact") == [(3,)]


def test_classes_below_of_another_sobject_do_not_appear(run: Run, base: Any, sqlite_url: str) -> None:
    class Asset(base, sobject="Asset"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class Vehicle(Asset, sobject="Vehicle"):  # type: ignore[call-arg]
        plate: Mapped[str | None] = Field("Plate__c")

    models = Models([Asset, Vehicle])
    engine = create_engine(sqlite_url)
    upgrade(engine, models)
    with Session(engine) as session:
        session.add_all([record(Asset, "02iA", name="Mill"), record(Vehicle, "0vhA", name="Van", plate="X1")])
        session.flush()
        assert session.execute(soql("SELECT Name FROM Asset", models)).all() == [("Mill",)]
        assert session.execute(soql("SELECT Name, Plate__c FROM Vehicle", models)).all() == [("Van", "X1")]
        assert session.execute(soql("SELECT COUNT(Id) FROM Asset", models)).scalar() == 1
    engine.dispose()


def test_one_sobject_in_two_classes_that_have_only_the_root_in_common(base: Any, sqlite_url: str) -> None:
    class Party(base):
        name: Mapped[str | None] = Field("Name")

    class Firm(Party, sobject="Account", when={"IsPersonAccount": "false"}):  # type: ignore[call-arg]
        size: Mapped[int | None] = Field("NumberOfEmployees")

    class Human(Party, sobject="Account", when={"IsPersonAccount": "true"}):  # type: ignore[call-arg]
        mail: Mapped[str | None] = Field("PersonEmail")

    class Guest(Party, sobject="Contact"):  # type: ignore[call-arg]
        account: Mapped[Any] = Reference("AccountId", "Account")
        either: Mapped[Any] = Reference("Either__c", "Account", "Contact")

    models = Models([Party, Firm, Human, Guest])
    engine = create_engine(sqlite_url)
    upgrade(engine, models)
    with Session(engine) as session:
        session.add_all(
            [
                record(Firm, "001A", name="Mill", size=3),
                record(Human, "001B", name="Ada", mail="ada@x"),
                record(Guest, "003A", name="Cy", account_id="001B", either_id="001A"),
            ]
        )
        session.flush()

        def rows(text: str) -> list[Any]:
            return list(session.execute(soql(text, models)))

        assert rows("SELECT Name, NumberOfEmployees, PersonEmail FROM Account ORDER BY Name") == [
            ("Ada", None, "ada@x"),
            ("Mill", 3, None),
        ]
        assert rows("SELECT Account.Name, Account.PersonEmail, Account.NumberOfEmployees FROM Contact") == [
            ("Ada", "ada@x", None)
        ]
        assert rows(
            "SELECT TYPEOF Either__r WHEN Account THEN Name, NumberOfEmployees, PersonEmail END FROM Contact"
        ) == [({"Name": "Mill", "NumberOfEmployees": 3, "PersonEmail": None},)]
    engine.dispose()


def test_an_alias_and_the_name_of_the_object_before_fields(run: Run) -> None:
    text = "SELECT a.Name, Account.Phone, A.Owner.Name FROM Account a WHERE a.Parent.Name = 'Acme' ORDER BY a.Name"
    [row] = run(text)
    assert tuple(row) == ("acme beta", "222", "Ann Boss")


def test_five_levels_and_no_more(run: Run) -> None:
    five = "Account.Parent.Parent.Parent.Owner.Name"
    assert run(f"SELECT {five} FROM Contact LIMIT 1") == [(None,)]
    with pytest.raises(SoqlError, match="goes up more than 5 levels"):
        soql("SELECT Account.Parent.Parent.Parent.Parent.Owner.Name FROM Contact", MODELS)


# -- conditions -------------------------------------------------------------------------------------------------------

OF_ACCOUNTS: list[tuple[str, dict[str, object], set[str]]] = [
    # texts know no upper and lower case, external IDs and IDs do
    ("Name = 'ACME'", {}, {"001A"}),
    ("Name IN ('ACME', 'HOUSE')", {}, {"001A", "001D"}),
    ("Name > 'acme' AND Name <= 'HOUSE'", {}, {"001B", "001D"}),
    ("ERP_Id__c = 'a-1'", {}, {"001A"}),
    ("ERP_Id__c IN ('A-1', ' c-1 ')", {}, {"001B", "001C"}),
    ("ERP_Id__c LIKE 'A-_'", {}, {"001A", "001B"}),
    ("Id = '001A00000000000'", {}, {"001A"}),
    (f"Id = '{full('001A')}'", {}, {"001A"}),
    (f"Id IN ('001A00000000000', '{full('001B')}')", {}, {"001A", "001B"}),
    ("Id > '001C00000000000'", {}, {"001D", "001E"}),
    ("RecordTypeId = '012000000000001'", {}, {"001B"}),
    # nulls
    ("Name = null", {}, {"001E"}),
    ("Name != null", {}, ACCOUNTS - {"001E"}),
    ("Name <> 'Acme'", {}, ACCOUNTS - {"001A"}),
    ("Name NOT IN ('Acme', 'House')", {}, {"001B", "001C", "001E"}),
    ("Name IN ('Acme', null)", {}, {"001A", "001E"}),
    ("Name NOT IN ('Acme', null)", {}, {"001B", "001C", "001D"}),
    ("NOT Name = 'Acme'", {}, ACCOUNTS - {"001A"}),
    ("NOT NumberOfEmployees > 5", {}, {"001A", "001C", "001E"}),
    ("NOT (NOT NumberOfEmployees > 5)", {}, {"001B", "001D"}),
    ("NOT Name LIKE 'a%'", {}, {"001C", "001D", "001E"}),
    ("Owner.Name = null", {}, {"001D", "001E"}),
    ("Owner.Name != 'Bob Lee'", {}, {"001B", "001D", "001E"}),
    # patterns
    ("Name LIKE 'a%'", {}, {"001A", "001B"}),
    ("Name LIKE 'ACM_'", {}, {"001A"}),
    (r"Name LIKE '%\%\_\\'", {}, {"001C"}),
    (r"Name LIKE '%\_'", {}, set()),
    (r"Name = 'O\'Brien 50%_\\'", {}, {"001C"}),
    # numbers
    ("NumberOfEmployees = 7", {}, {"001B", "001D"}),
    ("NumberOfEmployees >= 5 AND NumberOfEmployees < 6.5", {}, {"001A"}),
    ("NumberOfEmployees = 6.5", {}, set()),
    ("NumberOfEmployees < 5.4", {}, {"001A"}),
    ("NumberOfEmployees < 99999999999999999999", {}, {"001A", "001B", "001D"}),
    ("NumberOfEmployees IN (5, 6.5, 7)", {}, {"001A", "001B", "001D"}),
    ("AnnualRevenue = 1000.50", {}, {"001A"}),
    ("AnnualRevenue < 1e3", {}, {"001B"}),
    # a blank checkbox is one that is not ticked
    ("IsActive__c = TRUE", {}, {"001A"}),
    ("IsActive__c = false", {}, ACCOUNTS - {"001A"}),
    ("IsActive__c != true", {}, ACCOUNTS - {"001A"}),
    ("IsActive__c = null", {}, ACCOUNTS - {"001A"}),
    ("IsActive__c != null", {}, {"001A"}),
    # multi-select picklists
    ("Topics__c INCLUDES ('biology')", {}, {"001A", "001B"}),
    ("Topics__c INCLUDES ('Art;Biology')", {}, {"001A"}),
    ("Topics__c INCLUDES ('Art;Biology', 'Art & Biology')", {}, {"001A", "001D"}),
    ("Topics__c INCLUDES ('Bio', '%')", {}, set()),
    ("Topics__c EXCLUDES ('Art')", {}, {"001B", "001C", "001D", "001E"}),
    ("Topics__c = 'art;biology'", {}, {"001A"}),
    ("Topics__c = null", {}, {"001C", "001E"}),
    # all and any
    ("Name LIKE 'a%' AND (Phone = '111' OR Tier__c = 'gold')", {}, {"001A", "001B"}),
    ("(Name LIKE 'a%' AND NOT Phone = '111') OR Name = null", {}, {"001B", "001E"}),
    # semi-joins
    ("Id IN (SELECT AccountId FROM Contact)", {}, {"001A", "001B"}),
    ("Id NOT IN (SELECT AccountId FROM Contact)", {}, {"001C", "001D", "001E"}),
    ("Id IN (SELECT AccountId FROM Opportunity WHERE Amount > :least)", {"least": 5}, {"001A"}),
    ("Id IN (SELECT ParentId FROM Account WHERE Name LIKE 'acme b%')", {}, {"001A"}),
    ("Id IN (SELECT AccountId FROM Contact WHERE Account.Owner.Name = 'Bob Lee')", {}, {"001A"}),
    ("OwnerId IN (SELECT Id FROM User WHERE Manager.Name != null)", {}, {"001A", "001C"}),
    # parameters
    ("Name = :name", {"name": "acme"}, {"001A"}),
    ("Name = :name", {"name": None}, {"001E"}),
    ("Name != :name", {"name": None}, ACCOUNTS - {"001E"}),
    ("Name != :name", {"name": "acme"}, ACCOUNTS - {"001A"}),
    ("Name LIKE :name", {"name": "AC%"}, {"001A", "001B"}),
    ("Name IN :names", {"names": ["ACME", "House"]}, {"001A", "001D"}),
    ("Name IN :names", {"names": []}, set()),
    ("Name NOT IN :names", {"names": ["ACME", "House"]}, {"001B", "001C", "001E"}),
    ("Name NOT IN :names", {"names": []}, ACCOUNTS),
    ("Name NOT IN :names", {"names": ["ACME", None]}, {"001B", "001C", "001D", "001E"}),
    ("Name IN (:one, 'House', :two)", {"one": "acme", "two": None}, {"001A", "001D", "001E"}),
    ("Id = :id", {"id": "001A00000000000"}, {"001A"}),
    ("Id = :id", {"id": None}, set()),
    ("Id IN :ids", {"ids": ["001A00000000000", full("001B")]}, {"001A", "001B"}),
    ("Id = :id OR ParentId = :id", {"id": full("001A")}, {"001A", "001B"}),
    ("ERP_Id__c = :key", {"key": " a-1"}, {"001A"}),
    ("ERP_Id__c IN :keys", {"keys": ["A-1", "c-1"]}, {"001B", "001C"}),
    ("NumberOfEmployees = :n", {"n": 7}, {"001B", "001D"}),
    ("NumberOfEmployees = :n", {"n": None}, {"001C", "001E"}),
    ("NumberOfEmployees IN :n", {"n": [5, 6]}, {"001A"}),
    ("AnnualRevenue > :n", {"n": Decimal("0.25")}, {"001A"}),
    ("AnnualRevenue = :n", {"n": None}, {"001C", "001D", "001E"}),
    ("IsActive__c = :yes", {"yes": True}, {"001A"}),
    ("Topics__c INCLUDES (:one)", {"one": "BIOLOGY"}, {"001A", "001B"}),
    ("Topics__c INCLUDES (:one)", {"one": "%"}, set()),
    ("Topics__c EXCLUDES (:one, 'art')", {"one": "Art & Biology"}, {"001B", "001C", "001E"}),
    # what is text stays text
    ("Name = :name", {"name": "x' OR '1'='1"}, set()),
    (r"Name = 'x\' OR \'1\'=\'1'", {}, set()),
    ("Name IN :names", {"names": ["x') OR 1=1 --"]}, set()),
    ("Id = :id", {"id": "' OR 1=1 --"}, set()),
]

OF_OPPORTUNITIES: list[tuple[str, dict[str, object], set[str]]] = [
    ("CloseDate = 2026-11-18", {}, {"006A"}),
    ("CloseDate < 2026-01-01", {}, {"006B"}),
    ("CloseDate = TODAY", {}, {"006A"}),
    ("CloseDate != TODAY", {}, {"006B", "006C"}),
    ("CloseDate < THIS_YEAR", {}, {"006B"}),
    ("CloseDate <= THIS_YEAR", {}, {"006A", "006B"}),
    ("CloseDate > LAST_YEAR", {}, {"006A"}),
    ("CloseDate >= LAST_YEAR", {}, {"006A", "006B"}),
    ("CloseDate IN (TODAY, LAST_YEAR)", {}, {"006A", "006B"}),
    ("CloseDate NOT IN (TODAY, LAST_YEAR)", {}, {"006C"}),
    ("CloseDate = LAST_N_MONTHS:30", {}, {"006B"}),
    ("CloseDate = :day", {"day": date(2025, 2, 28)}, {"006B"}),
    ("CloseDate = :day", {"day": None}, {"006C"}),
    ("CreatedDate = TODAY", {}, {"006A"}),
    ("CreatedDate = YESTERDAY", {}, {"006B"}),
    ("CreatedDate < TODAY", {}, {"006B"}),
    ("CreatedDate <= YESTERDAY", {}, {"006B"}),
    ("CreatedDate > YESTERDAY", {}, {"006A"}),
    ("CreatedDate = 2026-11-18T00:00:00Z", {}, {"006A"}),
    ("CreatedDate >= 2026-11-18T01:00:00+01:00", {}, {"006A"}),
    ("CreatedDate = :then", {"then": datetime(2026, 11, 18, tzinfo=UTC)}, {"006A"}),
    ("CreatedDate = :then", {"then": None}, {"006C"}),
    ("Starts__c = 09:30:00.000Z", {}, {"006A"}),
    ("Starts__c > 10:00:00Z", {}, set()),
    ("Starts__c = :at", {"at": time(9, 30)}, {"006A"}),
    ("Starts__c = :at", {"at": None}, {"006B", "006C"}),
    ("StageName = 'closed won'", {}, {"006A"}),
    ("StageName LIKE 'OP%'", {}, {"006B"}),
    ("StageName IN :stages", {"stages": ["Open"]}, {"006B"}),
    ("Amount = 10.5", {}, {"006A"}),
    ("Amount > -1", {}, {"006A", "006B"}),
    ("Amount = :n", {"n": None}, {"006C"}),
    ("Amount IN (2, 10.50)", {}, {"006A", "006B"}),
    ("Number__c = '007'", {}, {"006A"}),
]

OF_INVOICES: list[tuple[str, dict[str, object], set[str]]] = [
    ("acme__Number__c = 13", {}, {"a00B"}),
    ("acme__Number__c IN (9.0, 13)", {}, {"a00A", "a00B"}),
    ("acme__Number__c != 9", {}, {"a00B"}),
    ("acme__Number__c = :number", {"number": 13.0}, {"a00B"}),
    ("acme__Total__c = 19.99", {}, {"a00A"}),
    ("acme__Account__r.Name = 'Acme'", {}, {"a00A", "a00B"}),
]


@pytest.mark.parametrize(("condition", "binds", "expected"), OF_ACCOUNTS)
def test_conditions_of_accounts(run: Run, condition: str, binds: Mapping[str, object], expected: set[str]) -> None:
    assert {short(row.Id) for row in run(f"SELECT Id FROM Account WHERE {condition}", **binds)} == expected


@pytest.mark.parametrize(("condition", "binds", "expected"), OF_OPPORTUNITIES)
def test_conditions_of_opportunities(run: Run, condition: str, binds: Mapping[str, object], expected: set[str]) -> None:
    assert {short(row.Id) for row in run(f"SELECT Id FROM Opportunity WHERE {condition}", **binds)} == expected


@pytest.mark.parametrize(("condition", "binds", "expected"), OF_INVOICES)
def test_conditions_of_invoices(run: Run, condition: str, binds: Mapping[str, object], expected: set[str]) -> None:
    found = run(f"SELECT Id FROM acme__Invoice__c WHERE {condition}", **binds)
    assert {short(row.Id) for row in found} == expected


def test_a_key_without_upper_and_lower_case(run: Run) -> None:
    assert run("SELECT LastName FROM Contact WHERE Email_Key__c = 'ADA@X'") == [("Byron",)]
    assert run("SELECT LastName FROM Contact WHERE Email_Key__c IN :keys", keys=["ADA@x"]) == [("Byron",)]


LEAVES = st.sampled_from(
    [
        condition
        for condition, binds, _ in OF_ACCOUNTS
        if not binds and " AND " not in condition and "(Name" not in condition
    ]
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        inner.map(lambda one: f"NOT ({one})")
        | st.tuples(inner, inner).map(lambda two: f"({two[0]}) AND ({two[1]})")
        | st.tuples(inner, inner).map(lambda two: f"({two[0]}) OR ({two[1]})")
    ),
    max_leaves=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=CONDITIONS)
def test_a_record_fits_a_condition_or_its_negation(run: Run, condition: str) -> None:
    fitting = {short(row.Id) for row in run(f"SELECT Id FROM Account WHERE {condition}")}
    others = {short(row.Id) for row in run(f"SELECT Id FROM Account WHERE NOT ({condition})")}
    assert fitting | others == ACCOUNTS
    assert not fitting & others


def test_texts_are_parameters_and_never_sql() -> None:
    statement = soql(
        "SELECT Id FROM Account WHERE Name = 'Zebra' OR Name IN ('Zebra') OR Topics__c INCLUDES ('Zebra')", MODELS
    )
    assert "zebra" not in str(statement.compile()).lower()
    assert "Zebra" in str(statement.compile().params.values())


def test_a_date_literal_counts_from_the_day_it_runs(engine: Engine) -> None:
    days = [date(2026, 11, 18), date(2025, 2, 28)]
    present = iter([days[0], days[0], days[0], days[1], days[1]])
    statement = soql("SELECT Name FROM Opportunity WHERE CloseDate = TODAY", MODELS, today=lambda: next(present))
    with Session(engine) as session:
        assert [session.execute(statement).scalar(), session.execute(statement).scalar()] == ["Deal", "Old deal"]


def test_a_bind_variable_must_be_given(run: Run) -> None:
    with pytest.raises(StatementError, match="name"):
        run("SELECT Id FROM Account WHERE Name = :name")
    with pytest.raises(StatementError, match="is one value"):
        run("SELECT Id FROM Account WHERE Topics__c INCLUDES (:topics)", topics="Art;Biology")


# -- groups -----------------------------------------------------------------------------------------------------------

GROUPED: list[tuple[str, list[tuple[object, ...]]]] = [
    ("SELECT COUNT() FROM Account", [(5,)]),
    ("SELECT COUNT() FROM Account WHERE Name LIKE 'a%'", [(2,)]),
    ("SELECT COUNT() FROM Account LIMIT 3", [(3,)]),
    ("SELECT COUNT(Id), COUNT(Name) named, COUNT_DISTINCT(NumberOfEmployees) FROM Account", [(5, 4, 2)]),
    ("SELECT SUM(NumberOfEmployees), AVG(NumberOfEmployees), MIN(NumberOfEmployees) FROM Account", [(19, 19 / 3, 5)]),
    ("SELECT MAX(Amount), MIN(Amount), AVG(Amount), SUM(Amount) FROM Opportunity", [(10.5, 2.0, 6.25, 12.5)]),
    ("SELECT SUM(acme__Total__c), MAX(acme__Total__c) FROM acme__Invoice__c", [(Decimal("20"), Decimal("19.99"))]),
    ("SELECT AVG(acme__Total__c) a FROM acme__Invoice__c", [(Decimal("10"),)]),
    (
        "SELECT MAX(CloseDate), MIN(CreatedDate) FROM Opportunity",
        [
            (date(2026, 11, 18), datetime(2026, 11, 17, 23, 59, 59, tzinfo=UTC)),
        ],
    ),
    ("SELECT MAX(Name) FROM Account WHERE Name = 'nobody'", [(None,)]),
    (
        "SELECT NumberOfEmployees, COUNT(Id) FROM Account GROUP BY NumberOfEmployees ORDER BY NumberOfEmployees",
        [(None, 2), (5, 1), (7, 2)],
    ),
    (
        "SELECT Owner.Name, COUNT(Id) FROM Account GROUP BY Owner.Name ORDER BY COUNT(Id) DESC, Owner.Name DESC",
        [("Bob Lee", 2), (None, 2), ("Ann Boss", 1)],
    ),
    (
        "SELECT Owner.Name FROM Account GROUP BY Owner.Name HAVING COUNT(Id) > 1 AND Owner.Name != null",
        [("Bob Lee",)],
    ),
    (
        "SELECT What.Type, COUNT(Id) FROM Event GROUP BY What.Type ORDER BY What.Type DESC LIMIT 2",
        [
            ("Opportunity", 1),
            ("Case", 1),
        ],
    ),
    ("SELECT a.Name FROM Account a GROUP BY Name, NAME ORDER BY name NULLS LAST LIMIT 1", [("Acme",)]),
    ("SELECT StageName FROM Opportunity GROUP BY StageName HAVING MAX(Amount) >= 10.5", [(Stage.WON,)]),
    (
        "SELECT Account.Owner.Name o, SUM(Amount) FROM Opportunity GROUP BY Account.Owner.Name HAVING SUM(Amount) > 5",
        [
            ("Bob Lee", 10.5),
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), GROUPED)
def test_groups_and_aggregates(run: Run, text: str, expected: list[tuple[object, ...]]) -> None:
    rows = [tuple(row) for row in run(text)]
    assert rows == expected
    assert [[type(value) for value in row] for row in rows] == [[type(value) for value in row] for row in expected]


def test_aggregates_have_their_alias_or_a_number(run: Run) -> None:
    [row] = run("SELECT COUNT(Id), MAX(Name) final, MIN(Name) FROM Account")
    assert list(row._mapping) == ["expr0", "final", "expr1"]
    assert list(run("SELECT COUNT() FROM Account")[0]._mapping) == ["COUNT()"]


def test_having_takes_bind_variables(run: Run) -> None:
    text = "SELECT Owner.Name FROM Account WHERE Name != :name GROUP BY Owner.Name HAVING COUNT(Id) >= :least"
    assert run(text, least=2, name="House") == [("Bob Lee",)]


# -- order and limits -------------------------------------------------------------------------------------------------

ORDERED = [
    ("Name", ["001E", "001A", "001B", "001D", "001C"]),
    ("Name ASC NULLS LAST", ["001A", "001B", "001D", "001C", "001E"]),
    ("Name DESC", ["001C", "001D", "001B", "001A", "001E"]),
    ("Name DESC NULLS FIRST", ["001E", "001C", "001D", "001B", "001A"]),
    ("NumberOfEmployees DESC NULLS LAST, Name DESC", ["001D", "001B", "001A", "001C", "001E"]),
    ("Owner.Name, Id DESC", ["001E", "001D", "001B", "001C", "001A"]),
    ("Id LIMIT 2", ["001A", "001B"]),
    ("Id LIMIT 2 OFFSET 3", ["001D", "001E"]),
    ("Id OFFSET 4", ["001E"]),
    ("Id DESC LIMIT :most OFFSET :start", ["001D"]),
]


@pytest.mark.parametrize(("order", "expected"), ORDERED)
def test_order_and_limits(run: Run, order: str, expected: list[str]) -> None:
    binds = {"most": 1, "start": 1} if ":" in order else {}
    assert [short(row.Id) for row in run(f"SELECT Id FROM Account ORDER BY {order}", **binds)] == expected


# -- rules ------------------------------------------------------------------------------------------------------------

BROKEN: list[tuple[str, tuple[int, int, str]]] = [
    *BROKEN_TYPEOF,
    # names
    ("SELECT Id FROM Acount", (1, 16, "no class takes Acount; did you mean Account")),
    ("SELECT Id FROM Quote", (1, 16, "no class takes Quote; declare one, or put its WSDL into the WSDL folder")),
    ("SELECT Id,\n  Nmae FROM Account", (2, 3, "Account has no field Nmae; did you mean Name")),
    ("SELECT notes FROM Account", (1, 8, "Account has no field notes")),
    ("SELECT Owner FROM Account", (1, 8, "it is a relationship: write OwnerId, or Owner.Name")),
    ("SELECT Onwer.Name FROM Account", (1, 8, "Account has no relationship Onwer; did you mean Owner?")),
    ("SELECT Account.Owner.Nmae FROM Contact", (1, 22, "User has no field Nmae; did you mean Name")),
    ("SELECT What.Amount FROM Event", (1, 13, "Write TYPEOF What WHEN Account THEN Amount END in SELECT")),
    ("SELECT Id FROM Event WHERE What.Owner.Name = 'x'", (1, 33, "TYPEOF What WHEN Account THEN Owner.Name END")),
    ("SELECT Who.Phone FROM Event", (1, 12, "maps the field Phone")),
    ("SELECT x.Name FROM Account a", (1, 8, "Account has no relationship x")),
    # kinds
    (
        "SELECT Id FROM Account WHERE NumberOfEmployees = '5'",
        (1, 50, "NumberOfEmployees holds a number, and this is a text"),
    ),
    ("SELECT Id FROM Account WHERE NumberOfEmployees IN (1, '5')", (1, 55, "NumberOfEmployees holds a number")),
    (
        "SELECT Id FROM Account WHERE Name = 5",
        (1, 37, "Name holds a text, and this is a number; write a text in single"),
    ),
    ("SELECT Id FROM Account WHERE Name = TRUE", (1, 37, "Name holds a text, and this is a boolean")),
    ("SELECT Id FROM Account WHERE Name = TODAY", (1, 37, "Name holds a text, and this is TODAY")),
    ("SELECT Id FROM Account WHERE Name = Acme", (1, 37, "ACME is no value. A text stands in single quotes")),
    ("SELECT Id FROM Account WHERE Id = '5'", (1, 35, "Id holds a Salesforce ID: 15 or 18 letters and digits")),
    ("SELECT Id FROM Account WHERE IsActive__c = 'true'", (1, 44, "write TRUE or FALSE, without quotes")),
    (
        "SELECT Id FROM Account WHERE IsActive__c > false",
        (1, 42, "IsActive__c holds a boolean, which is compared by !=, ="),
    ),
    (
        "SELECT Id FROM Account WHERE NumberOfEmployees LIKE '5%'",
        (1, 48, "LIKE is for texts; NumberOfEmployees holds a number"),
    ),
    ("SELECT Id FROM Account WHERE Id LIKE '001%'", (1, 33, "LIKE is for texts; Id holds a Salesforce ID")),
    ("SELECT Id FROM Account WHERE Name LIKE 5", (1, 40, "Name holds a text")),
    (
        "SELECT Id FROM Account WHERE Name INCLUDES ('x')",
        (1, 35, "INCLUDES is for multi-select picklists; Name holds a text"),
    ),
    ("SELECT Id FROM Account WHERE Topics__c INCLUDES (5)", (1, 50, "write a text in single quotes")),
    ("SELECT Id FROM Account WHERE Name < null", (1, 37, "null is neither more nor less")),
    (
        "SELECT Id FROM Opportunity WHERE CreatedDate = 2026-01-01",
        (1, 48, "CreatedDate holds a date and time, and this is a date"),
    ),
    (
        "SELECT Id FROM Opportunity WHERE CloseDate = 2026-01-01T00:00:00Z",
        (1, 46, "CloseDate holds a date, and this is a date and"),
    ),
    ("SELECT Id FROM Opportunity WHERE CloseDate = TODYA", (1, 46, "TODYA is no value; did you mean TODAY?")),
    ("SELECT Id FROM Opportunity WHERE CloseDate = LAST_N_DAYS", (1, 46, "LAST_N_DAYS takes a number")),
    ("SELECT Id FROM Opportunity WHERE CloseDate = THIS_FISCAL_YEAR", (1, 46, "THIS_YEAR is the calendar's")),
    (
        "SELECT Id FROM Opportunity WHERE Amount = 1e999",
        (1, 43, "Amount holds a number: a number that a double can hold"),
    ),
    (
        "SELECT Id FROM Account WHERE Name = :x OR NumberOfEmployees = :x",
        (1, 63, ":x is a text at one place and a number here"),
    ),
    (
        "SELECT Id FROM Account WHERE Name = :x OR Name IN :x",
        (1, 51, ":x is a list at one place and a single value at another"),
    ),
    ("SELECT Id FROM acme__Invoice__c WHERE acme__Number__c > 5", (1, 55, "compared by !=, =, IN, NOT IN")),
    # groups
    ("SELECT Name, COUNT(Id) FROM Account", (1, 8, "Name stands neither in GROUP BY nor in an aggregate")),
    ("SELECT Name FROM Account GROUP BY Phone", (1, 8, "Name stands neither in GROUP BY nor in an aggregate")),
    ("SELECT Phone FROM Account GROUP BY Phone HAVING Name = 'x'", (1, 49, "Name stands neither in GROUP BY nor in")),
    ("SELECT Phone FROM Account GROUP BY Phone ORDER BY Name", (1, 51, "Name stands neither in GROUP BY nor in")),
    ("SELECT Id FROM Account WHERE COUNT(Id) > 1", (1, 30, "COUNT(Id) cannot stand in WHERE")),
    ("SELECT COUNT(Id) FROM Account HAVING COUNT(Id) > 1", (1, 38, "HAVING stands behind GROUP BY only")),
    ("SELECT Id FROM Account ORDER BY COUNT(Id)", (1, 33, "COUNT(Id) needs GROUP BY")),
    ("SELECT MAX(Amount) FROM Opportunity LIMIT 1", (1, 43, "LIMIT and OFFSET have no place here")),
    ("SELECT COUNT(), Id FROM Account", (1, 1, "COUNT() stands alone in SELECT")),
    ("SELECT COUNT() FROM Account ORDER BY Name", (1, 1, "COUNT() has no GROUP BY, HAVING and ORDER BY")),
    ("SELECT SUM(Name) FROM Account", (1, 12, "SUM takes a number; Name holds a text")),
    ("SELECT SUM(acme__Number__c) FROM acme__Invoice__c", (1, 12, "SUM takes a number")),
    ("SELECT MAX(IsActive__c) FROM Account", (1, 12, "MAX takes what has an order; IsActive__c holds a boolean")),
    ("SELECT SUM() FROM Account", (1, 8, "SUM takes a field; write SUM(Amount)")),
    ("SELECT COUNT(Id, Name) FROM Account", (1, 8, "COUNT takes one field")),
    ("SELECT MAX(COUNT(Id)) FROM Account", (1, 8, "MAX takes one field")),
    (
        "SELECT Phone FROM Account GROUP BY ROLLUP(Phone)",
        (1, 36, "ROLLUP() is not supported here; send one query for each"),
    ),
    (
        "SELECT Phone FROM Account GROUP BY CUBE(Phone)",
        (1, 36, "CUBE() is not supported here; send one query for each"),
    ),
    ("SELECT Phone FROM Account GROUP BY COUNT(Phone)", (1, 36, "COUNT(Phone) cannot be grouped by; name a field")),
    # functions, aliases, children
    ("SELECT FORMAT(Name) FROM Account", (1, 8, "FORMAT() is not supported here; select the field itself")),
    ("SELECT FIELDS(ALL) FROM Account", (1, 8, "FIELDS() is not supported here; name the fields")),
    ("SELECT Id FROM Opportunity WHERE CALENDAR_YEAR(CloseDate) = 2026", (1, 34, "a date literal such as THIS_YEAR")),
    ("SELECT Foo(Name) FROM Account", (1, 8, "Foo() is no function; there are AVG, COUNT, COUNT_DISTINCT")),
    ("SELECT Name n FROM Account", (1, 13, "n is an alias, and only a query with GROUP BY or aggregates has some")),
    ("SELECT Name, Id, NAME FROM Account", (1, 18, "NAME is selected twice")),
    ("SELECT Name x, COUNT(Id) X FROM Account GROUP BY Name", (1, 26, "X is selected twice")),
    ("SELECT (SELECT Id FROM Contacts) FROM Account", (1, 9, "a query of children in SELECT is not supported here")),
    # semi-joins
    ("SELECT Id FROM Account WHERE Id IN (SELECT Id, AccountId FROM Contact)", (1, 37, "selects one field")),
    ("SELECT Id FROM Account WHERE Id IN (SELECT COUNT() FROM Contact)", (1, 37, "selects one field")),
    (
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact LIMIT 1)",
        (1, 37, "has no GROUP BY, ORDER BY, LIMIT"),
    ),
    ("SELECT Id FROM Account WHERE Id IN (SELECT LastName FROM Contact)", (1, 44, "LastName holds a text")),
    (
        "SELECT Id FROM Account WHERE Name IN (SELECT Id FROM Contact)",
        (1, 35, "a semi-join compares IDs; Name holds a text"),
    ),
    (
        "SELECT Id FROM Account WHERE Id IN (SELECT AcountId FROM Contact)",
        (1, 44, "Contact has no field AcountId; did you"),
    ),
]


@pytest.mark.parametrize(("text", "broken"), BROKEN)
def test_a_broken_rule_is_told_where_it_is_broken(text: str, broken: tuple[int, int, str]) -> None:
    with pytest.raises(SoqlError) as raised:
        soql(text, MODELS, today=lambda: TODAY)
    error = raised.value
    assert broken[2] in error.sentence
    assert (error.line, error.column) == broken[:2]
    assert isinstance(error, QueryError)


def test_without_models_the_classes_are_those_of_record() -> None:
    with pytest.raises(SoqlError, match="no class takes Account"):
        soql("SELECT Id FROM Account")


def test_without_models_there_are_those_that_a_receiver_fills_beside(tmp_path: Path) -> None:
    code = """
from omreceiver import Field, Record, RecordMixin
from omreceiver.queries.select import soql
from omreceiver.records.models import Models
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

class Other(RecordMixin, DeclarativeBase):
    type_annotation_map = Record.type_annotation_map

class Account(Record, sobject="Account"):
    name: Mapped[str | None] = Field("Name")

class Lead(Other, sobject="Lead"):
    company: Mapped[str | None] = Field("Company")

Models([Account, Lead])
engine = create_engine("sqlite://")
for base in (Record, Other):
    base.metadata.create_all(engine)
with Session(engine) as session:
    ids = {"external_id": "x", "salesforce_id": "x", "organization_id": "x"}
    session.add_all([Account(name="Acme", **ids), Lead(company="Leads", **ids)])
    session.flush()
    print(session.scalar(soql("SELECT Name FROM Account")), session.scalar(soql("SELECT Company FROM Lead")))
"""
    answer = run_program([sys.executable, "-c", code], tmp_path)
    assert (answer.stdout, answer.stderr) == ("Acme Leads\n", "")


# -- the command ------------------------------------------------------------------------------------------------------

Command = Callable[..., Result]
HOSTILE = "\x1b[31mred\tand\nnext, line"


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """command("SELECT …", "--json"): over the records of these tests, and one more that is hostile."""
    monkeypatch.setenv("OMRECEIVER_MODELS", __name__)
    monkeypatch.setenv("OMRECEIVER_WSDL_DIR", "nowhere")
    engine = open_engine(f"sqlite:///{project}/omreceiver.db")
    upgrade(engine, MODELS)
    with Session(engine) as session:
        session.add_all([*records(), record(Account, "001F", external_id="z-1", name=HOSTILE)])
        session.commit()
    engine.dispose()
    return lambda *arguments: CliRunner().invoke(main, ["soql", *arguments])


def test_the_command_prints_a_table(command: Command) -> None:
    result = command("SELECT Name, NumberOfEmployees, Topics__c, IsActive__c, SystemModstamp FROM Account ORDER BY Id")
    assert result.exit_code == 0
    assert [line.split("\t") for line in result.stdout.splitlines()][:2] == [
        ["Name", "NumberOfEmployees", "Topics__c", "IsActive__c", "SystemModstamp"],
        ["Acme", "5", "Art;Biology", "true", "2026-01-01T00:00:00.000Z"],
    ]
    assert result.stdout.splitlines()[-1] == "\N{REPLACEMENT CHARACTER}[31mred and next, line\t\t\t\t"


def test_the_command_prints_json(command: Command) -> None:
    text = (
        "SELECT Name, Amount, CloseDate, StageName, CreatedDate, Starts__c, Account.AnnualRevenue, Account.Topics__c "
    )
    result = command(text + "FROM Opportunity WHERE Name = 'Deal'", "--json")
    assert json.loads(result.stdout) == [
        {
            "Name": "Deal",
            "Amount": 10.5,
            "CloseDate": "2026-11-18",
            "StageName": "Closed Won",
            "CreatedDate": "2026-11-18T00:00:00.000Z",
            "Starts__c": "09:30:00",
            "Account.AnnualRevenue": 1000.5,
            "Account.Topics__c": ["Art", "Biology"],
        }
    ]
    assert json.loads(command("SELECT COUNT() FROM Account", "--json").stdout) == [{"COUNT()": 6}]


def test_the_command_prints_csv(command: Command) -> None:
    result = command("SELECT Name, Topics__c, IsActive__c FROM Account ORDER BY Id", "--csv")
    [headings, acme, *_, hostile] = csv.reader(io.StringIO(result.stdout, newline=""))
    assert headings == ["Name", "Topics__c", "IsActive__c"]
    assert acme == ["Acme", "Art;Biology", "true"]
    assert hostile == [HOSTILE, "", ""]


def test_at_a_terminal_csv_cannot_steer_it(command: Command, project: Path) -> None:
    terminal, inside = pty.openpty()
    arguments = ["soql", "SELECT Name FROM Account WHERE ERP_Id__c = 'z-1'", "--csv"]
    settings = {"OMRECEIVER_MODELS": __name__, "OMRECEIVER_WSDL_DIR": "nowhere", "PYTHONPATH": str(ROOT)}
    env = environment(project, **settings)
    process = subprocess.Popen([PROGRAMS / "omreceiver", *arguments], cwd=project, env=env, stdin=inside, stdout=inside)
    os.close(inside)
    with process, open(terminal, "rb") as screen:
        lines = [screen.readline().decode().rstrip() for _ in range(3)]
    assert [line.split() for line in lines] == [
        ["Name"],
        ['"\N{REPLACEMENT CHARACTER}[31mred', "and"],
        ["next,", 'line"'],
    ]


def test_the_command_prints_typeof(command: Command) -> None:
    text = "SELECT Subject, TYPEOF What WHEN Account THEN Phone, Topics__c END FROM Event WHERE Subject = 'Lunch'"
    assert command(text).stdout == "Subject\tWhat\nLunch\tPhone=111, Topics__c=Art;Biology\n"
    what = {"Phone": "111", "Topics__c": ["Art", "Biology"]}
    assert json.loads(command(text, "--json").stdout) == [{"Subject": "Lunch", "What": what}]
    [_, [_, cell]] = csv.reader(io.StringIO(command(text, "--csv").stdout))
    assert json.loads(cell) == what


BOUND = [
    ("SELECT Name FROM Account WHERE Name = :name", ["name=ACME"], ["Acme"]),
    ("SELECT Name FROM Account WHERE Name IN :names ORDER BY Name", ["names=acme", "names=house"], ["Acme", "House"]),
    ("SELECT Name FROM Account WHERE Name IN :names", [], []),
    ("SELECT Name FROM Account WHERE Name = :name", ["name="], [""]),
    ("SELECT Name FROM Account WHERE NumberOfEmployees < :most LIMIT :limit", ["most=6", "limit=3"], ["Acme"]),
    ("SELECT Name FROM Opportunity WHERE CreatedDate < :t", ["t=2026-11-18T00:00:00Z"], ["Old deal"]),
    (
        "SELECT Name FROM Account WHERE Topics__c INCLUDES (:topic) AND IsActive__c = :yes",
        ["topic=art", "yes=true"],
        ["Acme"],
    ),
    ("SELECT Name FROM Account WHERE Name = :name", ["name=x' OR '1'='1"], []),
]


@pytest.mark.parametrize(("text", "pairs", "names"), BOUND)
def test_the_command_takes_bind_variables(command: Command, text: str, pairs: list[str], names: list[str]) -> None:
    result = command(text, *(f"--bind={pair}" for pair in pairs))
    assert result.stdout.splitlines() == ["Name", *names]


WRONG = [
    (["SELECT Id FROM Account WHERE Name = :name"], "The query has one value for :name. Give it once: --bind name=…"),
    (["SELECT Id FROM Account WHERE Name = :x", "--bind=x=1", "--bind=x=2"], "The query has one value for :x"),
    (["SELECT Id FROM Account", "--bind=x=1"], "'x=1' is not NAME=VALUE of a bind variable of the query: none."),
    (
        ["SELECT Id FROM Account WHERE Name = :x", "--bind=x"],
        "'x' is not NAME=VALUE of a bind variable of the query: x.",
    ),
    (["SELECT Id FROM Account LIMIT :n", "--bind=n=many"], "n=many cannot be read, expected a number."),
    (["SELECT Id FROM Account", "--json", "--csv"], "--json and --csv exclude each other."),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_wrong_use_of_the_command(command: Command, arguments: list[str], sentence: str) -> None:
    result = command(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_the_command_points_at_what_is_wrong(command: Command) -> None:
    result = command("SELECT Id,\n  Nmae FROM Account")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "omreceiver: line 2, column 3: Account has no field Nmae; did you mean Name?",
        "    Nmae FROM Account",
        "    ^",
    ]


def test_the_command_knows_the_classes_built_from_wsdls(project: Path) -> None:
    for line in ("db create", "replay fixtures"):
        CliRunner().invoke(main, line.split())
    text = (
        "SELECT acme__Number__c, acme__Account__r.Name FROM acme__Invoice__c WHERE acme__Account__r.Name LIKE 'acme%'"
    )
    result = CliRunner().invoke(main, ["soql", text])
    assert result.stdout == "acme__Number__c\tacme__Account__r.Name\n00042\tAcme & Sons\n"
