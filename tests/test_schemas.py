"""Two organizations on one database, a schema each (OMRECEIVER_SCHEMA): they hold the same IDs, and neither sees,
settles, prunes, locks or wakes what is the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import create_engine, inspect, select, text

from omreceiver import OutboundMessages, Settings, committed, post_save, pre_save, receiver
from omreceiver.app import assemble, parts_of
from omreceiver.cli import main
from omreceiver.errors import ConfigurationError
from omreceiver.redo import entries, rebuild
from omreceiver.relays.notify import listen, notify
from omreceiver.store import tables, tombstones
from omreceiver.store.database import for_writing, open_for
from omreceiver.store.prune import Limits, prune
from omreceiver.store.quarantine import Wanted
from omreceiver.store.upgrade import missing, upgrade
from omreceiver.testing import new_id
from tests.accounts import acme, at, send
from tests.conftest import tables_of
from tests.databases import SERVERS, SPACE, drop_space, fresh_database, server
from tests.deliveries import deliver_all, status

Open = Callable[[str], Flask]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A database in which nobody has made a schema yet; those that a test makes, for _one and _two, are gone then."""
    there = server("postgresql")
    with fresh_database("postgresql", tmp_path):
        yield SERVERS["postgresql"]
        for name in ("_one", "_two"):
            drop_space(there, "postgresql", name)
    there.dispose()


@pytest.fixture
def open_app(url: str, account: Any) -> Iterator[Open]:
    """open_app("_one"): the receiver of an organization, in a schema of its own, whose tables are made."""
    with ExitStack() as stack:

        def opened(name: str) -> Flask:
            app = Flask(f"organization{name}")
            app.config.update(DATABASE_URL=url, OMRECEIVER_SCHEMA=SPACE + name, OMRECEIVER_WSDL_DIR="nowhere")
            parts = OutboundMessages([account]).init_app(app)
            stack.callback(parts.engine.dispose)
            upgrade(parts.engine, parts.models)
            return app

        yield opened


@pytest.fixture
def both(open_app: Open) -> tuple[Flask, Flask]:
    return open_app("_one"), open_app("_two")


def count(app: Flask, table: Any) -> int:
    with parts_of(app).engine.connect() as connection:
        return len(connection.execute(select(table)).all())


def names(app: Flask) -> list[str]:
    return [row["name"] for row in tables_of(app)["account"]]


def test_everything_is_made_in_the_schema_which_is_made_too(open_app: Open, url: str) -> None:
    parts = parts_of(open_app("_one"))
    plain = create_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
    there = set(inspect(plain).get_table_names(schema=f"{SPACE}_one"))
    plain.dispose()
    assert there == {*tables.metadata.tables, "om_alembic_version", "account"}
    assert not upgrade(parts.engine, parts.models)
    assert not missing(parts.engine, parts.models)


def test_a_second_organization_finds_nothing_of_the_first(open_app: Open, url: str, account: Any) -> None:
    open_app("_one")
    settings = Settings.from_mapping(
        {"DATABASE_URL": url, "OMRECEIVER_SCHEMA": f"{SPACE}_two", "OMRECEIVER_WSDL_DIR": "nowhere"}
    )
    parts = assemble(settings, [account])
    assert [table.name for table in missing(parts.engine, parts.models).tables] == ["account"]
    parts.engine.dispose()


def test_the_same_ids_are_each_ones_own(both: tuple[Flask, Flask]) -> None:
    one, two = both
    same: dict[str, Any] = {"notification_ids": [new_id("04l")]}
    assert send(one, acme(), **same) == ["created"]
    assert send(two, acme(Name="Zenith"), **same) == ["created"]
    assert send(one, acme(), **same) == ["duplicate"]
    assert (names(one), names(two)) == (["Acme"], ["Zenith"])
    assert [count(app, tables.message) for app in both] == [2, 1]
    assert [count(app, tables.notification) for app in both] == [1, 1]


def test_what_a_receiver_writes_by_sql_of_its_own_is_written_where_the_record_is(both: tuple[Flask, Flask]) -> None:
    """Names without a schema are looked for in the organization's, whoever writes the statement."""

    def shout(sender: Any, instance: Any, session: Any, **_: Any) -> None:
        session.execute(text("UPDATE account SET name = upper(name)"))

    with post_save.connected_to(shout):
        send(both[1], acme())
    send(both[0], acme())
    assert [names(app) for app in both] == [["Acme"], ["ACME"]]


def test_quarantine_and_deletes_are_each_ones_own(both: tuple[Flask, Flask]) -> None:
    one, two = both

    def refuse(sender: Any, **_: Any) -> None:
        raise ValueError("not today")

    with pre_save.connected_to(refuse):
        send(one, acme())
    send(two, acme(SystemModstamp=at(5), IsDeleted="true"))
    assert [len(list(entries(parts_of(app), Wanted()))) for app in both] == [1, 0]
    assert [count(app, tables.tombstone) for app in both] == [0, 1]
    assert send(one, acme(SystemModstamp=at(4))) == ["created"]


def test_one_is_pruned_and_the_other_keeps_all(both: tuple[Flask, Flask]) -> None:
    for app in both:
        send(app, acme())
    parts = parts_of(both[0])
    gone = list(prune(parts.engine, Limits.of(parts.settings, datetime.now(UTC) + timedelta(days=31))))
    assert sum(each["messages"] for each in gone) == 1
    assert [count(app, tables.message) for app in both] == [0, 1]


def test_one_is_rebuilt_from_its_own_messages(both: tuple[Flask, Flask]) -> None:
    one, two = both
    send(one, acme())
    send(two, acme(Name="Zenith"))
    with parts_of(one).engine.begin() as connection:
        connection.execute(text("UPDATE account SET name = 'wrong'"))
    assert len(rebuild(parts_of(one), write=True).differences) == 1
    assert [names(app) for app in both] == [["Acme"], ["Zenith"]]


def test_a_relay_delivers_the_events_of_its_own(both: tuple[Flask, Flask]) -> None:
    heard: list[str] = []

    @receiver(committed, durable="crm")
    def crm(sender: Any, instance: Any, **_: Any) -> None:
        heard.append(instance.name)

    send(both[0], acme())
    send(both[1], acme(Name="Zenith"))
    deliver_all(both[1])
    assert heard == ["Zenith"]
    assert [status(app)[0] for app in both] == [1, 0]


def test_a_listener_is_woken_by_its_own_and_by_no_other(
    both: tuple[Flask, Flask], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify("dashboard", sender="Account")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f'LISTEN "omreceiver.{SPACE}_one"')
        send(both[1], acme(Name="Zenith"))
        assert list(connection.notifies(timeout=1)) == []
        send(both[0], acme())
        assert [each.payload for each in connection.notifies(timeout=5, stop_after=1)] == ["1"]
    monkeypatch.setenv("OMRECEIVER_SCHEMA", f"{SPACE}_one")
    with closing(listen("dashboard", url)) as events:
        assert next(events).changed["name"][1] == "Acme"


def test_who_deletes_for_one_does_not_wait_for_who_deletes_for_the_other(both: tuple[Flask, Flask]) -> None:
    """Each has the gate of its own schema alone."""
    engines = [for_writing(parts_of(app).engine) for app in both]
    with engines[0].begin() as one, engines[1].begin() as two:
        two.execute(text("SET LOCAL lock_timeout = '2s'"))
        tombstones.close(one)
        tombstones.close(two)


def test_the_commands_work_in_the_schema(url: str, project: Path) -> None:
    settings = {"DATABASE_URL": url, "OMRECEIVER_SCHEMA": f"{SPACE}_one"}
    for line in ("db create", "replay fixtures/contact-created", "db check"):
        done = CliRunner(env=settings).invoke(main, line.split())
        assert done.exit_code == 0, done.output
    others = CliRunner(env={**settings, "OMRECEIVER_SCHEMA": f"{SPACE}_two"}).invoke(main, ["show"])
    assert (others.exit_code, "omreceiver db upgrade" in others.output) == (2, True)


def test_a_word_of_sql_is_a_name_too(url: str) -> None:
    engine = open_for(Settings.from_mapping({"DATABASE_URL": url, "OMRECEIVER_SCHEMA": "user"}))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW search_path")) == '"user"'
    engine.dispose()


@pytest.mark.parametrize("database", ["sqlite:///crm.db", "mariadb://root@127.0.0.1/test"])
def test_elsewhere_it_is_refused(database: str) -> None:
    with pytest.raises(ConfigurationError, match="give each organization a database of its own"):
        Settings.from_mapping({"DATABASE_URL": database, "OMRECEIVER_SCHEMA": "acme"})


def test_an_engine_of_yours_has_the_schema_that_you_give_it(account: Any) -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1/nothing")
    app = Flask("users_app")
    app.config.update(DATABASE_URL="postgresql://nobody@127.0.0.1/nothing", OMRECEIVER_SCHEMA="acme")
    with pytest.raises(ConfigurationError, match="give it the search_path yourself"):
        OutboundMessages([account], engine=engine).init_app(app)


@pytest.mark.parametrize("name", ["Acme", "acme-1", "1acme", "pg_acme", "acme, public", 'acme"', "a" * 64])
def test_a_name_that_would_need_quotes_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^OMRECEIVER_SCHEMA: expected a name of small letters"):
        Settings.from_mapping({"DATABASE_URL": "postgresql://db/crm", "OMRECEIVER_SCHEMA": name})
