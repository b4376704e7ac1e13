"""What an error of the database means: try again, come back later, or this record will never fit."""

from __future__ import annotations

from enum import Enum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from omreceiver.errors import ReceiverRaised

#: PostgreSQL's SQLSTATEs of a serialization failure, a deadlock, a lock not available
#: and MariaDB's numbers of a lock wait timeout, a deadlock, a record changed since the last read
AGAIN: set[object] = {"40001", "40P01", "55P03", 1205, 1213, 1020}
#: what SQLite says, which has no numbers that reach us
LOCKED = ("database is locked", "database table is locked", "database schema is locked")
#: the database's own trouble. PostgreSQL's classes: connection, transaction state, authorization, resources,
#: intervention, system; and names that are not in the schema
AWAY_CLASSES = ("08", "25", "28", "3D", "3F", "42", "53", "57", "58", "XX")
#: MariaDB: rights, unknown database, too many connections, shutdown, disk full, unknown table or column, read only,
#: lost connections
AWAY_NUMBERS = {1044, 1045, 1049, 1142, 1143, 1040, 1053, 1021, 1146, 1054, 1290, 1836, 2002, 2003, 2006, 2013, 2055}


class Verdict(Enum):
    """What to do about an error."""

    AGAIN = "again"
    AWAY = "away"
    RECORD = "record"


def verdict(error: BaseException) -> Verdict:
    """Judge an error that came out of storing. An error of a receiver's own SQL is that record's.

    A connection that was lost is tried again: the pool opens a new one, or says that the database is away.
    """
    if isinstance(error, ReceiverRaised):
        is_conflict = isinstance(error.__cause__, DBAPIError) and verdict(error.__cause__) is Verdict.AGAIN
        return Verdict.AGAIN if is_conflict else Verdict.RECORD
    if isinstance(error, PoolTimeout):
        return Verdict.AWAY
    if not isinstance(error, DBAPIError):
        return Verdict.RECORD
    code = _code(error)
    if error.connection_invalidated or code in AGAIN or any(words in str(error.orig) for words in LOCKED):
        return Verdict.AGAIN
    return Verdict.AWAY if _is_away(error, code) else Verdict.RECORD


def _is_away(error: DBAPIError, code: object) -> bool:
    """What a server answers with a code of its own is the record's fault unless the code says otherwise."""
    if isinstance(error, IntegrityError | DataError):
        return False
    if isinstance(code, int):
        return code in AWAY_NUMBERS
    return code.startswith(AWAY_CLASSES) if isinstance(code, str) else True


def _code(error: DBAPIError) -> object:
    """MariaDB's number or PostgreSQL's SQLSTATE; None from SQLite and from a server that was not reached."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return first if isinstance(first, int) else getattr(error.orig, "sqlstate", None)
