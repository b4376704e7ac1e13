"""The databases that tests run on: SQLite always, PostgreSQL and MariaDB where one answers.

TEST_POSTGRES_URL and TEST_MARIADB_URL name servers; the defaults are the standard ports of this machine and the
database `test`. With CI=true a server that does not answer fails the tests that want it. Each test process has a
schema (PostgreSQL) or a database (MariaDB) of its own, so that processes do not meet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

DATABASES = ("sqlite", "postgresql", "mariadb")
SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test"),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mariadb://root@127.0.0.1:3306/test"),
}
DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
SPACE = f"omreceiver_test_{os.getpid()}"


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of a kind, gone afterwards. Skips, or fails in CI, when no server answers."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/test.db"
        return
    there = server(kind)
    try:
        make_space(there, kind)
        yield url_of_space(kind)
    finally:
        drop_space(there, kind)
        there.dispose()


def server(kind: str) -> Engine:
    """Where spaces are made and dropped."""
    return create_engine(make_url(SERVERS[kind]).set(drivername=DRIVERS[kind]), isolation_level="AUTOCOMMIT")


def make_space(there: Engine, kind: str, name: str = "") -> None:
    """An empty space of this process, by a name of its own where there are several."""
    try:
        with there.connect() as connection:
            connection.execute(text(_drop(kind, name)))
            connection.execute(text(f"CREATE SCHEMA {SPACE}{name}"))
    except DBAPIError as error:
        sentence = f"{kind} does not answer at {SERVERS[kind]}: {error.orig}"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)


def url_of_space(kind: str, name: str = "") -> str:
    url = make_url(SERVERS[kind])
    if kind == "mariadb":
        return url.set(database=SPACE + name).render_as_string(hide_password=False)
    options = {"options": f"-csearch_path={SPACE}{name}"}
    return url.set(query=options).render_as_string(hide_password=False)


def drop_space(there: Engine, kind: str, name: str = "") -> None:
    try:
        with there.connect() as connection:
            connection.execute(text(_drop(kind, name)))
    except DBAPIError:
        # it never answered, and the test has said so
        return


def _drop(kind: str, name: str) -> str:
    return f"DROP SCHEMA IF EXISTS {SPACE}{name}" + (" CASCADE" if kind == "postgresql" else "")
