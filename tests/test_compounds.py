"""Compound fields: addresses and geolocations as one value over the parts that Salesforce sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from sqlalchemy import Table, inspect, select, update
from sqlalchemy.orm import Mapped, Mapper, Session, aliased

from omreceiver import Address, Change, Compound, ExternalId, Field, Geolocation, post_save, pre_save
from omreceiver.app import parts_of
from omreceiver.errors import ChecksFailed, DeclarationError
from omreceiver.records.compounds import CompoundField
from omreceiver.records.layout import Layout
from omreceiver.records.models import Models
from tests.accounts import ONE, PARTNER, THREE, TWO, send
from tests.conftest import MakeApp, tables_of

if TYPE_CHECKING:
    from omreceiver import Address as Somewhere

LINDEN = {
    "BillingStreet": "Unter den Linden 1",
    "BillingCity": "Berlin",
    "BillingState": "Berlin",
    "BillingPostalCode": "10117",
    "BillingCountry": "Germany",
    "BillingStateCode": "BE",
    "BillingCountryCode": "DE",
    "BillingLatitude": "52.5170365",
    "BillingLongitude": "13.3888599",
    "BillingGeocodeAccuracy": "Address",
}
BERLIN = Address(
    street="Unter den Linden 1",
    city="Berlin",
    state="Berlin",
    postal_code="10117",
    country="Germany",
    state_code="BE",
    country_code="DE",
    latitude=52.5170365,
    longitude=13.3888599,
    geocode_accuracy="Address",
)
HAMBURG = Address(street="Jungfernstieg 1", city="Hamburg")


@pytest.fixture
def account(base: Any) -> Any:
    """Account with an address of a mixin, and PartnerAccount below it with two compounds of its own."""

    class Addressed:
        billing: Mapped[Address | None] = Compound("BillingAddress")

    class Account(Addressed, base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        office: Mapped[Address | None] = Compound("Office__c")
        location: Mapped[Geolocation | None] = Compound("Location__c")

    return Account


@pytest.fixture
def app(make_app: MakeApp, database_url: str, account: Any, base: Any) -> Flask:
    """Three accounts: a partner in Berlin, one with a street that Hamburg has too, one without an address."""
    app = make_app(database_url, base)
    office = {"Office__City__s": "Potsdam", "Office__CountryCode__s": "DE", "Office__Latitude__s": "52.4"}
    site = {"Location__Latitude__s": "52.52", "Location__Longitude__s": "-13.405"}
    partner = {"ERP_Id__c": "A-1", "Id": ONE, "Name": "Acme", "RecordTypeId": PARTNER, **LINDEN, **office, **site}
    other = {"ERP_Id__c": "A-2", "Id": TWO, "BillingStreet": "Jungfernstieg 1"}
    send(app, partner, other, {"ERP_Id__c": "A-3", "Id": THREE})
    return app


def session_of(app: Flask) -> Session:
    return Session(parts_of(app).engine)


def columns_of(model: type) -> set[str]:
    mapper: Mapper[Any] = inspect(model, raiseerr=True)
    assert isinstance(mapper.local_table, Table)
    return set(mapper.local_table.columns.keys())


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        (BERLIN, ["Unter den Linden 1", "Berlin, Berlin 10117", "Germany"]),
        (Address(street="a\nb", city="c"), ["a", "b", "c"]),
        (Address(city="San Francisco", state_code="CA", postal_code="94105"), ["San Francisco, CA 94105"]),
        (Address(city="Paris", postal_code="75001", country_code="FR"), ["Paris, 75001", "FR"]),
        (Address(postal_code="75001"), ["75001"]),
        (Address(state="Ohio", state_code="OH", country="United States", country_code="US"), ["Ohio", "United States"]),
        (Address(street="", city="c"), ["c"]),
        (Address(latitude=1.0), []),
    ],
)
def test_an_address_as_text_is_what_an_envelope_says(address: Address, lines: list[str]) -> None:
    assert str(address).splitlines() == lines


def test_a_geolocation_as_text() -> None:
    assert str(Geolocation(52.52, 13.405)) == "52.5200, 13.4050"


def test_compounds_are_values() -> None:
    assert {Geolocation(1, 2), Geolocation(1, 2)} == {Geolocation(1, 2)}
    with pytest.raises(AttributeError):
        BERLIN.city = "Bonn"  # type: ignore[misc]


# -- fields -----------------------------------------------------------------------------------------------------------

POINT = ["Latitude", "Longitude", "GeocodeAccuracy"]
STANDARD = ["Street", "City", "State", "PostalCode", "Country", "StateCode", "CountryCode", *POINT]
CUSTOM = ["Street", "City", "PostalCode", "StateCode", "CountryCode", *POINT]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("BillingAddress", Address, [f"Billing{part}" for part in STANDARD]),
        ("PersonMailingAddress", Address, [f"PersonMailing{part}" for part in STANDARD]),
        ("Address", Address, STANDARD),
        ("Office__c", Address, [f"Office__{part}__s" for part in CUSTOM]),
        ("acme__Office__c", Address, [f"acme__Office__{part}__s" for part in CUSTOM]),
        ("Site__c", Geolocation, ["Site__Latitude__s", "Site__Longitude__s"]),
        ("BillingAddress", Geolocation, ["BillingLatitude", "BillingLongitude"]),
        ("LastKnownLocation", Geolocation, ["LastKnownLatitude", "LastKnownLongitude"]),
    ],
)
def test_the_parts_of_a_compound_are_fields_of_their_own(name: str, kind: type, expected: list[str]) -> None:
    marks = CompoundField(name).parts(kind).values()

    assert [mark.name for mark in marks if mark.name] == expected
    assert {mark.compound for mark in marks} == {name}


def test_every_part_is_a_column(account: Any) -> None:
    [partner] = account.__subclasses__()
    parts = set(BERLIN.__dataclass_fields__)

    assert columns_of(account) >= {f"billing_{part}" for part in parts}
    assert columns_of(partner) == {
        "external_id",
        "location_latitude",
        "location_longitude",
        *(f"office_{part}" for part in parts),
    }


def test_a_custom_address_has_codes_in_salesforce_and_names_of_yours(account: Any) -> None:
    [partner] = account.__subclasses__()
    slots = {slot.attribute for slot in Layout(partner).slots.values()}

    assert {"office_state_code", "office_country_code", "billing_state", "billing_country"} <= slots
    assert not {"office_state", "office_country"} & slots


# -- messages ---------------------------------------------------------------------------------------------------------


def test_the_parts_of_a_message_are_one_value(app: Flask, account: Any) -> None:
    with session_of(app) as session:
        partner, other, blank = session.scalars(select(account).order_by(account.external_id))

        assert partner.billing == BERLIN
        assert partner.office == Address(city="Potsdam", country_code="DE", latitude=52.4)
        assert partner.location == Geolocation(52.52, -13.405)
        assert other.billing == Address(street="Jungfernstieg 1")
        assert blank.billing is None


def test_a_compound_is_none_when_its_parts_become_blank(app: Flask, account: Any) -> None:
    assert send(app, {"ERP_Id__c": "A-1", "Id": ONE, "RecordTypeId": PARTNER}) == ["updated"]

    with session_of(app) as session:
        partner = session.get_one(account, "A-1")
        assert (partner.billing, partner.office, partner.location) == (None, None, None)


def test_half_a_point_is_none(app: Flask, account: Any) -> None:
    send(app, {"ERP_Id__c": "A-1", "Id": ONE, "RecordTypeId": PARTNER, "Location__Latitude__s": "1.0"})

    with session_of(app) as session:
        partner = session.get_one(account, "A-1")
        assert (partner.location, partner.location_latitude) == (None, 1.0)


def test_receivers_hear_of_the_parts(app: Flask, account: Any) -> None:
    heard: list[tuple[dict[str, Change], Address | None]] = []

    def hear(sender: type, instance: Any, changed: dict[str, Change], **_: Any) -> None:
        heard.append((dict(changed), instance.billing))

    with post_save.connected_to(hear, sender=account):
        send(app, {"ERP_Id__c": "A-2", "Id": TWO, "BillingStreet": "Jungfernstieg 1", "BillingCity": "Hamburg"})

    assert heard == [({"billing_city": Change(None, "Hamburg")}, HAMBURG)]


@pytest.mark.parametrize(
    ("assigned", "street", "city"), [(HAMBURG, "Jungfernstieg 1", "Hamburg"), (None, None, None)], ids=str
)
def test_pre_save_may_assign_a_compound(
    app: Flask, account: Any, assigned: Address | None, street: str | None, city: str | None
) -> None:
    """Its parts are written, of a new record as of one that is there."""

    def move(sender: type, instance: Any, **_: Any) -> None:
        instance.billing = assigned

    with pre_save.connected_to(move, sender=account):
        moved = {"ERP_Id__c": "A-1", "Id": ONE, "Name": "Moved", "RecordTypeId": PARTNER, **LINDEN}
        assert send(app, moved, {"ERP_Id__c": "A-4", "BillingCity": "Bonn"}) == ["updated", "created"]

    rows = {row["external_id"]: row for row in tables_of(app)["account"]}
    for key in ("A-1", "A-4"):
        assert (rows[key]["billing_street"], rows[key]["billing_city"]) == (street, city)
        assert rows[key]["billing_country"] is None


def test_pre_save_sees_a_part_that_was_assigned(app: Flask, account: Any) -> None:
    seen: list[Address | None] = []

    def move(sender: type, instance: Any, **_: Any) -> None:
        seen.append(instance.billing)
        instance.billing_city = "Hamburg"
        seen.append(instance.billing)

    with pre_save.connected_to(move, sender=account):
        send(app, {"ERP_Id__c": "A-2", "Id": TWO, "Name": "New", "BillingStreet": "Jungfernstieg 1"})

    assert seen == [Address(street="Jungfernstieg 1"), HAMBURG]


# -- in a session -----------------------------------------------------------------------------------------------------


def test_a_user_assigns_the_whole_or_a_part(app: Flask, account: Any) -> None:
    with session_of(app) as session:
        partner, other, blank = session.scalars(select(account).order_by(account.external_id))
        assert partner.billing == BERLIN
        partner.location = Geolocation(1.5, 2.5)
        partner.billing_city = "Potsdam"
        other.billing = None
        blank.billing = HAMBURG

        assert partner.billing.city == "Potsdam"
        session.commit()

    with session_of(app) as session:
        partner, other, blank = session.scalars(select(account).order_by(account.external_id))
        assert (partner.location_latitude, partner.billing.city) == (1.5, "Potsdam")
        assert (other.billing, blank.billing) == (None, HAMBURG)


def test_a_new_record_takes_a_compound(account: Any) -> None:
    record = account(billing=HAMBURG)

    assert (record.billing_city, record.billing_country) == ("Hamburg", None)


def test_queries_by_the_whole_and_by_a_part(app: Flask, account: Any) -> None:
    [partner] = account.__subclasses__()
    with session_of(app) as session:

        def keys(condition: Any, model: Any = account) -> list[str]:
            return list(session.scalars(select(model.external_id).where(condition).order_by(model.external_id)))

        assert keys(account.billing == BERLIN) == ["A-1"]
        assert keys(account.billing == Address(street="Jungfernstieg 1")) == ["A-2"]
        assert keys(account.billing == HAMBURG) == []
        assert keys(account.billing_city == "Berlin") == ["A-1"]
        assert keys(partner.location == Geolocation(52.52, -13.405), partner) == ["A-1"]
        assert keys(partner.location != Geolocation(52.52, -13.405), partner) == []
        other = aliased(account)
        assert keys(other.billing == BERLIN, other) == ["A-1"]
        assert keys(other.billing != BERLIN, other) == ["A-2", "A-3"]


def test_a_whole_differs_when_a_part_does(app: Flask, account: Any) -> None:
    """SQLAlchemy would ask that every part differs."""
    with session_of(app) as session:
        differing = account.billing != Address(**{**vars(BERLIN), "city": "Bonn"})
        keys = session.scalars(select(account.external_id).where(differing).order_by(account.external_id)).all()
        same = session.scalars(select(account.external_id).where(account.billing != BERLIN)).all()

    assert keys == ["A-1", "A-2", "A-3"]
    assert sorted(same) == ["A-2", "A-3"]


@pytest.mark.parametrize("way", ["==", "is_"])
def test_queries_for_a_blank_compound(app: Flask, account: Any, way: str) -> None:
    none = None
    blank = account.billing == none if way == "==" else account.billing.is_(None)
    filled = account.billing != none if way == "==" else account.billing.is_not(None)
    with session_of(app) as session:
        assert session.scalars(select(account.external_id).where(blank)).all() == ["A-3"]
        assert sorted(session.scalars(select(account.external_id).where(filled))) == ["A-1", "A-2"]


def test_a_whole_can_be_selected_and_updated(app: Flask, account: Any) -> None:
    with session_of(app) as session:
        assert session.scalars(select(account.billing).order_by(account.external_id)).all()[::2] == [BERLIN, None]
        session.execute(update(account).where(account.external_id == "A-3").values({account.billing: HAMBURG}))

        assert session.get_one(account, "A-3").billing == HAMBURG


# -- declarations -----------------------------------------------------------------------------------------------------


def test_a_mixin_gives_its_compound_to_every_class(base: Any) -> None:
    class Addressed:
        billing: Mapped[Address | None] = Compound("BillingAddress")

    class Account(Addressed, base, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Order(Addressed, base, sobject="Order"):  # type: ignore[call-arg]
        billing_city: Mapped[str | None] = Field("City__c")

    class Quote(Addressed, base, sobject="Quote"):  # type: ignore[call-arg]
        billing: Mapped[Geolocation | None] = Compound("Site__c")  # type: ignore[assignment]

    assert Account(billing=HAMBURG).billing_city == Order(billing=HAMBURG).billing_city == "Hamburg"
    assert {"BillingCity", "City__c"} & Layout(Account).slots.keys() == {"BillingCity"}
    assert {"BillingCity", "City__c"} & Layout(Order).slots.keys() == {"City__c"}
    assert Quote(billing=Geolocation(1, 2)).billing_latitude == 1


def test_an_abstract_class_may_hold_a_compound(base: Any) -> None:
    class Located(base):
        __abstract__ = True
        site: Mapped[Geolocation | None] = Compound("Site__c")

    class Account(Located, sobject="Account"):  # type: ignore[call-arg]
        pass

    class Order(Located, sobject="Order"):  # type: ignore[call-arg]
        pass

    assert [model(site=Geolocation(1, 2)).site_longitude for model in (Account, Order)] == [2, 2]


@pytest.mark.parametrize("name", ["BillingCity", "Billing", "billingaddress", "Site__r", ""])
def test_a_name_that_no_compound_has_is_refused(base: Any, name: str) -> None:
    with pytest.raises(DeclarationError, match=rf"^Compound\('{name}'\) is no address and no geolocation\. Write "):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            billing: Mapped[Address | None] = Compound(name)


def test_an_annotation_that_is_no_compound_is_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.billing is 'Mapped\[str \| None\]'; expected Mapped\[Addr"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            billing: Mapped[str | None] = Compound("BillingAddress")


def test_a_compound_without_an_annotation_is_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.billing is None; expected Mapped\[Address \| None\] or"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            billing = Compound("BillingAddress")


def test_an_annotation_that_only_a_type_checker_knows_is_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^Account\.billing: name 'Somewhere' is not defined; import it where"):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            billing: Mapped[Somewhere | None] = Compound("BillingAddress")


def test_a_part_and_an_attribute_of_one_name_are_refused(base: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^E002 Account\.billing is a compound and makes billing_city, which "):

        class Account(base, sobject="Account"):  # type: ignore[call-arg]
            billing: Mapped[Address | None] = Compound("BillingAddress")
            billing_city: Mapped[str | None]


def test_a_part_and_a_field_that_say_the_same_are_refused(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        billing: Mapped[Address | None] = Compound("BillingAddress")
        city: Mapped[str | None] = Field("BillingCity")

    with pytest.raises(ChecksFailed) as failed:
        Models([Account])
    [finding] = failed.value.findings
    assert str(finding).startswith("E002 Account maps BillingCity twice, as ")
    assert "billing_city" in str(finding)


def test_two_compounds_that_share_parts_are_refused(base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        billing: Mapped[Address | None] = Compound("BillingAddress")
        point: Mapped[Geolocation | None] = Compound("BillingAddress")

    with pytest.raises(ChecksFailed) as failed:
        Models([Account])
    assert [str(finding)[:44] for finding in failed.value.findings] == [
        "E002 Account maps BillingLatitude twice, as ",
        "E002 Account maps BillingLongitude twice, as",
    ]


@pytest.mark.parametrize("is_compound", [True, False], ids=["compound", "field"])
def test_a_part_that_a_parent_declares_is_refused(base: Any, is_compound: bool) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        if is_compound:
            billing: Mapped[Address | None] = Compound("BillingAddress")
        else:
            street: Mapped[str | None] = Field("BillingStreet")

    again = "Account.billing_street" if is_compound else "Account.street"
    with pytest.raises(DeclarationError, match=rf"^E008 Partner\.billing_street declares {again} again"):

        class Partner(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
            billing: Mapped[Address | None] = Compound("BillingAddress")
