"""Learns key prefixes from the messages that arrive and from describes, each once for the life of a process."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, insert, select

from omreceiver.records.ids import ID
from omreceiver.records.prefixes import LENGTH, LONGEST_NAME, key_prefix
from omreceiver.schema.notification import Message
from omreceiver.store.deadline import Deadline, persist

#: (prefix, sObject)
Pair = tuple[str, str]


@dataclass(frozen=True)
class KeyPrefixes:
    """What this process knows to be in om_key_prefix."""

    engine: Engine
    known: set[Pair] = field(default_factory=set)

    def learn(self, message: Message, deadline: Deadline) -> None:
        """Remember the prefixes of a message's records. Raises Unavailable when the database is away."""
        if new := _pairs(message, self.known):
            # another process may learn the same in the same moment: the next attempt finds what that one added
            persist(self.engine, deadline, lambda connection: remember(connection, new))
            self.known.update(new)


def _pairs(message: Message, known: Set[Pair]) -> set[Pair]:
    """Those of a message that are new; nothing else of it is looked at."""
    named = ((n.record_id or "", n.sobject or "") for n in message.notifications)
    new = [(i, sobject) for i, sobject in named if (i[:LENGTH], sobject) not in known]
    return {(i[:LENGTH], sobject) for i, sobject in new if 0 < len(sobject) <= LONGEST_NAME and ID.fullmatch(i)}


def remember(connection: Connection, pairs: Iterable[Pair]) -> None:
    """Add what is not there. Raises IntegrityError when somebody else adds it in the same moment."""
    wanted = set(pairs)
    if not wanted:
        return
    there = {(row.prefix, row.sobject) for row in connection.execute(select(key_prefix))}
    if missing := sorted(wanted - there):
        connection.execute(insert(key_prefix), [{"prefix": prefix, "sobject": sobject} for prefix, sobject in missing])
