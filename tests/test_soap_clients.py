"""SOAP clients that nobody here wrote, each made from the WSDLs we serve, send typed notifications."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zeep
from flask import Flask

from omreceiver.testing import new_id
from omreceiver.testing.messages import ACTION, ORGANIZATION
from tests.conftest import ROOT, MakeApp, tables_of
from tests.processes import environment, live

NODE = ROOT / "tests" / "node"
#: what the package soap says of itself
OLDEST_NODE = (20, 19, 0)
OBJECT = "{urn:sobject.enterprise.soap.sforce.com}"
STAMP = datetime(2026, 9, 9, 10, 25, 1, tzinfo=UTC)
HARD = 'Žluťoučký <kůň> & "Søn" ]]> 日本語 🦔'

#: what is sent, by sObject: API name → typed value
RECORDS: dict[str, dict[str, Any]] = {
    "Account": {
        "Id": "001xx000003DGb1AAG",
        "AnnualRevenue": 12500000.5,
        "BillingStreet": "12 Quay Road\nBuilding C",
        "ERP_Id__c": "A-1",
        "IsPartner__c": True,
        "LastModifiedDate": STAMP,
        "Name": HARD,
        "NumberOfEmployees": 5000,
        "RecordTypeId": "0125g000000CustAAA",
        "Site_Location__Latitude__s": -33.8568,
        "SystemModstamp": STAMP,
        "Topics__c": "Wood;Steel",
    },
    "Contact": {
        "Id": "003xx000004TmiQAAS",
        "Birthdate": date(1980, 12, 31),
        "HasOptedOutOfEmail": False,
        "Key__c": "c-1001",
        "LastName": HARD,
        "SystemModstamp": STAMP,
    },
    "Lead": {"Id": "00Qxx000002jv8TEAQ"},
    "acme__Invoice__c": {
        "Id": "a0Bxx0000004C92EAE",
        "CreatedDate": STAMP,
        "Name": HARD,
        "SystemModstamp": STAMP,
        "acme__Account__c": "001xx000003DGb1AAG",
        "acme__Due__c": date(2026, 10, 1),
        "acme__Number__c": "00042",
        "acme__Paid__c": True,
        "acme__Total__c": 1249.9,
    },
}
#: what must be in the tables then, by table: column → typed value
ROWS: dict[str, dict[str, Any]] = {
    "account": {
        "external_id": "A-1",
        "salesforce_id": "001xx000003DGb1AAG",
        "annual_revenue": Decimal("12500000.5"),
        "billing_street": "12 Quay Road\nBuilding C",
        "billing_city": None,
        "is_partner__c": True,
        "last_modified_date": STAMP,
        "name": HARD,
        "number_of_employees": 5000,
        "record_type_id": "0125g000000CustAAA",
        "site_location__latitude__s": Decimal("-33.8568"),
        "modstamp": STAMP,
        "topics__c": ["Wood", "Steel"],
    },
    "contact": {
        "external_id": "c-1001",
        "birthdate": date(1980, 12, 31),
        "has_opted_out_of_email": False,
        "last_name": HARD,
        "modstamp": STAMP,
    },
    "lead": {"external_id": "00Qxx000002jv8TEAQ", "modstamp": None},
    "acme__invoice__c": {
        "external_id": "00042",
        "created_date": STAMP,
        "name": HARD,
        "acme__account__c": "001xx000003DGb1AAG",
        "acme__due__c": date(2026, 10, 1),
        "acme__paid__c": True,
        "acme__total__c": Decimal("1249.9"),
    },
}


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str) -> Flask:
    return make_app(sqlite_url, wsdl_dir=ROOT / "wsdl")


def wsdl_url(url: str, sobject: str, which: str) -> str:
    """The address of the WSDL of the common URL, or of the sObject's own."""
    return f"{url}/outbound-messages{'' if which == 'common' else f'/{sobject}'}?wsdl"


def stored(app: Flask) -> dict[str, dict[str, Any]]:
    """The one row of each table, cut down to the columns that are expected."""
    found = {table: rows for table, rows in tables_of(app).items() if rows}
    return {table: {name: row[name] for name in ROWS[table]} for table, [row] in found.items()}


def types_of(rows: dict[str, dict[str, Any]]) -> dict[str, list[type]]:
    """True is 1 and a Decimal may equal a float, so types are compared too."""
    return {table: [type(value) for value in row.values()] for table, row in rows.items()}


@pytest.mark.parametrize("which", ["common", "own"])
def test_zeep_sends_typed_records(app: Flask, which: str) -> None:
    with live(app) as url:
        for sobject, record in RECORDS.items():
            assert zeep_sends(wsdl_url(url, sobject, which), sobject, record) is True
    assert stored(app) == ROWS
    assert types_of(stored(app)) == types_of(ROWS)


def zeep_sends(wsdl: str, sobject: str, *records: dict[str, Any], organization: str = ORGANIZATION) -> object:
    """The answer of our one operation; zeep gives an Ack alone as a bool."""
    client: Any = zeep.Client(wsdl)  # type: ignore[no-untyped-call]  # zeep is half typed
    with client.transport.session:
        object_type = client.get_type(OBJECT + sobject)
        return client.service.notifications(
            OrganizationId=organization,
            ActionId=ACTION,
            SessionId=None,
            EnterpriseUrl="https://example.my.salesforce.com/services/Soap/c/61.0/00Dxx0000001gPF",
            PartnerUrl="https://example.my.salesforce.com/services/Soap/u/61.0/00Dxx0000001gPF",
            Notification=[{"Id": new_id("04l"), "sObject": object_type(**record)} for record in records],
        )


@pytest.mark.parametrize("sobject", RECORDS)
def test_both_wsdls_say_the_same_of_every_field(app: Flask, sobject: str) -> None:
    with live(app) as url:
        common, own = (field_types(wsdl_url(url, sobject, which), sobject) for which in ("common", "own"))
    assert common == own


def field_types(wsdl: str, sobject: str) -> dict[str, list[type]]:
    """What zeep takes for each field of an sObject; an xsd:int and an xsd:long are both an int."""
    client: Any = zeep.Client(wsdl)  # type: ignore[no-untyped-call]  # zeep is half typed
    with client.transport.session:
        return {name: element.type.accepted_types for name, element in client.get_type(OBJECT + sobject).elements}


def test_zeep_sends_a_hundred_at_once_and_clears_a_field(app: Flask) -> None:
    common = {"Topics__c": "a", "SystemModstamp": datetime(2026, 7, 1, tzinfo=UTC)}
    accounts = [{"Id": new_id("001"), "ERP_Id__c": f"A-{i}", "Name": f"N {i}", **common} for i in range(100)]
    with live(app) as url:
        assert zeep_sends(wsdl_url(url, "Account", "own"), "Account", *accounts) is True
        assert zeep_sends(wsdl_url(url, "Account", "common"), "Account", {**accounts[7], "Topics__c": None}) is True
    rows = {row["external_id"]: row for row in tables_of(app)["account"]}
    assert len(rows) == 100
    assert (rows["A-7"]["topics__c"], rows["A-8"]["topics__c"]) == (None, ["a"])


def test_zeep_gets_our_fault(app: Flask) -> None:
    with live(app) as url:
        wsdl = wsdl_url(url, "Lead", "own")
        with pytest.raises(zeep.exceptions.Fault, match="The envelope holds no outbound notifications"):
            zeep_sends(wsdl, "Lead", {}, organization="an ID it is not")


def test_the_npm_package_soap_sends_typed_records(app: Flask, make_app: MakeApp, tmp_path: Path) -> None:
    """One installation and one process for all: both are slow."""
    node = node_project(tmp_path)
    other = make_app(f"sqlite:///{tmp_path}/other.db", wsdl_dir=ROOT / "wsdl")
    with live(app) as url, live(other) as other_url:
        messages = [
            {"wsdl": wsdl_url(base, sobject, which), "sobject": sobject, "records": [numbered(record)]}
            for base, which in ((url, "common"), (other_url, "own"))
            for sobject, record in RECORDS.items()
        ]
        answers = json.loads(program(["node", "send.js"], node, json.dumps(messages, default=as_json)))
    assert answers == [{"Ack": True}] * len(messages)
    for receiver in (app, other):
        assert stored(receiver) == ROWS
        assert types_of(stored(receiver)) == types_of(ROWS)


def numbered(record: dict[str, Any]) -> dict[str, Any]:
    return {"notification": new_id("04l"), "record": record}


def as_json(value: date) -> str:
    """Dates as ISO 8601: JSON knows none."""
    return value.isoformat()


def node_project(folder: Path) -> Path:
    """tests/node with its packages installed, in a folder of its own. Skips where node is not, or is too old."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            pytest.skip(f"no {name} here; the package soap wants node {'.'.join(map(str, OLDEST_NODE))} or newer")
    version = program(["node", "--version"], folder).strip().removeprefix("v")
    if tuple(map(int, version.split("."))) < OLDEST_NODE:
        pytest.skip(f"node {version} is too old for the package soap")
    project = Path(shutil.copytree(NODE, folder / "node", ignore=shutil.ignore_patterns("node_modules")))
    program(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], project)
    return project


def program(command: list[str], cwd: Path, given: str = "") -> str:
    """What a program of node prints. It finds npm's own settings and cache where they always are."""
    env = environment(Path.home())
    done = subprocess.run(command, cwd=cwd, env=env, input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
