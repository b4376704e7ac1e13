"""Parts tables by month, makes the months, and drops them: each step in a transaction of its own, which waits only a
little for those who write, and is tried again.

PostgreSQL has no unique key over partitions unless the month is part of it, and then a notification that came again in
the next month would be no duplicate. So each partition has the key of the whole table, and a trigger on the ledger
looks into the others: a line that is there already is refused as the key would refuse it, and the store does what it
does then. Two transactions that enter one notification about the turn of a month, in two partitions, do not see each
other's lines; for an hour on each side the trigger lets them through one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, Table, inspect, text

from omreceiver.errors import ConfigurationError
from omreceiver.store import tables
from omreceiver.store.insist import insist
from omreceiver.store.partitions import PARTED, Doing, Partition, Step, There, default_of, look, old, planned
from omreceiver.store.prune import Limits
from omreceiver.store.upgrade import alone

#: whoever waits longer for a table has messages wait behind it
WAIT = "2s"
#: of a partition that is old: how many things in it are held, and what they are. The lines of the ledger go with their
#: messages, and deliveries with their events
HELD = {
    tables.message: (
        "{} notifications of it are in quarantine",
        """SELECT count(*) FROM om_quarantine JOIN "{}" AS old ON old.id = message_id WHERE settled_at IS NULL""",
    ),
    tables.event: (
        "{} deliveries of it are still to be made",
        """SELECT count(*) FROM om_delivery JOIN "{}" AS old ON old.id = event_id WHERE delivered_at IS NULL""",
    ),
}
ONCE = """
CREATE FUNCTION {schema}.om_notification_once() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    again text;
BEGIN
    PERFORM FROM entered WHERE
        date_trunc('month', entered_at - interval '1 hour', 'UTC')
        <> date_trunc('month', entered_at + interval '1 hour', 'UTC');
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock(hashtext('omreceiver once {schema}'), one) FROM
            (SELECT DISTINCT hashtext(notification_id || organization_id) AS one FROM entered ORDER BY one) AS turns;
    END IF;
    SELECT there.notification_id INTO again FROM entered JOIN {schema}.om_notification AS there
        ON there.notification_id = entered.notification_id AND there.organization_id = entered.organization_id
        AND there.entered_at <> entered.entered_at LIMIT 1;
    IF FOUND THEN
        RAISE unique_violation USING MESSAGE = 'The notification ' || again || ' is in the ledger of another month.';
    END IF;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER om_notification_once AFTER INSERT ON om_notification REFERENCING NEW TABLE AS entered
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.om_notification_once()
"""


def steps(engine: Engine, limits: Limits, now: datetime, ahead: int) -> list[Step]:
    """What there is to do; it changes nothing. Raises ConfigurationError for another database than PostgreSQL."""
    if engine.dialect.name != "postgresql":
        raise ConfigurationError(
            f"{engine.dialect.name} is not parted by omreceiver, which is for PostgreSQL. Use `omreceiver db prune`."
        )
    with engine.connect() as connection:
        there = look(connection)
        return [*planned(there, now, ahead), *_leaving(connection, there, limits.ledger)]


def _leaving(connection: Connection, there: list[There], limit: datetime) -> Iterator[Step]:
    for family in old(there, limit):
        why = _held(connection, family)
        # the lines of the ledger before their messages, as nothing may be left that a drop between would hide
        yield from (Step(Doing.KEEP if why else Doing.DROP, partition, why) for partition in reversed(family))


def _held(connection: Connection, family: tuple[Partition, ...]) -> str:
    """Why nothing of it may go; empty when it may."""
    for partition in (each for each in family if each.table in HELD):
        sentence, statement = HELD[partition.table]
        count = connection.scalar(text(statement.format(partition.name)))
        if count:
            return sentence.format(count)
    return ""


def do(engine: Engine, step: Step) -> None:
    """Do one step, in one transaction. Raises Unavailable when others do not let go of the table in time."""
    work = {Doing.PART: _part, Doing.MAKE: _make, Doing.DROP: _drop}[step.doing]

    def alone_in_it() -> None:
        with alone(engine), engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}'"))
            work(connection, step.partition)

    insist(alone_in_it, f"{step.partition.table.name} cannot be changed now; run it again")


def _part(connection: Connection, first: Partition) -> None:
    """The table becomes the first partition of one that takes its name. No row is copied: those there are only read,
    to see that none is too young.
    """
    table, by = first.table, PARTED[first.table]
    _run(connection, f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
    if by not in table.c:
        # one value for all rows that are there is no rewrite; only then it is the clock's
        now = datetime.now(UTC).isoformat()
        _run(connection, f"ALTER TABLE {table.name} ADD COLUMN {by} timestamptz NOT NULL DEFAULT '{now}'")
        _run(connection, f"ALTER TABLE {table.name} ALTER COLUMN {by} SET DEFAULT clock_timestamp()")
    _rename(connection, table, first.name)
    _run(connection, f"CREATE TABLE {table.name} (LIKE {first.name} INCLUDING DEFAULTS) PARTITION BY RANGE ({by})")
    for column in table.primary_key if table.autoincrement_column is not None else ():
        _run(connection, f"ALTER SEQUENCE {table.name}_{column.name}_seq OWNED BY {table.name}.{column.name}")
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        index.create(connection)
    _attach(connection, first)
    _run(connection, f"CREATE TABLE {default_of(table)} PARTITION OF {table.name} DEFAULT")
    _run(connection, f"ALTER TABLE {default_of(table)} ADD PRIMARY KEY ({', '.join(table.primary_key.columns.keys())})")
    if table is tables.notification:
        schema = connection.scalar(text("SELECT quote_ident(current_schema())"))
        _run(connection, ONCE.format(schema=schema))
        _run(connection, TRIGGER.format(schema=schema))


def _rename(connection: Connection, table: Table, name: str) -> None:
    """With its indexes and its key, whose names the new table's take."""
    inspector = inspect(connection)
    indexes = [str(each["name"]) for each in inspector.get_indexes(table.name)]
    keys = [str(inspector.get_pk_constraint(table.name)["name"])]
    _run(connection, f"ALTER TABLE {table.name} RENAME TO {name}")
    for each in (*indexes, *keys):
        _run(connection, f'ALTER INDEX "{each}" RENAME TO "{each.replace(table.name, name)}"')


def _make(connection: Connection, month: Partition) -> None:
    """A month, with the rows of it that came before it was made."""
    default, by = default_of(month.table), PARTED[month.table]
    _run(connection, f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
    _run(connection, f"CREATE TABLE {month.name} (LIKE {default} INCLUDING ALL)")
    within = f"{by} >= '{month.since}' AND {by} < '{month.until}'"
    moved = f"WITH moved AS (DELETE FROM {default} WHERE {within} RETURNING *)"  # noqa: S608 — names of ours
    _run(connection, f"{moved} INSERT INTO {month.name} SELECT * FROM moved")  # noqa: S608
    _attach(connection, month)


def _attach(connection: Connection, partition: Partition) -> None:
    since = "MINVALUE" if partition.since is None else f"'{partition.since}'"
    bounds = f"FROM ({since}) TO ('{partition.until}')"
    _run(connection, f"ALTER TABLE {partition.table.name} ATTACH PARTITION {partition.name} FOR VALUES {bounds}")


def _drop(connection: Connection, partition: Partition) -> None:
    _run(connection, f"DROP TABLE {partition.name}")


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
