"""What PostgreSQL is told before it works: how to plan, how long anything may take, in which schema the tables are.

A connection is told once, which costs a message nothing. A pooler in transaction mode lends a server's connection for
one transaction, and another for the next: what is set for the session stays behind for a stranger, and what was
prepared is not there when it is wanted. Through one every transaction is told, by the statement that begins it, so that
this costs no round trip either; and nothing is prepared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event, make_url

#: an execution option: the schema that OMRECEIVER_SCHEMA names
SCHEMA = "omreceiver_schema"
#: an execution option: whether no session outlives a transaction
POOLED = "omreceiver_pooled"


def arguments(url: str) -> dict[str, Any]:
    """What a driver is told of a pooler in transaction mode: psycopg prepares what it executes for the fifth time."""
    return {"prepare_threshold": None} if make_url(url).get_driver_name() == "psycopg" else {}


def within(schema: str) -> dict[str, str]:
    """What has all names looked for in one schema, if one is given. In no other: what is missing there is an error,
    and never the table of another organization.
    """
    return {"search_path": f'"{schema}"'} if schema else {}


def tell(engine: Engine, settings: Mapping[str, str]) -> None:
    """Have PostgreSQL's settings, name → value, hold on every connection of an engine, or in every transaction where a
    pooler is between.
    """
    if is_pooled(engine):
        _tell_transactions(engine, _statement("SET LOCAL", settings))
    else:
        _tell_sessions(engine, _statement("SET SESSION", settings))


def is_pooled(engine: Engine) -> bool:
    """Whether OMRECEIVER_POOL_MODE says so."""
    return bool(engine.get_execution_options().get(POOLED))


def _statement(verb: str, settings: Mapping[str, str]) -> str:
    """One statement of all: PostgreSQL answers it in one go."""
    return "; ".join(f"{verb} {name} = {value}" for name, value in settings.items())


def _tell_sessions(engine: Engine, statement: str) -> None:
    def once(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        connection.commit()

    # first of all listeners: SQLAlchemy asks a new connection which schema is its own
    event.listen(engine, "connect", once, insert=True)


def _tell_transactions(engine: Engine, statement: str) -> None:
    """The driver would begin by itself, in a round trip of its own; with autocommit on it leaves that to us, and
    commits and rolls back what we have begun.
    """
    begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {statement}"

    def ours(connection: Any, _record: object) -> None:
        connection.autocommit = True

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", ours)
    event.listen(engine, "begin", begun)
