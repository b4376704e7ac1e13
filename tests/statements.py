"""The statements that reach a database, for tests that count them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event


@contextmanager
def statements(engine: Engine, only: str = "") -> Iterator[list[str]]:
    """Those inside the block that begin with `only`; an executemany is one."""
    seen: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(only):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", listen)


def of_the_message(sent: list[str]) -> list[str]:
    """Those that store a message: without what begins a transaction, and what is learned of an action once."""
    return [each for each in sent if not each.startswith(("BEGIN", "SET", "PRAGMA")) and "om_action" not in each]
