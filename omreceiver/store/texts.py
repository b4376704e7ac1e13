"""Texts: a list of texts as one parameter of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator


class Texts(TypeDecorator[Sequence[str]]):
    """As the database takes a list: PostgreSQL as the text of an array (measured: the driver's own way takes several
    times as long), SQLite as JSON; PyMySQL writes it out.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return "{" + ",".join(map(_quoted, value or ())) + "}"
        if dialect.name == "sqlite":
            return dumps(list(value or ()))
        # IN () is no SQL
        return list(value or ()) or [None]


def _quoted(text: str) -> str:
    """https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
