"""Three gunicorn workers on one database, and everything at once. No error is answered, no row is doubled, nothing
is told twice, and the newest wins.

What a signal tells is written into a table, by receivers that work in the workers; see crowd.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, Row, create_engine, text

from omreceiver import Settings
from omreceiver.store import tables
from omreceiver.testing import compose, new_id
from omreceiver.testing.replay import Replayed, send_to
from tests.conftest import ROOT
from tests.databases import DATABASES, fresh_database
from tests.processes import Server, free_port, run, serving

PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
#: messages that are on their way in one moment
AT_ONCE = 8
BEGINNING = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARTNER = "012000000000001AAA"
HEARD = """
CREATE TABLE heard (id {number} PRIMARY KEY, turn INTEGER, created INTEGER, told VARCHAR(20),
external_id VARCHAR(255))
"""
NUMBERS = {"sqlite": "INTEGER", "postgresql": "SERIAL", "mariadb": "INTEGER AUTO_INCREMENT"}


@dataclass(frozen=True)
class Crowd:
    """Senders of one organization, and what the servers made of what they sent."""

    url: str
    server: Server
    engine: Engine
    organization: str = field(default_factory=lambda: new_id("00D"))

    def compose(self, *accounts: dict[str, Any], action: str) -> bytes:
        return compose("Account", *accounts, organization_id=self.organization, action_id=action)

    def send(self, bodies: Sequence[bytes]) -> None:
        """All at once, so many at a time as there are senders. Every answer is an Ack."""
        barrier = Barrier(AT_ONCE)

        def send(body: bytes) -> Replayed:
            barrier.wait(60)
            return send_to(self.url, body)

        assert len(bodies) % AT_ONCE == 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(send, bodies))
        assert Counter((answer.status, answer.ack) for answer in answers) == {(200, True): len(bodies)}, self.server.log

    def tried_again(self) -> int:
        """How often any worker has so far."""
        return self.server.printed.count("a message is stored again")

    def outcomes(self) -> Counter[str]:
        """How many of each the messages say."""
        m = tables.message.c
        with self.engine.connect() as connection:
            said = connection.execute(
                tables.message.select().with_only_columns(m.outcomes).where(m.organization_id == self.organization)
            )
            return sum((Counter(outcomes) for outcomes in said.scalars()), Counter[str]())

    def ledger(self) -> Counter[str]:
        """How many of each the ledger says."""
        return Counter(row.outcome for row in self._rows(tables.notification))

    def rows(self) -> dict[str, int]:
        """Key → turn, of the accounts; each has its rows once."""
        accounts = self._rows_of("SELECT * FROM account WHERE organization_id = :organization")
        partners = {row.external_id for row in self._rows_of("SELECT external_id FROM partner_account")}
        assert len({row.external_id for row in accounts}) == len(accounts) == len({r.salesforce_id for r in accounts})
        assert {row.external_id for row in accounts if row.child_name == "PartnerAccount"} <= partners
        assert {row.external_id for row in accounts if row.child_name == "Account"}.isdisjoint(partners)
        return {row.external_id: int(row.name) for row in accounts}

    def heard(self, prefix: str) -> dict[str, list[Row[Any]]]:
        """Key → what its receivers heard, in order, of the accounts whose keys begin so; of each signal the same."""
        found = self._rows_of("SELECT * FROM heard WHERE external_id LIKE :prefix ORDER BY id", prefix=f"{prefix}-%")
        by_key: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in found:
            if row.told != "committed":
                by_key[row.external_id].append(row)
        inside = Counter((row.external_id, row.turn) for row in found if row.told != "committed")
        after = Counter((row.external_id, row.turn) for row in found if row.told == "committed")
        durable = self._rows_of(
            "SELECT notification_id FROM om_event WHERE external_id LIKE :prefix", prefix=f"{prefix}-%"
        )
        assert inside == after, "committed tells of what was committed, once"
        assert sum(inside.values()) == len(durable) == len({row.notification_id for row in durable})
        return by_key

    def _rows(self, table: Any) -> Sequence[Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(table.select().where(table.c.organization_id == self.organization)).all()

    def _rows_of(self, statement: str, **values: Any) -> Sequence[Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(text(statement), values | {"organization": self.organization}).all()


@pytest.fixture(scope="module", params=DATABASES)
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Engine]]:
    """The Procfile's web line with three workers."""
    folder: Path = tmp_path_factory.mktemp("crowd")
    with fresh_database(request.param, folder) as url:
        port = free_port()
        settings = {"DATABASE_URL": url, "OMRECEIVER_MODELS": "tests.crowd", "PYTHONPATH": str(ROOT), "PORT": str(port)}
        assert run(["omreceiver", "db", "upgrade"], folder, **settings).returncode == 0
        engine = create_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
        with engine.begin() as connection:
            connection.execute(text(HEARD.format(number=NUMBERS[engine.dialect.name])))
        more = {"WEB_CONCURRENCY": "3", "GUNICORN_CMD_ARGS": "--threads 4"}
        with serving(PROCFILE["web"].replace("0.0.0.0", "127.0.0.1"), port, folder, **settings, **more) as server:
            yield server, engine
            assert "Traceback" not in server.printed, server.printed
        engine.dispose()


@pytest.fixture
def crowd(deployed: tuple[Server, Engine]) -> Crowd:
    server, engine = deployed
    return Crowd(f"{server.url}/outbound-messages", server, engine)


def account(key: str, salesforce_id: str, turn: int, **fields: Any) -> dict[str, Any]:
    stamp = BEGINNING + timedelta(seconds=turn)
    return {"Id": salesforce_id, "ERP_Id__c": key, "Name": f"{turn}", "SystemModstamp": stamp, **fields}


def kind(number: int) -> dict[str, str]:
    """Every third account is a partner, so that a message writes two tables."""
    return {"RecordTypeId": PARTNER, "Tier__c": "Gold"} if number % 3 == 0 else {"RecordTypeId": "012000000000002AAA"}


def test_the_same_message_in_the_same_moment(crowd: Crowd) -> None:
    """Eight times, five times over: stored once, and a duplicate seven times."""
    action, rounds, count = new_id("04k"), 5, 20
    for turn in range(rounds):
        accounts = [account(f"same{turn}-{n}", new_id("001"), turn, **kind(n)) for n in range(count)]
        crowd.send([crowd.compose(*accounts, action=action)] * AT_ONCE)
    assert crowd.outcomes() == {"created": rounds * count, "duplicate": rounds * count * (AT_ONCE - 1)}
    assert crowd.ledger() == {"created": rounds * count}
    for turn in range(rounds):
        heard = crowd.heard(f"same{turn}")
        assert len(heard) == count
        assert all([row.created for row in rows] == [1] for rows in heard.values())


def test_overlapping_batches_in_opposite_order(crowd: Crowd) -> None:
    """A hundred records in twenty-four messages, each newer than the one before. Their rows are there after the first
    eight; from then on everybody locks them in one order, so that nobody has to try again.
    """
    action, turns, count = new_id("04k"), 24, 100
    ids = [new_id("001") for _ in range(count)]
    bodies = []
    for turn in range(turns):
        accounts = [account(f"batch-{n}", record_id, turn, **kind(n)) for n, record_id in enumerate(ids)]
        bodies.append(crowd.compose(*accounts[:: 1 if turn % 2 else -1], action=action))
    crowd.send(bodies[:AT_ONCE])
    before = crowd.tried_again()
    crowd.send(bodies[AT_ONCE:])
    assert crowd.tried_again() == before
    assert set(crowd.rows().values()) == {turns - 1}
    assert len(crowd.rows()) == count
    outcomes = crowd.outcomes()
    assert outcomes.keys() <= {"created", "updated", "stale"}
    assert (outcomes["created"], sum(outcomes.values())) == (count, turns * count)
    never_back_in_time(crowd, "batch", outcomes["created"] + outcomes["updated"])


def test_different_messages_that_create_the_same_records(crowd: Crowd) -> None:
    """Each of eight messages knows half of the records, in an order of its own; nobody was there before."""
    action, rounds, count = new_id("04k"), 6, 40
    for at in range(rounds):
        ids = [new_id("001") for _ in range(count)]
        bodies = []
        for turn in range(AT_ONCE):
            accounts = [account(f"race-{at}-{n}", ids[n], turn, **kind(n)) for n in range(count) if (n + turn) % 4 < 2]
            bodies.append(crowd.compose(*accounts[:: 1 if turn % 2 else -1], action=action))
        crowd.send(bodies)
    newest = {n: max(turn for turn in range(AT_ONCE) if (n + turn) % 4 < 2) for n in range(count)}
    assert crowd.rows() == {f"race-{at}-{n}": newest[n] for at in range(rounds) for n in range(count)}
    outcomes = crowd.outcomes()
    assert outcomes.keys() <= {"created", "updated", "stale"}
    assert (outcomes["created"], sum(outcomes.values())) == (rounds * count, rounds * count * AT_ONCE / 2)
    never_back_in_time(crowd, "race", outcomes["created"] + outcomes["updated"])


def test_messages_with_a_bad_record_each_that_create_the_same_records(crowd: Crowd) -> None:
    """Then each record is stored for itself; what another worker has just inserted is no reason to quarantine it."""
    action, rounds, count = new_id("04k"), 6, 20
    for at in range(rounds):
        ids = [new_id("001") for _ in range(count)]
        bodies = []
        for turn in range(AT_ONCE):
            bad = account(f"bad-{at}-{turn}", new_id("001"), turn) | {"Name": "receivers want a number"}
            accounts = [bad, *(account(f"good-{at}-{n}", record_id, turn) for n, record_id in enumerate(ids))]
            bodies.append(crowd.compose(*accounts[:: 1 if turn % 2 else -1], action=action))
        crowd.send(bodies)
    assert crowd.rows() == {f"good-{at}-{n}": AT_ONCE - 1 for at in range(rounds) for n in range(count)}
    outcomes = crowd.outcomes()
    assert outcomes.keys() <= {"created", "updated", "stale", "quarantined"}
    assert (outcomes["created"], outcomes["quarantined"]) == (rounds * count, rounds * AT_ONCE)


def test_saves_and_deletes_of_the_same_records(crowd: Crowd) -> None:
    """The newest message says who is there."""
    action, turns, count = new_id("04k"), 24, 40
    ids = [new_id("001") for _ in range(count)]
    bodies = []
    for turn in range(turns):
        accounts = [
            account(f"gone-{n}", record_id, turn, IsDeleted=(n + turn) % 3 == 0, **kind(n + turn))
            for n, record_id in enumerate(ids)
        ]
        bodies.append(crowd.compose(*accounts[:: 1 if turn % 2 else -1], action=action))
    crowd.send(bodies)
    assert crowd.rows() == {f"gone-{n}": turns - 1 for n in range(count) if (n + turns - 1) % 3}
    assert crowd.outcomes().keys() <= {"created", "updated", "retyped", "deleted", "stale"}
    for rows in crowd.heard("gone").values():
        assert ("post_delete", "post_delete") not in pairwise(row.told for row in rows)


def test_records_that_are_created_and_deleted_in_the_same_moment(crowd: Crowd) -> None:
    """Whoever deletes a record that is not here yet and whoever creates it do not see each other's rows."""
    action, rounds, count = new_id("04k"), 6, 20
    for at in range(rounds):
        ids = [new_id("001") for _ in range(count)]
        bodies = []
        for turn in range(AT_ONCE):
            accounts = [account(f"brief-{at}-{n}", i, turn // 4, IsDeleted=turn >= 4) for n, i in enumerate(ids)]
            bodies.append(crowd.compose(*accounts[:: 1 if turn % 2 else -1], action=action))
        crowd.send([body for pair in zip(bodies[:4], bodies[4:], strict=True) for body in pair])
    assert crowd.rows() == {}
    assert crowd.outcomes().keys() <= {"created", "updated", "unchanged", "deleted", "stale"}


def test_the_first_message_ever_of_several_actions(crowd: Crowd) -> None:
    """New organizations, actions and key prefixes: all workers learn the same in the same moment, and of the actions
    one is the first. Each sends twice.
    """
    for at in range(6):
        newcomers = Crowd(crowd.url, crowd.server, crowd.engine)
        prefixes = [f"a{at}{letter}" for letter in "ABCDEFGHIJ"]
        actions = [new_id("04k") for _ in range(AT_ONCE // 2)]
        bodies = [
            newcomers.compose(
                *(account(f"first{at}-{turn}-{prefix}", new_id(prefix), turn) for prefix in prefixes), action=action
            )
            for turn, action in enumerate(actions)
        ]
        newcomers.send(bodies * 2)
        known = newcomers._rows(tables.action)
        assert sorted(row.action_id for row in known) == sorted(actions)
        assert [row.first for row in known if row.first is not None] == [True]
        assert {tuple(row.fields) for row in known} == {("ERP_Id__c", "Name", "SystemModstamp")}
        count = len(prefixes) * len(actions)
        assert newcomers.outcomes() == {"created": count, "duplicate": count}
        assert newcomers.ledger() == {"created": count}
        learned = newcomers._rows_of("SELECT prefix FROM om_key_prefix WHERE prefix LIKE :prefix", prefix=f"a{at}%")
        assert sorted(row.prefix for row in learned) == prefixes


def never_back_in_time(crowd: Crowd, prefix: str, changes: int) -> None:
    """What receivers heard of a record became ever newer; it was created once, and as many were told as changed."""
    heard = crowd.heard(prefix)
    for rows in heard.values():
        turns = [row.turn for row in rows]
        assert turns == sorted(set(turns))
        assert [row.created for row in rows] == [1] + [0] * (len(rows) - 1)
    assert sum(len(rows) for rows in heard.values()) == changes
