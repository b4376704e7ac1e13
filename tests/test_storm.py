"""The crash storm: gunicorn's workers and PostgreSQL are killed while messages come. Afterwards the tables are true.

STORM_SECONDS is for how long, both databases together; STORM_SEED repeats what was drawn by lot.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import randrange
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from omreceiver import Settings
from omreceiver.store import tables
from omreceiver.store.database import open_engine
from tests.conftest import ROOT
from tests.postgres import own_postgres
from tests.processes import Server, free_port, run, serving
from tests.storm import CALM, OVERTIME, Storm, kills, rage, stops
from tests.storm_org import EDITS
from tests.storm_records import Account, PartnerAccount
from tests.wsdls import select_fields

SECONDS = float(os.environ.get("STORM_SECONDS") or 60) / 2
SEED = int(os.environ.get("STORM_SEED") or randrange(2**32))
GUNICORN = "gunicorn --workers 2 --threads 2 --bind 127.0.0.1:{port} 'omreceiver:create_app()'"
XML_TYPES = {"AnnualRevenue": "double", "RecordTypeId": "ID", "SystemModstamp": "dateTime"}
#: what a storm of these edits can end in: nothing is deleted, nothing changes its key
OUTCOMES = {"created", "updated", "unchanged", "retyped", "stale"}
Tell = Callable[[str, object], None]

pytestmark = pytest.mark.timeout(SECONDS + OVERTIME + CALM + 120)


def test_sqlite_survives_the_storm(tmp_path: Path, record_property: Tell) -> None:
    url = f"sqlite:///{tmp_path}/storm.db"
    with told_with_the_seed(), receiver(tmp_path, url) as server:
        storm = rage(server, SEED, SECONDS, {"broken"}, kills=kills(server))
        with opened(url) as engine:
            check(storm, server, engine, record_property)


def test_postgresql_survives_the_storm(tmp_path: Path, record_property: Tell) -> None:
    with own_postgres() as postgres, told_with_the_seed(), receiver(tmp_path, postgres.url) as server:
        storm = rage(server, SEED, SECONDS, {"broken", "away"}, kills=kills(server), stops=stops(postgres))
        with opened(postgres.url) as engine:
            check(storm, server, engine, record_property)
        assert storm.struck["stops"] > 0


@contextmanager
def told_with_the_seed() -> Iterator[None]:
    print(f"STORM_SEED={SEED}")
    try:
        yield
    except BaseException as error:
        error.add_note(f"STORM_SEED={SEED} STORM_SECONDS={SECONDS * 2:g}")
        raise


@contextmanager
def receiver(home: Path, url: str) -> Iterator[Server]:
    """gunicorn on a database that has its tables. When something fails, the end of its log is told too."""
    (home / "wsdl").mkdir()
    names = ("ERP_Id__c", "SystemModstamp", *EDITS)
    select_fields(home / "wsdl", **{name: XML_TYPES.get(name, "string") for name in names})
    settings = {"DATABASE_URL": url, "OMRECEIVER_MODELS": "tests.storm_records", "PYTHONPATH": str(ROOT)}
    made = run(["omreceiver", "db", "upgrade"], home, **settings)
    assert made.returncode == 0, made.stdout + made.stderr
    port = free_port()
    with serving(GUNICORN.format(port=port), port, home, **settings) as server:
        try:
            yield server
        except BaseException as error:
            error.add_note(f"gunicorn printed last:\n{server.printed[-5000:]}")
            raise


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    engine = open_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def check(storm: Storm, server: Server, engine: Engine, record_property: Tell) -> None:
    """It was a storm; everything was acknowledged, nothing is lost, nothing is there twice or out of order."""
    with engine.connect() as connection:
        held = {model.__tablename__: rows(connection, model.__table__) for model in (Account, PartnerAccount)}
        told = f"storm on {engine.dialect.name}, seed {SEED}: {storm}; {sum(map(len, held.values()))} rows compared"
        print(told)
        record_property("storm", told)
        it_was_a_storm(storm, server)
        answers_were_right(storm)
        wrong = differences(held, storm.org.tables())
        assert not wrong, f"{len(wrong)} columns differ:\n" + "\n".join(wrong[:20])
        the_ledger_is_whole(storm, connection)


def it_was_a_storm(storm: Storm, server: Server) -> None:
    """Workers died by our hand only, and in the middle of a request."""
    assert storm.struck["kills"] > 0
    assert server.printed.count("was sent SIGKILL") == storm.struck["kills"]
    assert "WORKER TIMEOUT" not in server.printed
    assert storm.wanted <= storm.answers.keys(), f"nobody got an answer of {storm.wanted - storm.answers.keys()}"


def answers_were_right(storm: Storm) -> None:
    """An Ack, a Fault with 503, or none because a worker died; and in the end an Ack for each."""
    assert not storm.wrong, f"{len(storm.wrong)} answers that nobody may get, such as {storm.wrong[:3]}"
    unheard = [envelope for envelope in storm.composed if not envelope.is_acknowledged]
    assert not unheard, f"{len(unheard)} messages never acknowledged, such as {unheard[0].body.decode()}"


def the_ledger_is_whole(storm: Storm, connection: Connection) -> None:
    """Each notification once, and what the messages counted is what the notifications say."""
    n, m = tables.notification.c, tables.message.c
    entries = connection.execute(select(n.notification_id, n.outcome, n.repeats)).all()
    known = {entry.notification_id for entry in entries}
    sent = {each for envelope in storm.composed for each in envelope.notifications}
    assert not sent - known, f"{len(sent - known)} notifications acknowledged and lost, such as {min(sent - known)}"
    assert len(entries) == len(known) == len(sent)
    refused = connection.execute(select(tables.quarantine)).mappings().all()
    assert not refused, f"{len(refused)} are in quarantine, such as\n{refused[0]['fragment']}{refused[0]['traceback']}"

    outcomes = Counter(entry.outcome for entry in entries)
    assert outcomes.keys() <= OUTCOMES
    assert outcomes["created"] == len(storm.org.truth), "a record is created once, as the ledger tells"

    messages = list(connection.scalars(select(m.outcomes)))
    counted = sum(map(Counter, messages), Counter[str]())
    assert counted.pop("duplicate") == sum(entry.repeats for entry in entries)
    assert counted == outcomes, "messages and notifications tell the same"
    assert storm.answers["ack"] <= len(messages) <= storm.attempts, "one message is written for each Ack"


def rows(connection: Connection, table: Any) -> dict[str, dict[str, Any]]:
    return {row.external_id: row._asdict() for row in connection.execute(table.select())}


def differences(held: dict[str, dict[str, Any]], true: dict[str, dict[str, Any]]) -> list[str]:
    """In words: a row that is there or not, a column that holds something else."""
    cells = [(table, key) for table in true for key in sorted(held[table].keys() | true[table].keys())]
    pairs = [(f"{table} {key}", held[table].get(key), true[table].get(key)) for table, key in cells]
    told = [(name, row or {}, truth or {}) for name, row, truth in pairs if row != truth]
    return [
        f"{name}: {column} is {row.get(column)!r}, should be {truth.get(column)!r}"
        for name, row, truth in told
        for column in {**row, **truth}
        if row.get(column, ...) != truth.get(column, ...)
    ]
