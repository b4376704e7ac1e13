"""What an error of the database means: try again, come back later, or this record will never fit."""

from __future__ import annotations

from enum import Enum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from omreceiver.errors import ReceiverRaised

#: a conflict: a serialization failure, a deadlock, a lock not available
AGAIN = ("40001", "40P01", "55P03", "SQLITE_BUSY", "SQLITE_LOCKED")
#: MariaDB's of a lock wait timeout, a deadlock, a lock wait cut short, a record changed since the last read
AGAIN_NUMBERS = {1205, 1213, 1689, 1020}
#: MariaDB's of a name that is not there: a savepoint's, or a function's
NO_SUCH_NAME = 1305
#: the server's own trouble, whoever's statement met it. PostgreSQL's classes: connection, resources (a full disk),
#: intervention (a shutdown, a statement cancelled for its time), system; and a statement that another prepared, or that
#: was prepared elsewhere
PREPARED_ELSEWHERE = ("26000", "42P05")
SERVERS_TROUBLE = ("08", "53", "57", "58", "XX", *PREPARED_ELSEWHERE)
#: SQLite's, whose disk is this machine's
DISKS_TROUBLE = (
    *("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"),
    *("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_NOMEM", "SQLITE_PROTOCOL", "SQLITE_INTERRUPT"),
)
TROUBLE = SERVERS_TROUBLE + DISKS_TROUBLE
#: MariaDB's: a write that failed, a full disk, a full table, an error of the engine (its disk) or at commit; memory;
#: connections, threads, locks, quotas; shutdown, not ready, host blocked; read only; a statement interrupted or
#: cancelled for its time; lost connections
TROUBLE_NUMBERS = {
    *(3, 1026, 1021, 1114, 1030, 1180, 1037, 1038, 1041, 1040, 1135, 1206, 1203, 1226, 1053, 1047, 1129),
    *(1290, 1792, 1836, 1317, 1969, 3024, 2002, 2003, 2006, 2013, 2055),
}
#: names that are not there, rights, passwords: the store's statements are right, so the database is not as it should
#: be; but a receiver's own statement may just be wrong
SCHEMA = ("25", "28", "3D", "3F", "42", "SQLITE_ERROR", "SQLITE_SCHEMA")
SCHEMA_NUMBERS = {1044, 1045, 1130, 1049, 1054, 1142, 1143, 1146}
SET_POOL_MODE = "through PgBouncer in transaction mode, set OMRECEIVER_POOL_MODE=transaction"


class Verdict(Enum):
    """What to do about an error."""

    AGAIN = "again"
    #: the connection is gone: try again once, on a new one
    LOST = "lost"
    AWAY = "away"
    RECORD = "record"


def verdict(error: BaseException) -> Verdict:
    """Judge an error that came out of storing. An error of a receiver's own SQL is that record's, unless the same
    would have happened to the store's.
    """
    if isinstance(error, ReceiverRaised):
        cause = error.__cause__
        return _of_database(cause, is_ours=False) if isinstance(cause, DBAPIError) else Verdict.RECORD
    if isinstance(error, PoolTimeout):
        return Verdict.AWAY
    return _of_database(error, is_ours=True) if isinstance(error, DBAPIError) else Verdict.RECORD


def _of_database(error: DBAPIError, *, is_ours: bool) -> Verdict:
    code = _code(error)
    if error.connection_invalidated:
        return Verdict.LOST
    if _is_one_of(code, AGAIN, AGAIN_NUMBERS) or _has_lost_its_savepoint(error, code):
        return Verdict.AGAIN
    return Verdict.AWAY if _is_away(error, code, is_ours) else Verdict.RECORD


def _has_lost_its_savepoint(error: DBAPIError, code: int | str | None) -> bool:
    """A deadlock on MariaDB takes the whole transaction along, and what is told of it is that the savepoint in which
    it happened is not there. Whoever went on would lose all that was stored before.
    """
    return code == NO_SUCH_NAME and "SAVEPOINT" in str(error.orig)


def _is_away(error: DBAPIError, code: int | str | None, is_ours: bool) -> bool:
    """What a server answers with a code of its own is the record's fault unless the code says otherwise."""
    if isinstance(error, IntegrityError | DataError):
        return False
    if code is None:
        # no server has spoken: none was reached, or the driver does not take a value
        return not isinstance(error, ProgrammingError)
    return _is_one_of(code, TROUBLE, TROUBLE_NUMBERS) or (is_ours and _is_one_of(code, SCHEMA, SCHEMA_NUMBERS))


def _is_one_of(code: int | str | None, beginnings: tuple[str, ...], numbers: set[int]) -> bool:
    return code.startswith(beginnings) if isinstance(code, str) else code in numbers


def _code(error: DBAPIError) -> int | str | None:
    """MariaDB's number, PostgreSQL's SQLSTATE or SQLite's name; None when it did not come from a database."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(first, int):
        return first
    code: str | None = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    return code


def said(error: BaseException) -> str:
    """The first line of what the driver said; the rest may hold values of the record."""
    first = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
    is_pooled = isinstance(error, DBAPIError) and _code(error) in PREPARED_ELSEWHERE
    return f"{first} ({SET_POOL_MODE})" if is_pooled else first
