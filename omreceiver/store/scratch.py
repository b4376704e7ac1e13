"""Scratch: private tables of the same names, in which messages can be played without touching what is stored.

On PostgreSQL and MariaDB they are temporary tables of one connection, which hide the real ones from it; on SQLite a
database of its own, in a file that nobody sees. They have every column and the keys, and no other constraint: what was
accepted once is accepted here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.pool import StaticPool

from omreceiver.errors import ConfigurationError
from omreceiver.records.columns import CHARSET, MYSQL
from omreceiver.records.models import Models
from omreceiver.store import tables
from omreceiver.store.database import for_writing, prepare
from omreceiver.store.sessions import is_pooled
from omreceiver.store.statements import LOOSE

#: what messages are read by; the rest of the book-keeping begins empty
COPIED = (tables.action, tables.metadata.tables["om_key_prefix"], tables.tombstone)
#: the row that MariaDB locks around deletes
GATE = Table("om_alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
BATCH = 1000


@contextmanager
def scratch(engine: Engine, models: Models) -> Iterator[Engine]:
    """An engine whose tables are empty but for what messages are read by, gone in the end.

    Raises ConfigurationError when two class tables have one name, and for an engine whose connections are lent for one
    transaction: temporary tables stay with the server's connection, and would hide the real ones from a stranger.
    """
    if is_pooled(engine):
        raise ConfigurationError(
            "A rebuild has temporary tables, which a pooler in transaction mode gives to others. Run it without "
            "OMRECEIVER_POOL_MODE, with the server's own address in DATABASE_URL."
        )
    options = _options(engine.dialect.name, models)
    private = _private(engine)
    try:
        there = private.execution_options(**options)
        with for_writing(there).begin() as connection:
            _create(connection, [*tables.metadata.sorted_tables, *models.tables(), GATE])
            connection.execute(insert(GATE), {"version_num": "scratch"})
            _copy(engine, connection)
        yield there
    finally:
        private.dispose()


def _private(engine: Engine) -> Engine:
    """An engine of one connection, of which nobody else knows."""
    if engine.dialect.name == "sqlite":
        return prepare(create_engine("sqlite://", creator=_unnamed_file, poolclass=StaticPool))
    # opened as the engine opens all of its own, and taken out of its pool
    mine = engine.raw_connection()
    mine.detach()
    return create_engine(engine.url, creator=lambda: mine.dbapi_connection, poolclass=StaticPool)


def _unnamed_file() -> sqlite3.Connection:
    return sqlite3.connect("", check_same_thread=False)


def _options(dialect: str, models: Models) -> dict[str, Any]:
    """Every schema is that of the temporary tables: what is missing there is an error, and never the real table."""
    schemas = {table.schema for table in models.tables()}
    translated = {None, *schemas} if dialect == "postgresql" else schemas - {None}
    names = [table.name for table in models.tables()]
    if len(set(names)) < len(names):
        raise ConfigurationError("Two classes have tables of one name in two schemas; these cannot be rebuilt yet.")
    return {
        "schema_translate_map": dict.fromkeys(translated, "pg_temp" if dialect == "postgresql" else None),
        LOOSE: {root: models.tables_below(root) for root in models.roots()},
    }


def _create(connection: Connection, wanted: Iterable[Table]) -> None:
    metadata, is_mysql = MetaData(), connection.dialect.name in MYSQL
    for table in wanted:
        prefixes = ["TEMPORARY"] if is_mysql else []
        Table(table.name, metadata, *map(_column, table.columns), schema=table.schema, prefixes=prefixes, **CHARSET)
    metadata.create_all(connection, checkfirst=False)


def _column(of: Column[Any]) -> Column[Any]:
    """With its key. No default: the store gives every value that it knows of."""
    is_unique = of.name == "salesforce_id" and bool(of.unique)
    return Column(of.name, of.type, primary_key=of.primary_key, autoincrement=of.autoincrement, unique=is_unique)


def _copy(engine: Engine, target: Connection) -> None:
    with engine.connect() as source:
        for table in COPIED:
            rows = source.execution_options(yield_per=BATCH).execute(select(table)).mappings()
            for part in rows.partitions():
                target.execute(insert(table), [dict(row) for row in part])
