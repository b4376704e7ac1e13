"""What every connection to PostgreSQL is told, once, so that it costs a message nothing: how to plan, how long anything
may take, in which schema the tables are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event

#: an execution option: the schema that OMRECEIVER_SCHEMA names
SCHEMA = "omreceiver_schema"


def within(schema: str) -> dict[str, str]:
    """What has all names looked for in one schema, if one is given. In no other: what is missing there is an error,
    and never the table of another organization.
    """
    return {"search_path": f'"{schema}"'} if schema else {}


def tell(engine: Engine, settings: Mapping[str, str]) -> None:
    """Have PostgreSQL's settings, name → value, hold on every connection of an engine."""
    statement = _statement("SET SESSION", settings)

    def once(connection: Any, _record: object) -> None:
        connection.execute(statement)
        connection.commit()

    # first of all listeners: SQLAlchemy asks a new connection which schema is its own
    event.listen(engine, "connect", once, insert=True)


def _statement(verb: str, settings: Mapping[str, str]) -> str:
    """One statement of all: PostgreSQL answers it in one go."""
    return "; ".join(f"{verb} {name} = {value}" for name, value in settings.items())
