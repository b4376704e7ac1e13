"""Databases that have grown: class tables and a ledger of as many rows as one likes, filled by COPY on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import psycopg
from flask import Flask
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url

from omreceiver.app import parts_of
from omreceiver.testing.messages import ACTION, ORGANIZATION
from tests.databases import DRIVERS, SERVERS, SPACE
from tests.things import START, WIDTH, Things

THINGS = Things(fields=10, tables=2)
#: for OMRECEIVER_MODELS
Thing = THINGS.model
#: lines of a message in the ledger
LINES = 100
#: rows given to COPY at once
CHUNK = 20_000
#: the ledger's messages came in so many days, the newest today; nine tenths are older than the ledger has to know
DAYS = 300


@dataclass(frozen=True)
class Grown:
    """A database with so many records, and twice as many lines in its ledger."""

    records: int
    app: Flask
    url: str

    @property
    def engine(self) -> Engine:
        return parts_of(self.app).engine


@contextmanager
def database(records: int, advance: Callable[[int], None]) -> Iterator[Grown]:
    """One of its own, dropped afterwards; `advance` hears of rows that were written."""
    name = f"{SPACE}_{records}"
    there = create_engine(make_url(SERVERS["postgresql"]).set(drivername=DRIVERS["postgresql"]))
    admin = there.execution_options(isolation_level="AUTOCOMMIT")
    url = make_url(SERVERS["postgresql"]).set(database=name).render_as_string(hide_password=False)
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        grown = Grown(records, THINGS.app(url), url)
        _fill(grown, advance)
        yield grown
        grown.engine.dispose()
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        there.dispose()


def _fill(grown: Grown, advance: Callable[[int], None]) -> None:
    with psycopg.connect(grown.url, autocommit=True) as connection:
        # the foreign keys hold by construction; to ask for each of millions would take longer than all the rest
        connection.execute("SET session_replication_role = replica")
        for table, columns, lines in _tables(grown.records):
            _copy(connection, table, columns, lines, advance)
        connection.execute("SELECT setval('om_message_id_seq', (SELECT max(id) FROM om_message))")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def rows(records: int) -> int:
    """How many rows are written for so many records."""
    return records * 4 + records * 2 // LINES


def _tables(records: int) -> Iterator[tuple[str, tuple[str, ...], Iterable[str]]]:
    root, leaf = inspect(Thing).tables
    shared = ("external_id", "child_name", "salesforce_id", "organization_id", "modstamp")
    evens, odds = ([f"f{number}" for number in range(start, THINGS.fields, 2)] for start in (0, 1))
    texts = "\t".join(["value".ljust(WIDTH, ".")] * len(evens))
    known = f"{Thing.__name__}\ta0x%012dAAA\t{ORGANIZATION}\t{START.isoformat()}"
    yield root.name, (*shared, *evens), (f"K-{n}\t{known % n}\t{texts}\n" for n in range(records))
    yield leaf.name, ("external_id", *odds), (f"K-{n}\t{texts}\n" for n in range(records))
    messages = 2 * records // LINES
    step, now = timedelta(days=DAYS) / messages, datetime.now(UTC)
    came = ("id", "received_at", "organization_id", "action_id", "sobject", "raw", "again", "outcomes")
    told = f'{ORGANIZATION}\t{ACTION}\t{THINGS.sobject}\tf\tf\t{{"updated": {LINES}}}'
    yield "om_message", came, (f"{n + 1}\t{now - (messages - n) * step}\t{told}\n" for n in range(messages))
    ledger = ("notification_id", "organization_id", "message_id", "record_id", "outcome")
    yield "om_notification", ledger, _ledger_of(records)


def _ledger_of(records: int) -> Iterator[str]:
    for n in range(2 * records):
        yield f"04l{n:012d}AAA\t{ORGANIZATION}\t{n // LINES + 1}\ta0x{n % records:012d}AAA\tupdated\n"


def _copy(
    connection: psycopg.Connection,
    table: str,
    columns: Iterable[str],
    lines: Iterable[str],
    advance: Callable[[int], None],
) -> None:
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    left = iter(lines)
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        while chunk := list(islice(left, CHUNK)):
            copy.write("".join(chunk))
            advance(len(chunk))
