"""Creates and upgrades tables: the om_ tables by Alembic, class tables by what is missing. Nothing is ever dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, Table, inspect, text
from sqlalchemy.schema import CreateSchema

from omreceiver.errors import TableTaken
from omreceiver.records.columns import MYSQL
from omreceiver.records.models import Models
from omreceiver.store.database import for_writing
from omreceiver.store.prefixes import remember
from omreceiver.store.sessions import SCHEMA

MIGRATIONS = Path(__file__).parent / "migrations"
BUILT = "omreceiver.records.build"
MYSQL_LOCK = "CONCAT('omreceiver ', DATABASE())"
#: by the schema's name also where there is none of that name yet
POSTGRESQL_LOCK = """
    hashtext('omreceiver'), hashtext(coalesce(current_schema(), btrim(current_setting('search_path'), '"')))
"""
#: what takes the lock of an upgrade and gives it back, one a database
LOCKS = {
    "postgresql": (f"SELECT pg_advisory_lock({POSTGRESQL_LOCK})", f"SELECT pg_advisory_unlock({POSTGRESQL_LOCK})"),
    **dict.fromkeys(MYSQL, (f"SELECT GET_LOCK({MYSQL_LOCK}, 300)", f"SELECT RELEASE_LOCK({MYSQL_LOCK})")),
}


@dataclass(frozen=True)
class Missing:
    """What the models have and the database has not."""

    revision: bool
    tables: tuple[Table, ...]
    columns: tuple[tuple[Table, Column[object]], ...]
    #: the tables of classes built from WSDLs, which get their columns from `upgrade`
    built: frozenset[Table] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.revision or self.tables or self.columns)

    @property
    def columns_to_add(self) -> list[tuple[Table, Column[object]]]:
        """Those of classes built from WSDLs: a declared class may have migrations of its own."""
        return [(table, column) for table, column in self.columns if table in self.built]

    def sentences(self) -> list[str]:
        """One line for each thing, with its cure."""
        lines = ["The om_ tables are missing or old. Run `omreceiver db upgrade`."] if self.revision else []
        lines += [f"The table {table.name} is missing. Run `omreceiver db upgrade`." for table in self.tables]
        return lines + [self._column_sentence(table, column) for table, column in self.columns]

    def _column_sentence(self, table: Table, column: Column[object]) -> str:
        own = "Its class is declared by you: add the column with migrations of your own."
        cure = "Run `omreceiver db upgrade`." if table in self.built else own
        return f"The column {table.name}.{column.name} is missing. {cure}"


def missing(engine: Engine, models: Models) -> Missing:
    """Compare the database with the models; it changes nothing."""
    with engine.connect() as connection:
        return _missing(connection, models)


def _missing(connection: Connection, models: Models) -> Missing:
    inspector, tables = inspect(connection), models.tables()
    there = {table: inspector.has_table(table.name, schema=table.schema) for table in tables}
    columns: list[tuple[Table, Column[object]]] = []
    for table in (table for table, is_there in there.items() if is_there):
        known = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
        if "external_id" not in known:
            raise TableTaken(table.name)
        columns += [(table, column) for column in table.columns if column.name not in known]
    context = MigrationContext.configure(connection, opts={"version_table": "om_alembic_version"})
    is_old = context.get_current_revision() != ScriptDirectory(str(MIGRATIONS)).get_current_head()
    built = frozenset(layout.root for layout in models if layout.model.__module__ == BUILT)
    return Missing(is_old, tuple(t for t, is_there in there.items() if not is_there), tuple(columns), built)


def upgrade(engine: Engine, models: Models) -> Missing:
    """Create what is missing and give what it was; the schema too, where OMRECEIVER_SCHEMA names one. Columns are
    added only to classes built from WSDLs: a declared class may have migrations of its own. Running it again does
    nothing.
    """
    with alone(engine), for_writing(engine).begin() as connection:
        _make_schema(connection)
        before = _missing(connection, models)
        if before.revision:
            command.upgrade(alembic_config(connection), "head")
        _add(connection, models, before)
        remember(connection, models.catalog.key_prefixes())
    return before


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Processes that change tables in the same moment do it one after the other: the lock outlives the commit."""
    if engine.dialect.name not in LOCKS:
        # SQLite has one writer at a time anyhow
        yield
        return
    lock, unlock = LOCKS[engine.dialect.name]
    with engine.connect() as connection:
        connection.execute(text(lock))
        try:
            yield
        finally:
            connection.execute(text(unlock))


def _make_schema(connection: Connection) -> None:
    """The right to make one is asked for only where it is missing."""
    name = connection.get_execution_options().get(SCHEMA)
    if name and not inspect(connection).has_schema(name):
        connection.execute(CreateSchema(name))


def alembic_config(connection: Connection) -> Config:
    """For functions of `alembic.command`, on a connection that is open."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _add(connection: Connection, models: Models, missing: Missing) -> None:
    for metadata in models.metadata():
        mine = [table for table in missing.tables if table.metadata is metadata]
        if mine:
            metadata.create_all(connection, tables=mine)
    operations = Operations(MigrationContext.configure(connection))
    for table, column in missing.columns_to_add:
        # with the index of a column that has one
        operations.add_column(table.name, column._copy(), schema=table.schema)
