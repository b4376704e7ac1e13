"""A statement that is compiled once, and run by the driver's own cursor on SQLAlchemy's connection and transaction.

The statements of every message are always the same few. SQLAlchemy's way to execute one costs more than the driver's
(measured: a sixth of the time of a small message, at two statements), for what these need not have done each time. Who
watches, by echo or by events, sees them all the same: then SQLAlchemy executes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.base import Executable

Parameters = Mapping[str, Any]
Processor = Callable[[Any], Any]
#: where a value stands in a row, and what its type makes of it
Converters = list[tuple[int, Processor]]
T = TypeVar("T")

#: before the name of a column whose value a row gives, where SQLAlchemy keeps the names of columns for itself
OF_ROW = "row_"
#: an execution option of SQLAlchemy that changes the text of a statement
RENAMES = "schema_translate_map"


class Prepared:
    """One statement for one database. All of its parameters are given each time that it is run."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        binds = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
        processors = {name: kind.bind_processor(dialect) for name, kind in binds.items()}
        self.statement = statement
        self.dialect = dialect
        self.text = str(compiled)
        #: the parameters in the order of their places; None where the driver takes names
        self.places: list[str] | None = compiled.positiontup
        self.binds = {name: bind for name, bind in processors.items() if bind is not None}
        #: the columns of a row, in the order of their places
        self.columns = [name.removeprefix(OF_ROW) for name in self.places or ()]
        self.bound = [(at, self.binds[name]) for at, name in enumerate(self.places or ()) if name in self.binds]
        self.loaders: Converters | None = None

    def rows(self, connection: Connection, parameters: Parameters) -> list[tuple[Any, ...]]:
        """Run a SELECT, or what returns rows; gives them. Raises what SQLAlchemy raises, as all of these do."""
        if _is_watched(connection):
            return [tuple(row) for row in connection.execute(self.statement, parameters)]
        return self._run(connection, lambda cursor: self._fetch(cursor, parameters))

    def run(self, connection: Connection, parameters: Parameters) -> None:
        """Run it, where nothing comes back."""
        if _is_watched(connection):
            connection.execute(self.statement, parameters)
        else:
            self._run(connection, lambda cursor: cursor.execute(self.text, self._placed(parameters)))

    def insert(self, connection: Connection, parameters: Parameters) -> int:
        """Run it; gives the number that the database gave to the row, where its driver tells."""
        if _is_watched(connection):
            return int(connection.execute(self.statement, parameters).lastrowid)
        return self._run(connection, lambda cursor: self._insert(cursor, parameters))

    def each(self, connection: Connection, rows: Sequence[Parameters]) -> None:
        """Run it for each row, in as few statements as the driver can."""
        if _is_watched(connection):
            named = [(name, name.removeprefix(OF_ROW)) for name in self.places or rows[0]]
            connection.execute(self.statement, [{name: row[column] for name, column in named} for row in rows])
        else:
            self._run(connection, lambda cursor: cursor.executemany(self.text, self._ordered(rows)))

    def _run(self, connection: Connection, work: Callable[[Any], T]) -> T:
        cursor: DBAPICursor = connection.connection.cursor()
        try:
            return work(cursor)
        except BaseException as error:
            # SQLAlchemy's own: gives it the class that callers know, and lets go of connections that are lost, or that
            # a signal has interrupted while the server was at work
            connection._handle_dbapi_exception(error, self.text, None, cursor, None)
        finally:
            cursor.close()

    def _fetch(self, cursor: Any, parameters: Parameters) -> list[tuple[Any, ...]]:
        cursor.execute(self.text, self._placed(parameters))
        found: list[tuple[Any, ...]] = list(cursor.fetchall())
        if found and self.loaders is None:
            self.loaders = _loaders(self.statement, self.dialect, cursor)
        return [_converted(row, self.loaders) for row in found] if self.loaders else found

    def _insert(self, cursor: Any, parameters: Parameters) -> int:
        cursor.execute(self.text, self._placed(parameters))
        return int(cursor.lastrowid)

    def _placed(self, parameters: Parameters) -> Any:
        if self.binds:
            parameters = {**parameters, **{name: bind(parameters[name]) for name, bind in self.binds.items()}}
        return parameters if self.places is None else [parameters[name] for name in self.places]

    def _ordered(self, rows: Sequence[Parameters]) -> list[Any]:
        if self.places is None:
            return [self._placed(row) for row in rows]
        first, *others = self.columns
        placed = map(itemgetter(first, *others), rows) if others else ((row[first],) for row in rows)
        return [_converted(row, self.bound) for row in placed] if self.bound else list(placed)


def prepared(statement: Executable, connection: Connection) -> Prepared:
    """A statement, compiled for a connection's database: once, when it is the same object each time."""
    return _prepared(statement, connection.dialect)


@lru_cache(maxsize=1024)
def _prepared(statement: Executable, dialect: Dialect) -> Prepared:
    return Prepared(statement, dialect)


def _is_watched(connection: Connection) -> bool:
    """Whether SQLAlchemy has more to do than to hand the statement on."""
    has_events = connection._has_events or connection.engine._has_events
    is_heard = has_events and _is_heard(connection.dispatch)
    return is_heard or connection._echo or RENAMES in connection.get_execution_options()


def _is_heard(events: Any) -> bool:
    cursors = events.before_cursor_execute or events.after_cursor_execute
    return bool(cursors or events.before_execute or events.after_execute)


def _loaders(statement: Any, dialect: Dialect, cursor: DBAPICursor) -> Converters:
    """What the types of an answer's columns do to a value; some want to know what the driver says of the column."""
    told: Iterable[tuple[Any, Any]] = zip(statement.exported_columns, cursor.description or (), strict=True)
    kinds = [(column.type.dialect_impl(dialect), said[1]) for column, said in told]
    found = [(at, kind.result_processor(dialect, code)) for at, (kind, code) in enumerate(kinds)]
    return [(at, load) for at, load in found if load is not None]


def _converted(row: tuple[Any, ...], converters: Converters) -> tuple[Any, ...]:
    values = list(row)
    for at, convert in converters:
        values[at] = convert(values[at])
    return tuple(values)
