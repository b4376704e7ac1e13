"""Shared fixtures: databases, apps, declarative bases of a test's own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped

from omreceiver import ExternalId, Field, OutboundMessages, RecordMixin, Settings
from omreceiver.app import parts_of
from omreceiver.records.layout import Model
from omreceiver.records.models import mapped_classes
from omreceiver.records.record import Record
from omreceiver.signals.durable import durable_receivers
from omreceiver.store.upgrade import upgrade
from tests.databases import DATABASES, SERVERS, fresh_database
from tests.spaces import make_book_keeping, prepared_database, throw_away

ROOT = Path(__file__).parent.parent
MakeApp = Callable[..., Flask]
#: properties of a test that are shown at the end of a run
FIGURES = ("storm", "convergence")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind in turn, that holds nothing but the tables of the book-keeping."""
    with prepared_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=SERVERS)
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same of each kind that is a server of its own."""
    with prepared_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind in turn, that holds nothing."""
    with fresh_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def _spaces_go_in_the_end() -> Iterator[None]:
    yield
    throw_away(*SERVERS)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """make_app(url, records=…, wsdl_dir=…, **settings): a Flask app with a receiver and its tables made."""
    with ExitStack() as stack:

        def make(url: str, records: Any = (), wsdl_dir: Path = ROOT / "nowhere", **settings: object) -> Flask:
            app = Flask("users_app")
            app.config.update(settings, DATABASE_URL=url, OMRECEIVER_WSDL_DIR=str(wsdl_dir), TESTING=True)
            parts = OutboundMessages(records).init_app(app, page="/")
            stack.callback(parts.engine.dispose)
            make_book_keeping(parts.engine)
            upgrade(parts.engine, parts.models)
            return app

        yield make


@pytest.fixture
def base() -> Any:
    """A declarative base like Record, of this test's own: classes of other tests are not on it."""

    class Base(RecordMixin, DeclarativeBase):
        type_annotation_map = Record.type_annotation_map

    return Base


@pytest.fixture
def account(base: Any) -> Any:
    """A mapped class of two columns."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    return Account


@pytest.fixture(autouse=True)
def _nobody_declares_records_for_all() -> Iterator[None]:
    """What derives from the shared Record is taken by every later app of the process: use `base` in a test."""
    yield
    assert mapped_classes(Record) == [], "a test left a class on omreceiver.Record; declare it on the fixture `base`"


@pytest.fixture(autouse=True)
def _durable_receivers_are_of_one_test() -> Iterator[None]:
    before = durable_receivers.names()
    yield
    for name in set(durable_receivers.names()).difference(before):
        durable_receivers.disconnect(name)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a folder with wsdl/ and fixtures/, an SQLite database to be, and no settings."""
    for name in ("wsdl", "fixtures"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for setting in fields(Settings):
        monkeypatch.delenv(setting.metadata["name"], raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def tables_of(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row of every class table, by table name, in order of the key."""
    parts = parts_of(app)
    with parts.engine.connect() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(table.select().order_by(table.c.external_id))]
            for table in parts.models.tables()
        }


__all__ = ["MakeApp", "Model", "tables_of"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the storms and of the search for orders, with the seeds that repeat them."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [text for report in reports for name, text in getattr(report, "user_properties", ()) if name in FIGURES]
    for text in told:
        terminalreporter.write_line(str(text))
