"""Key prefixes: the first three characters of an ID tell its sObject, unless several sObjects share them.

"A key prefix can sometimes be shared by multiple objects so it does not always uniquely identify an object"
(describeSObjects(), SOAP API guide). What is known comes from describes and from the messages that arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Column, ColumnElement, MetaData, Table, func, literal, select
from sqlalchemy.orm import Session

from omreceiver.records.columns import CHARSET, ExactString

LENGTH = 3
#: letters of an sObject's name that its columns hold; Salesforce's are shorter by far
LONGEST_NAME = 80
KNOWN = "omreceiver_key_prefixes"

#: of all om_ tables; the others are in store/tables.py
metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"})

#: one row a prefix and sObject that were seen together
key_prefix = Table(
    "om_key_prefix",
    metadata,
    Column("prefix", ExactString(LENGTH), primary_key=True),
    Column("sobject", ExactString(LONGEST_NAME), primary_key=True),
    **CHARSET,
)


def sobject_of(session: Session, record_id: str, targets: Collection[str]) -> str | None:
    """The sObject of an ID by its prefix alone; None when the prefix is new, or shared by several of the targets.

    What the session has read it keeps; for a prefix that is not there it looks again in the next transaction.
    """
    prefix = record_id[:LENGTH]
    transaction, known = session.info.get(KNOWN, (None, {}))
    if prefix not in known and (transaction is None or transaction is not session.get_transaction()):
        known = {}
        for row in session.execute(select(key_prefix)):
            known.setdefault(row.prefix, set()).add(row.sobject)
        session.info[KNOWN] = (session.get_transaction(), known)
    return _only(known.get(prefix, set()), targets)


def _only(sobjects: set[str], targets: Iterable[str]) -> str | None:
    """Of several sObjects with one prefix the reference can hold only its targets."""
    candidates = sobjects.intersection(targets) or sobjects
    return next(iter(candidates)) if len(candidates) == 1 else None


def sobject_by_prefix(record_id: ColumnElement[str], targets: Collection[str]) -> ColumnElement[str]:
    """The same in a query, for the ID in a column."""
    here = key_prefix.alias()
    fitting = here.c.prefix == func.substr(record_id, 1, LENGTH)

    def only(*conditions: ColumnElement[bool]) -> ColumnElement[str]:
        found = select(func.min(here.c.sobject)).where(fitting, *conditions).having(func.count() == literal(1))
        return found.correlate_except(here).scalar_subquery()

    return func.coalesce(only(here.c.sobject.in_(sorted(targets))), only())
