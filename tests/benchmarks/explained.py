"""EXPLAIN of every statement that the product sends: the indexes it uses, and the tables it reads whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
WHOLE_TABLE = "Seq Scan"
#: statement → parameters of one execution
Sent = dict[str, Any]


@contextmanager
def captured(engine: Engine) -> Iterator[Sent]:
    """The statements inside the block, each once."""
    seen: Sent = {}

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(VERBS):
            seen.setdefault(statement, parameters[0] if isinstance(parameters, list) else parameters)

    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", listen)


def explain(engine: Engine, sent: Sent) -> list[dict[str, Any]]:
    """A row a statement: what it does, the indexes that it uses, the tables that it reads whole. Writes nothing."""
    rows = []
    with engine.connect() as connection:
        for statement, parameters in sent.items():
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            nodes = list(_nodes(plan[0]["Plan"]))
            indexes = sorted({node["Index Name"] for node in nodes if "Index Name" in node})
            whole = sorted({node["Relation Name"] for node in nodes if node["Node Type"] == WHOLE_TABLE})
            rows.append({"statement": _summary(statement), "indexes": indexes, "whole": whole})
        connection.rollback()
    return rows


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _summary(statement: str) -> str:
    """Its verb and its tables; how it begins where it names none."""
    tables = re.findall(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+(?!json)([a-z_]\w*)(?!\w*\()", statement)
    lock = " FOR UPDATE" if "FOR UPDATE" in statement else ""
    if not tables:
        return statement.partition("(")[0]
    return f"{statement.split()[0]} {', '.join(dict.fromkeys(tables))}{lock}"
