"""Every kind of field that Salesforce has: as it is declared, kept, sent, read, and loaded again, on every database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect, select, type_coerce
from sqlalchemy.orm import Mapped, Session

from omreceiver import (
    Address,
    Change,
    Compound,
    ExternalId,
    Field,
    Geolocation,
    RecordId,
    Reference,
    committed,
    post_save,
    pre_save,
    receiver,
)
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError
from omreceiver.records.layout import Layout
from omreceiver.records.types import VALUE_TYPES, value_type
from omreceiver.records.values import as_text
from omreceiver.relays import delivery
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.conftest import MakeApp
from tests.databases import DATABASES

ONE, TWO = "001000000000001AAA", "001000000000002AAA"
OWNER = "005000000000001AAA"
LONG = "Grüße, 世界 \U0001f600 & <b>fett</b>\n" * 4000


class Stage(Enum):
    """No str itself: a text is equal to no member."""

    OPEN = "Prospecting"
    WON = "Closed Won"


class Topic(StrEnum):
    RED = "Red"
    GREEN = "Light green"


class Priority(IntEnum):
    HIGH = 1


TEXT = ("TEXT", "TEXT", "LONGTEXT")
DOUBLE = ("DOUBLE", "DOUBLE_PRECISION", "DOUBLE")


@dataclass(frozen=True)
class Kind:
    """A kind of field: what a user writes, a value as it comes in a message, and what becomes of it."""

    name: str
    annotation: Any
    wire: str | Mapping[str, str]
    value: Any
    #: the type of the column on SQLite, PostgreSQL and MariaDB
    columns: tuple[str, str, str]
    declaration: Any = None
    column: str = "value"

    @property
    def field(self) -> Any:
        return self.declaration or (lambda: Field("Value__c"))

    @property
    def sent(self) -> Mapping[str, str]:
        return {"Value__c": self.wire} if isinstance(self.wire, str) else self.wire


KINDS = [
    Kind("text", str, "Acme & Söhne <1>", "Acme & Söhne <1>", TEXT),
    Kind("base64", bytes, "AP+AJw==", b"\x00\xff\x80'", ("BLOB", "BYTEA", "LONGBLOB")),
    Kind("text area", str, "Line 1\nLine 2", "Line 1\nLine 2", TEXT),
    Kind("long text area", str, LONG, LONG, TEXT),
    Kind("rich text area", str, '<p class="x">Hi&nbsp;<b>there</b></p>', '<p class="x">Hi&nbsp;<b>there</b></p>', TEXT),
    Kind("number", float, "-94.1307667", -94.1307667, DOUBLE),
    Kind("number, exact", Decimal, "12.50", Decimal("12.50"), ("DOUBLE", "NUMERIC", "DECIMAL")),
    Kind("number, whole", int, "13.0", 13, ("BIGINT", "BIGINT", "BIGINT")),
    Kind("currency", Decimal, "1234567.89", Decimal("1234567.89"), ("DOUBLE", "NUMERIC", "DECIMAL")),
    Kind("percent", float, "12.5", 12.5, DOUBLE),
    Kind("checkbox", bool, "true", True, ("BOOLEAN", "BOOLEAN", "TINYINT")),
    Kind("date", date, "2028-02-29", date(2028, 2, 29), ("DATE", "DATE", "DATE")),
    Kind(
        "date/time",
        datetime,
        "2026-11-20T12:34:56.000Z",
        datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC),
        ("DATETIME", "TIMESTAMP", "DATETIME"),
    ),
    Kind("time", time, "09:30:00.125Z", time(9, 30, 0, 125_000), ("TIME", "TIME", "TIME")),
    Kind("email", str, "Ann@Example.com", "Ann@Example.com", TEXT),
    Kind("phone", str, "+49 30 1234-5", "+49 30 1234-5", TEXT),
    Kind("url", str, "https://example.com/?a=1&b=2", "https://example.com/?a=1&b=2", TEXT),
    Kind("picklist", str, "Closed Won", "Closed Won", TEXT),
    Kind("picklist, an Enum", Stage, "Closed Won", Stage.WON, TEXT),
    Kind("picklist, an unknown value", Stage | str, "Closed Maybe", "Closed Maybe", TEXT),
    Kind("picklist, a StrEnum", Topic, "Light green", Topic.GREEN, TEXT),
    Kind("multi-select picklist", list[str], "Red; Light green", ["Red", "Light green"], TEXT),
    Kind("multi-select picklist, an Enum", list[Topic], "Red;Light green", [Topic.RED, Topic.GREEN], TEXT),
    Kind("multi-select picklist, unknown values", list[Stage | str], "Other;Closed Won", ["Other", Stage.WON], TEXT),
    Kind("auto number", str, "00016492", "00016492", TEXT),
    Kind("encrypted string", str, "****-1234", "****-1234", TEXT),
    Kind("ID", RecordId, "005000000000001", OWNER, ("TEXT", "VARCHAR", "VARCHAR")),
    Kind(
        "lookup",
        Any,
        {"OwnerId": OWNER},
        None,  # the record has not arrived; its ID is in the column
        ("TEXT", "VARCHAR", "VARCHAR"),
        lambda: Reference("OwnerId", "User"),
        "value_id",
    ),
    Kind(
        "geolocation",
        Geolocation,
        {"Site__Latitude__s": "52.52", "Site__Longitude__s": "13.405"},
        Geolocation(52.52, 13.405),
        DOUBLE,
        lambda: Compound("Site__c"),
        "value_latitude",
    ),
    Kind(
        "address",
        Address,
        {"BillingStreet": "Unter den Linden 1\nHof", "BillingCity": "Berlin", "BillingLatitude": "52.52"},
        Address(street="Unter den Linden 1\nHof", city="Berlin", latitude=52.52),
        TEXT,
        lambda: Compound("BillingAddress"),
        "value_street",
    ),
]


def declared(base: Any, kind: Kind) -> Any:
    """A class with one field of a kind, called value."""
    mapped: Any = Mapped
    namespace = {
        "__module__": __name__,
        "__annotations__": {"external_id": Mapped[str], "value": mapped[kind.annotation | None]},
        "external_id": ExternalId("Key__c"),
        "value": kind.field(),
    }
    return type(base)("Thing", (base,), namespace, sobject="Thing__c")


def send(app: Flask, *records: Mapping[str, Any], sobject: str = "Thing__c") -> list[str]:
    answer = post(app, compose(sobject, *records))
    assert answer.receipt is not None
    return [answer.outcomes[notification.id] for notification in answer.receipt.message.notifications]


def loaded(app: Flask, model: Any, attribute: str = "value", key: str = "T-1") -> Any:
    with Session(parts_of(app).engine) as session:
        return getattr(session.get_one(model, key), attribute)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_field_of_every_kind(make_app: MakeApp, database_url: str, base: Any, kind: Kind) -> None:
    """It arrives, is read and loaded as one value, seen to be the same when it comes again, and is NULL when blank."""
    model = declared(base, kind)
    app = make_app(database_url, base)
    blank = {"Id": ONE, "Key__c": "T-1"}

    assert send(app, {**blank, **kind.sent}) == ["created"]
    value = loaded(app, model)
    assert (value, type(value)) == (kind.value, type(kind.value))
    assert loaded(app, model, kind.column) is not None

    assert send(app, {**blank, **kind.sent}) == ["unchanged"]

    assert send(app, blank) == ["updated"]
    assert (loaded(app, model), loaded(app, model, kind.column)) == (None, None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_its_column(make_app: MakeApp, database_url: str, base: Any, kind: Kind) -> None:
    model = declared(base, kind)
    engine = parts_of(make_app(database_url, base)).engine

    [column] = [each for each in inspect(engine).get_columns(model.__tablename__) if each["name"] == kind.column]

    assert type(column["type"]).__name__ == kind.columns[DATABASES.index(engine.dialect.name)]
    assert column["nullable"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_a_value_becomes_as_text_is_read_as_the_same_value(kind: Kind, base: Any) -> None:
    """Events for other processes hold texts."""
    model = declared(base, kind)
    slots = {slot.attribute: slot.read for slot in Layout(model).slots.values()}
    if "value" in slots:
        assert slots["value"](as_text(kind.value)) == kind.value


# -- external IDs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "texts", "key"),
    [
        pytest.param({}, ["A-1", " A-1 "], "A-1", id="text"),
        pytest.param({"number": True}, ["13.0", "13", "1.3E1"], "13", id="number"),
        pytest.param({"number": True}, ["1.2345678E7", "12345678.0"], "12345678", id="number, a large one"),
        pytest.param({"case_sensitive": False}, ["Ann@Example.com", "ANN@example.COM"], "ann@example.com", id="email"),
        pytest.param({}, ["00016492"], "00016492", id="auto number"),
    ],
)
def test_texts_of_an_external_id_that_are_one_key(
    make_app: MakeApp, database_url: str, base: Any, options: dict[str, bool], texts: list[str], key: str
) -> None:
    class Thing(base, sobject="Thing__c"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Key__c", **options)

    app = make_app(database_url, base)
    for at, text in enumerate(texts):
        # the record was deleted and made anew: another ID, the same key
        send(app, {"Id": f"00100000000000{at}AAA", "Key__c": text})
    with Session(parts_of(app).engine) as session:
        assert session.scalars(select(Thing.external_id)).all() == [key]
        assert [session.get_one(Thing, text).external_id for text in texts] == [key] * len(texts)


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        pytest.param({}, ["A-1", "a-1"], id="text"),
        pytest.param({"number": True}, ["13.0", "1.3"], id="number"),
        pytest.param({"case_sensitive": False}, ["ann@example.com", "anne@example.com"], id="email"),
        pytest.param({}, ["00016492", "16492"], id="auto number"),
    ],
)
def test_texts_of_an_external_id_that_are_two_keys(
    make_app: MakeApp, database_url: str, base: Any, options: dict[str, bool], texts: list[str]
) -> None:
    class Thing(base, sobject="Thing__c"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Key__c", **options)

    app = make_app(database_url, base)

    assert send(app, {"Id": ONE, "Key__c": texts[0]}, {"Id": TWO, "Key__c": texts[1]}) == ["created", "created"]


# -- picklists as Enums -----------------------------------------------------------------------------------------------


@pytest.fixture
def deal(base: Any) -> Any:
    class Deal(base, sobject="Deal"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("Key__c")
        stage: Mapped[Stage | str | None] = Field("StageName")
        topics: Mapped[list[Topic | str] | None] = Field("Topics__c")

    return Deal


@pytest.fixture
def deals(make_app: MakeApp, database_url: str, base: Any, deal: Any) -> Flask:
    """An app with a deal that is won, one with values that no member has, and one without."""
    app = make_app(database_url, base)
    won = {"Key__c": "won", "StageName": "Closed Won", "Topics__c": "Red;Light green"}
    unknown = {"Key__c": "unknown", "StageName": "Closed Maybe", "Topics__c": "Red;Blue"}
    assert send(app, won, unknown, {"Key__c": "blank"}, sobject="Deal") == ["created"] * 3
    return app


def test_picklists_are_compared_by_member_and_by_text(deals: Flask, deal: Any) -> None:
    queries = {
        deal.stage == Stage.WON: ["won"],
        deal.stage == "Closed Won": ["won"],
        deal.stage == "Closed Maybe": ["unknown"],
        deal.stage != Stage.WON: ["unknown"],
        deal.stage.in_([Stage.WON, "Closed Maybe"]): ["unknown", "won"],
        deal.stage.like("Closed %"): ["unknown", "won"],
        deal.stage.is_(None): ["blank"],
        deal.topics == [Topic.RED, Topic.GREEN]: ["won"],
        deal.topics == ["Red", "Blue"]: ["unknown"],
        deal.topics.contains("Blue"): ["unknown"],
    }
    with Session(parts_of(deals).engine) as session:
        found = [session.scalars(select(deal.external_id).where(q).order_by(deal.external_id)).all() for q in queries]

    assert found == list(queries.values())


def test_a_user_writes_members_and_texts(deals: Flask, deal: Any) -> None:
    with Session(parts_of(deals).engine) as session:
        session.get_one(deal, "won").stage = Stage.OPEN
        session.get_one(deal, "unknown").stage = "Closed Won"
        session.get_one(deal, "blank").topics = ["Light green", "Blue"]
        session.commit()

        assert session.get_one(deal, "won").stage is Stage.OPEN
        assert session.get_one(deal, "unknown").stage is Stage.WON
        assert session.get_one(deal, "blank").topics == [Topic.GREEN, "Blue"]


def test_a_text_is_its_member_from_the_moment_it_is_assigned(deal: Any) -> None:
    """Else a receiver that sets "Closed Won" on a record that is won would seem to change it."""
    record = deal(stage="Closed Won", topics=["Red", "Blue"])

    assert record.stage is Stage.WON
    assert [type(topic) for topic in record.topics] == [Topic, str]
    record.stage = "Closed Maybe"
    assert record.stage == "Closed Maybe"


def test_what_pre_save_sets_is_no_change_when_it_was_so(deals: Flask, deal: Any) -> None:
    heard: list[dict[str, Change]] = []

    def win(sender: type, instance: Any, **_: Any) -> None:
        instance.stage = "Closed Won"

    def hear(sender: type, changed: dict[str, Change], **_: Any) -> None:
        heard.append(dict(changed))

    with pre_save.connected_to(win, sender=deal), post_save.connected_to(hear, sender=deal):
        send(deals, {"Key__c": "won", "Id": ONE, "StageName": "Prospecting", "Topics__c": "Red"}, sobject="Deal")

    [changed] = heard
    assert changed.keys() == {"salesforce_id", "topics"}
    assert changed["topics"] == Change([Topic.RED, Topic.GREEN], [Topic.RED])


def test_a_mixin_may_hold_a_picklist_and_a_class_may_make_it_text(base: Any) -> None:
    class Staged:
        stage: Mapped[Stage | None] = Field("StageName")

    class Deal(Staged, base, sobject="Deal"):  # type: ignore[call-arg]
        pass

    class Renewal(Deal, when={"Kind__c": "Renewal"}):  # type: ignore[call-arg]
        pass

    class Quote(Staged, base, sobject="Quote"):  # type: ignore[call-arg]
        stage: Mapped[str | None] = Field("StageName")  # type: ignore[assignment]

    assert [model(stage="Closed Won").stage for model in (Deal, Renewal, Quote)] == [Stage.WON, Stage.WON, "Closed Won"]


def test_events_hold_the_value_and_give_the_member(deals: Flask, deal: Any) -> None:
    calls: list[dict[str, Change]] = []

    @receiver(committed, sender=deal, durable="warehouse")
    def to_warehouse(sender: type, changed: dict[str, Change], **_: Any) -> None:
        calls.append(dict(changed))

    send(deals, {"Key__c": "new", "StageName": "Closed Won", "Topics__c": "Red;Blue"}, sobject="Deal")
    parts = parts_of(deals)
    assert delivery.deliver_next(parts.engine, parts.models) is delivery.Fate.DELIVERED

    assert calls == [{"stage": Change(None, Stage.WON), "topics": Change(None, [Topic.RED, "Blue"])}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Stage.WON, "Closed Won"),
        (Topic.GREEN, "Light green"),
        ([Stage.WON, "Other"], "Closed Won;Other"),
        ([Topic.RED, Topic.GREEN], "Red;Light green"),
        ([], ""),
    ],
)
def test_members_are_written_by_their_value(value: Any, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize("annotation", [Priority, list[Priority], Priority | str], ids=str)
def test_an_enum_of_anything_but_text_is_refused(base: Any, annotation: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Priority\.HIGH is 1\. Picklist values are text: write HIGH = '1', "):
        declared(base, Kind("", annotation, "", None, TEXT))


@pytest.mark.parametrize(
    "annotation", [Stage | Topic, Stage | int, list[int], list[Stage | Topic], Stage | list[Stage]], ids=str
)
def test_an_annotation_that_nothing_reads_is_refused(base: Any, annotation: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Thing\.value is .*; expected Mapped of str, .*, an Enum of str, or"):
        declared(base, Kind("", annotation, "", None, TEXT))


def test_the_type_of_an_enum_is_made_once() -> None:
    assert value_type(Stage) is value_type(Stage)
    assert value_type(list[Stage]) is not value_type(list[Topic])
    assert value_type(str) is VALUE_TYPES[str]
    assert value_type(complex) is None


def test_two_enums_do_not_share_a_statement(sqlite_url: str) -> None:
    """SQLAlchemy keeps what it compiled, by what the types say of themselves."""
    texts = [type_coerce("Red", kind.column) for kind in map(value_type, (Stage, Topic)) if kind]
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        assert [type(connection.scalar(select(text))) for text in texts] == [str, Topic]
    engine.dispose()
