"""Fixtures: each is played twice, and ends as its expect.json says."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from omreceiver import post_save, receiver, replay
from omreceiver.app import parts_of
from omreceiver.errors import ConfigurationError
from omreceiver.store import tables
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import cases, post
from tests.conftest import ROOT, MakeApp, tables_of
from tests.expectations import Expectation, rows_as_json, signals_as_json

FIXTURES = ROOT / "fixtures"
CASES = sorted(path.parent for path in FIXTURES.glob("*/expect.json"))


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str) -> Flask:
    return make_app(sqlite_url, wsdl_dir=ROOT / "wsdl")


def test_there_are_at_least_twelve_cases() -> None:
    assert len(CASES) >= 12
    assert {path.parent for path in FIXTURES.glob("*/*.xml")} == set(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_ends_as_it_promises(case: Path, app: Flask, signals: Recorder) -> None:
    expected = Expectation.of(case)
    answers = replay(app, case)
    assert all(answer.ack and answer.status == 200 for answer in answers)
    assert [dict(answer.outcomes) for answer in answers] == expected.outcomes
    assert signals_as_json(signals) == expected.signals
    actual = tables_of(app)
    for table, rows in expected.rows.items():
        assert rows_as_json(rows, actual[table]) == rows
    assert {table: len(rows) for table, rows in actual.items() if rows} == {
        table: len(rows) for table, rows in expected.rows.items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_played_again_everything_is_a_duplicate(case: Path, app: Flask, signals: Recorder) -> None:
    replay(app, case)
    before = tables_of(app)
    signals.clear()
    again = replay(app, case)
    assert {outcome for answer in again for outcome in answer.outcomes.values()} == {"duplicate"}
    assert tables_of(app) == before
    assert not list(signals)


def test_all_cases_on_every_database(make_app: MakeApp, database_url: str, signals: Recorder) -> None:
    app = make_app(database_url, wsdl_dir=ROOT / "wsdl")
    for case in CASES:
        expected = Expectation.of(case)
        signals.clear()
        assert [dict(answer.outcomes) for answer in replay(app, case)] == expected.outcomes
        assert signals_as_json(signals) == expected.signals
        actual = tables_of(app)
        for table, rows in expected.rows.items():
            assert rows_as_json(rows, actual[table]) == rows
    again = replay(app, FIXTURES)
    assert {outcome for answer in again for outcome in answer.outcomes.values()} == {"duplicate"}


def test_raw_is_what_django_calls_it(app: Flask, signals: Recorder) -> None:
    replay(app, FIXTURES / "contact-created")
    replay(app, FIXTURES / "lead-id-only", raw=False)
    assert [sent.arguments["raw"] for sent in signals.of(post_save)] == [True, False]


def test_a_case_may_go_to_the_url_of_a_wsdl(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "message.xml").write_bytes(compose("Lead", {"Id": "00Qxx000002jv8TEAQ"}))
    (tmp_path / "expect.json").write_text('{"wsdl": "Lead"}')
    [answer] = replay(app, tmp_path)
    assert answer.receipt is not None
    assert answer.receipt.message.wsdl == "Lead"


def test_a_token_is_added_from_the_settings(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, wsdl_dir=ROOT / "wsdl", OMRECEIVER_TOKENS="newest,older")
    assert replay(app, FIXTURES / "contact-created")[0].ack


def test_a_path_without_messages_is_a_mistake(app: Flask, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected \.xml files"):
        cases(tmp_path)


def test_a_refused_message_tells_status_and_fault(app: Flask) -> None:
    answer = post(app, b"no XML")
    assert (answer.status, answer.ack, answer.receipt) == (400, False, None)
    assert answer.fault == "The body is not well-formed XML."


def test_the_session_id_is_written_nowhere(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    secret = "InventedSessionIdThatMustNotBeWrittenAnywhere"
    body = (FIXTURES / "account-old-session-id" / "message.xml").read_bytes()
    assert secret.encode() in body
    caplog.set_level("DEBUG")
    with receiver_that_raises():
        answer = post(app, body)
    parts = parts_of(app)
    assert list(answer.outcomes.values()) == ["quarantined"]
    with parts.engine.connect() as connection:
        written = repr([connection.execute(t.select()).all() for t in tables.metadata.sorted_tables])
        assert b"\x78" in (connection.scalar(tables.message.select().with_only_columns(tables.message.c.body)) or b"")
    database = Path(parts.engine.url.database or "")
    files = b"".join(path.read_bytes() for path in database.parent.glob(database.name + "*"))
    assert secret not in written + caplog.text + repr(answer.receipt) + repr(answer.receipt and answer.receipt.message)
    assert secret.encode() not in files


def test_the_kept_body_is_the_message_without_its_session_id(app: Flask) -> None:
    import zlib

    post(app, (FIXTURES / "account-old-session-id" / "message.xml").read_bytes())
    with parts_of(app).engine.connect() as connection:
        body = zlib.decompress(
            connection.scalars(tables.message.select().with_only_columns(tables.message.c.body)).one()
        )
    assert b"<SessionId" in body
    assert b"Invented" not in body
    assert b"Old Times" in body


class receiver_that_raises:  # noqa: N801 — reads as the sentence it stands in
    """A post_save receiver whose exception, traceback and all, goes to quarantine."""

    def __enter__(self) -> None:
        @receiver(post_save)
        def on_save(sender: type, **arguments: object) -> None:
            raise RuntimeError("not today")

        self.connected = on_save

    def __exit__(self, *_: object) -> None:
        post_save.disconnect(self.connected)
