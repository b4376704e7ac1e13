"""Monthly partitions on PostgreSQL of what grows: messages, the ledger, events and deliveries. What there is, and what
is to be done about it; parting.py does it.

A month goes at once when all of it is old enough and nothing in it is held, at no cost a row. Rows for which no month
has been made go to a table of their own, from which they are moved when it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, Table, bindparam, column, func, select, text
from sqlalchemy import table as sql_table

from omreceiver.store import tables

#: by which column each is parted. `entered_at` is PostgreSQL's own clock, in a column that no statement names
PARTED = {
    tables.message: "received_at",
    tables.notification: "entered_at",
    tables.event: "created_at",
    tables.delivery: "entered_at",
}
#: those that go together: nothing of a month goes while something in it is held
FAMILIES = ((tables.message, tables.notification), (tables.event, tables.delivery))
#: of every table, as PostgreSQL writes the bounds in UTC; NULL for one that is not parted
THERE = text("""
    SELECT parent.relname, parent.relkind = 'p' AS parted, child.relname AS name,
      pg_get_expr(child.relpartbound, child.oid) AS bounds
    FROM pg_class parent
    LEFT JOIN pg_inherits ON inhparent = parent.oid
    LEFT JOIN pg_class child ON child.oid = inhrelid
    WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relname IN :names
    ORDER BY child.relname
""").bindparams(bindparam("names", expanding=True))
BOUNDS = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(.+?)')\) TO \('(.+?)'\)")


class Doing(StrEnum):
    """What is done about one table, or one month of it."""

    #: the table as it is becomes the first partition of one of its name
    PART = "part"
    MAKE = "make"
    DROP = "drop"
    #: old enough, and held
    KEEP = "keep"


@dataclass(frozen=True)
class Partition:
    """The rows of one table from a moment on, if one is given, up to another."""

    table: Table
    name: str
    since: datetime | None
    until: datetime


@dataclass(frozen=True)
class Step:
    """One thing to do, in a transaction of its own."""

    doing: Doing
    partition: Partition
    why: str = ""


@dataclass(frozen=True)
class There:
    """The partitions of one table; None where it has none yet."""

    table: Table
    partitions: tuple[Partition, ...] | None
    #: of the oldest row for which no month has been made
    stray: datetime | None = None


def default_of(table: Table) -> str:
    """Where rows go for which no month has been made."""
    return f"{table.name}_default"


def parted(connection: Connection) -> set[str]:
    """The names of the tables that are parted; none on other databases."""
    if connection.dialect.name != "postgresql":
        return set()
    return {there.table.name for there in look(connection) if there.partitions is not None}


def look(connection: Connection) -> list[There]:
    """What there is of the tables that can be parted."""
    connection.execute(text("SET LOCAL timezone = 'UTC'"))
    connection.execute(text("SET LOCAL datestyle = 'ISO'"))
    rows = connection.execute(THERE, {"names": [table.name for table in PARTED]}).all()
    found = []
    for table, by in PARTED.items():
        mine = [row for row in rows if row.relname == table.name]
        if not mine or not mine[0].parted:
            found.append(There(table, None))
            continue
        bounds = [(row.name, BOUNDS.fullmatch(row.bounds)) for row in mine if row.name]
        known = tuple(_partition(table, each, *told.groups()) for each, told in bounds if told)
        stray = connection.scalar(select(func.min(column(by))).select_from(sql_table(default_of(table))))
        found.append(There(table, known, stray))
    return found


def _partition(table: Table, name: str, since: str | None, until: str) -> Partition:
    return Partition(table, name, datetime.fromisoformat(since) if since else None, datetime.fromisoformat(until))


def planned(there: Sequence[There], now: datetime, ahead: int) -> Iterator[Step]:
    """What is to be made: tables that are parted, and the months that are not there, so many ahead, from this one on or
    from that of a row that has none.
    """
    for each in there:
        wanted = list(_months(each.stray or now, now, ahead))
        covered = each.partitions
        if covered is None:
            # what comes while this runs about the end of a month is in time too
            _, until = wanted[0]
            first = Partition(each.table, f"{each.table.name}_until_{until:%Y_%m}", None, until)
            covered = (first,)
            yield Step(Doing.PART, first)
        for since, until in wanted:
            if not any(_covers(partition, since) for partition in covered):
                yield Step(Doing.MAKE, Partition(each.table, f"{each.table.name}_{since:%Y_%m}", since, until))


def old(there: Sequence[There], limit: datetime) -> Iterator[tuple[Partition, ...]]:
    """The partitions that end before a moment, oldest first, with those that must go with them."""
    by_table = {each.table: each.partitions or () for each in there}
    for family in FAMILIES:
        ends = {each.until for table in family for each in by_table[table] if each.until <= limit}
        for end in sorted(ends):
            yield tuple(each for table in family for each in by_table[table] if each.until == end)


def _covers(partition: Partition, moment: datetime) -> bool:
    return (partition.since is None or partition.since <= moment) and moment < partition.until


def _months(first: datetime, now: datetime, ahead: int) -> Iterator[tuple[datetime, datetime]]:
    """The months from one moment to another, and so many more, in UTC."""
    since, more = _turn(min(first, now)), ahead
    while more >= 0:
        until = _turn(since + timedelta(days=32))
        yield since, until
        more -= since >= _turn(now)
        since = until


def _turn(moment: datetime) -> datetime:
    """When its month began."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
