"""Through a real PgBouncer in transaction mode, whose clients share fewer connections than there are clients: every
message is stored, nothing is set or prepared that the next client would find, and what cannot work says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from omreceiver import OutboundMessages, Settings, committed, post_save, receiver
from omreceiver.app import parts_of
from omreceiver.errors import ConfigurationError
from omreceiver.redo import rebuild
from omreceiver.relays.notify import listen
from omreceiver.store.prune import Limits, prune
from omreceiver.store.upgrade import missing, upgrade
from omreceiver.testing import compose
from omreceiver.testing.replay import Replayed, post
from tests.accounts import acme, send
from tests.bouncers import SIZE, bouncer
from tests.conftest import tables_of
from tests.databases import SERVERS, SPACE, drop_space, fresh_database, server
from tests.deliveries import deliver_all, status
from tests.statements import statements

Open = Callable[..., Flask]
#: threads that send, each with a connection of its own to PgBouncer
CLIENTS = 8
#: what a client finds that has set nothing
TOLD = ("search_path", "statement_timeout", "lock_timeout", "enable_seqscan", "enable_hashjoin", "jit")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bouncer")
    folder.chmod(0o755)
    with fresh_database("postgresql", folder), bouncer(folder) as url:
        yield url


@pytest.fixture
def open_app(url: str, account: Any) -> Iterator[Open]:
    """open_app("_one"): the receiver of an organization, in a schema of its own, through PgBouncer."""
    made, there = set[str](), server("postgresql")
    with ExitStack() as stack:

        def opened(name: str, pool_mode: str = "transaction") -> Flask:
            app = Flask(f"organization{name}")
            app.config.update(DATABASE_URL=url, OMRECEIVER_SCHEMA=SPACE + name, OMRECEIVER_WSDL_DIR="nowhere")
            app.config.update(OMRECEIVER_POOL_MODE=pool_mode, OMRECEIVER_TIME_LIMIT="20s")
            parts = OutboundMessages([account]).init_app(app)
            stack.callback(parts.engine.dispose)
            made.add(name)
            upgrade(parts.engine, parts.models)
            return app

        yield opened
    for name in made:
        drop_space(there, "postgresql", name)
    there.dispose()


def at_once(work: Callable[[int], Any], times: int) -> list[Any]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(work, range(times)))


def found_by_others(url: str) -> set[tuple[str, ...]]:
    """What another client of the same pool finds set, on each of its server's connections."""
    ask = f"SELECT {', '.join(f'current_setting({name!r})' for name in TOLD)}, pg_sleep(0.02)::text"

    def look(_: int) -> tuple[str, ...]:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            return tuple(connection.execute(ask).fetchall()[0])

    return set(at_once(look, CLIENTS * SIZE))


def test_messages_are_stored_by_more_clients_than_there_are_connections(open_app: Open) -> None:
    """Often enough that psycopg would have prepared every statement."""
    app = open_app("_one")

    def tell(turn: int) -> Replayed:
        records = [{"Id": f"0010000000{n:05d}AAA", "ERP_Id__c": f"A-{n}", "Name": f"{turn}"} for n in range(5)]
        return post(app, compose("Account", *records))

    answers = at_once(tell, 10 * CLIENTS)
    assert Counter(answer.status for answer in answers) == {200: 10 * CLIENTS}
    outcomes = Counter(outcome for answer in answers for outcome in answer.outcomes.values())
    assert outcomes["created"] == len(tables_of(app)["account"]) == 5
    assert outcomes.total() == 50 * CLIENTS
    assert outcomes.keys() <= {"created", "updated", "unchanged"}


def test_nothing_stays_behind_for_other_clients(open_app: Open, url: str) -> None:
    app = open_app("_one")
    at_once(lambda n: send(app, acme(Id=f"0010000000{n:05d}AAA", ERP_Id__c=f"A-{n}")), 3 * CLIENTS)
    assert found_by_others(url) == found_by_others(SERVERS["postgresql"])
    with psycopg.connect(url, prepare_threshold=None) as other:
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]


def test_every_transaction_is_told_what_a_connection_would_be(open_app: Open) -> None:
    app, found = open_app("_one"), dict[str, str]()

    def look(sender: Any, session: Any, **_: Any) -> None:
        found.update({name: session.scalar(text(f"SHOW {name}")) for name in (*TOLD, "transaction_isolation")})

    with post_save.connected_to(look):
        send(app, acme())
    assert found == {
        "search_path": f"{SPACE}_one",
        "statement_timeout": "10s",
        "lock_timeout": "5s",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "jit": "off",
        "transaction_isolation": "read committed",
    }


def test_the_settings_go_with_what_begins_the_transaction(open_app: Open) -> None:
    """And the driver does not begin by itself: there is no round trip more."""
    app = open_app("_one")
    send(app, acme())
    engine = parts_of(app).engine
    with statements(engine) as seen, engine.begin() as connection:
        connection.execute(text("SELECT 1"))
        driver: Any = connection.connection.driver_connection
        assert driver.autocommit
    assert [each.partition(";")[0] for each in seen] == ["BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT 1"]


def test_what_raises_is_rolled_back(open_app: Open) -> None:
    app = open_app("_one")

    def refuse(sender: Any, session: Any, **_: Any) -> None:
        session.execute(text("UPDATE account SET name = 'half done'"))
        raise ValueError("not today")

    send(app, acme())
    with post_save.connected_to(refuse):
        assert send(app, acme(Name="Zenith"), acme(Id="00100000000000BAAA", ERP_Id__c="B")) == ["quarantined"] * 2
    assert [row["name"] for row in tables_of(app)["account"]] == ["Acme"]


def test_organizations_share_the_connections_and_nothing_else(open_app: Open) -> None:
    """A search_path that was left behind would put one's records among the other's."""
    apps = [open_app("_one"), open_app("_two")]
    at_once(lambda n: send(apps[n % 2], acme(Id=f"0010000000{n:05d}AAA", ERP_Id__c=f"A-{n}", Name=f"{n % 2}")), 60)
    assert [{row["name"] for row in tables_of(app)["account"]} for app in apps] == [{"0"}, {"1"}]
    assert [len(tables_of(app)["account"]) for app in apps] == [30, 30]


def test_relays_check_and_prune_work_through_it(open_app: Open) -> None:
    app, heard = open_app("_one"), list[str]()

    @receiver(committed, durable="crm")
    def crm(sender: Any, instance: Any, **_: Any) -> None:
        heard.append(instance.name)

    at_once(lambda n: send(app, acme(Id=f"0010000000{n:05d}AAA", ERP_Id__c=f"A-{n}", Name=f"{n}")), 20)
    at_once(lambda _: deliver_all(app), CLIENTS)
    assert (sorted(heard), status(app)) == (sorted(map(str, range(20))), (0, 0, 0))
    parts = parts_of(app)
    assert not missing(parts.engine, parts.models)
    assert list(prune(parts.engine, Limits.of(parts.settings, datetime.now(UTC)))) == []


def test_without_the_setting_nothing_is_lost_and_the_answer_names_it(
    open_app: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """psycopg prepares on one connection and executes on another; Salesforce sends such a message again."""
    app = open_app("_one", pool_mode="session")
    answers = at_once(lambda n: post(app, compose("Account", acme(Name=f"{n}"))), 20 * CLIENTS)
    assert {answer.status for answer in answers} == {200, 503}
    assert {outcome for answer in answers for outcome in answer.outcomes.values()} <= {"created", "updated"}
    assert "set OMRECEIVER_POOL_MODE=transaction" in caplog.text


def test_a_rebuild_wants_the_server_itself(open_app: Open) -> None:
    """Its temporary tables would stay with a connection, and hide the real ones from whoever has it next."""
    with pytest.raises(ConfigurationError, match="Run it without OMRECEIVER_POOL_MODE"):
        rebuild(parts_of(open_app("_one")))


def test_a_listener_wants_the_server_itself(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("OMRECEIVER_POOL_MODE", "transaction")
    with pytest.raises(ConfigurationError, match=r"Give listen\(\) the server's own address"):
        next(listen("dashboard"))


def test_other_databases_have_no_such_pooler() -> None:
    with pytest.raises(ConfigurationError, match=r"^OMRECEIVER_POOL_MODE: DATABASE_URL is not PostgreSQL's"):
        Settings.from_mapping({"OMRECEIVER_POOL_MODE": "transaction"})
