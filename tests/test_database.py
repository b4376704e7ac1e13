"""How the databases are opened, and what they are told of the time limit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from omreceiver import OutboundMessages, Settings
from omreceiver.app import assemble, parts_of
from omreceiver.store.database import for_writing, open_engine
from omreceiver.store.failures import Verdict, verdict
from tests.conftest import MakeApp


def test_connections_that_open_a_new_sqlite_file_at_once_all_wait_their_turn(tmp_path: Path) -> None:
    """As the workers of one server do; without the wait one file in ten ended in "database is locked"."""
    for at in range(100):
        together = Barrier(6)

        def write(engine: Engine, together: Barrier = together) -> None:
            together.wait()
            with for_writing(engine).begin() as connection:
                connection.execute(text("CREATE TABLE IF NOT EXISTS written (at INTEGER)"))

        engines = [open_engine(f"sqlite:///{tmp_path}/{at}.db") for _ in range(6)]
        with ThreadPoolExecutor(len(engines)) as pool:
            list(pool.map(write, engines))
        for engine in engines:
            engine.dispose()


#: with a limit of 20 seconds
LIMITED = {
    "sqlite": {"busy_timeout": "5000"},
    "postgresql": {"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "40s"},
    "mariadb": {
        "max_statement_time": "10.0",
        "innodb_lock_wait_timeout": "5",
        "lock_wait_timeout": "5",
        "idle_transaction_timeout": "40",
    },
}


def test_the_receiver_tells_its_connections_the_time_limit(make_app: MakeApp, database_url: str) -> None:
    app = make_app(database_url, OMRECEIVER_TIME_LIMIT="20s")
    engine = parts_of(app).engine
    assert settings_on(engine) == LIMITED[engine.dialect.name]


def test_commands_and_engines_of_yours_have_no_time_limit(make_app: MakeApp, database_url: str) -> None:
    """A migration may take long; and what is set on your engine is yours."""
    settings = Settings.from_mapping({"DATABASE_URL": database_url, "OMRECEIVER_WSDL_DIR": "nowhere"})
    plain = create_engine(settings.database_url)
    untouched = settings_on(plain)
    app = Flask("users_app")
    app.config.update(DATABASE_URL=database_url, OMRECEIVER_WSDL_DIR="nowhere")
    OutboundMessages([], engine=plain).init_app(app)
    assert settings_on(plain) == untouched
    plain.dispose()

    of_command = assemble(settings, []).engine
    assert settings_on(of_command) == (untouched | {"busy_timeout": "30000"} if "sqlite" in database_url else untouched)
    of_command.dispose()


def settings_on(engine: Engine) -> dict[str, str]:
    """What a database says of its session."""
    ask = {"sqlite": "PRAGMA {}", "postgresql": "SHOW {}", "mariadb": "SELECT @@{}"}[engine.dialect.name]
    with engine.connect() as connection:
        return {name: str(connection.scalar(text(ask.format(name)))) for name in LIMITED[engine.dialect.name]}


def test_what_the_url_says_of_time_stands(sqlite_url: str) -> None:
    engine = open_engine(f"{sqlite_url}?timeout=7", timedelta(seconds=20))
    assert settings_on(engine) == {"busy_timeout": "7000"}
    engine.dispose()


def test_a_database_in_memory_has_no_pool_to_wait_for() -> None:
    engine = open_engine("sqlite://", timedelta(seconds=20))
    assert settings_on(engine) == {"busy_timeout": "5000"}
    engine.dispose()


def test_a_pool_that_is_empty_is_waited_for_as_long_as_for_a_statement(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url, timedelta(seconds=1))
    taken = [engine.connect() for _ in range(15)]
    began = time.monotonic()
    with pytest.raises(PoolTimeout) as raised:
        engine.connect()
    assert 1 <= time.monotonic() - began < 5
    assert verdict(raised.value) is Verdict.AWAY
    for connection in taken:
        connection.close()
    engine.dispose()
