"""Builds the records anew from kept messages, beside the tables, and finds what differs.

The messages go through all stages into a scratch. Receivers do not run: every signal of this process is muted while
messages are played, so it had better not be one that serves. What is in quarantine or was dropped stays out.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from omreceiver import signals
from omreceiver.errors import Refusal
from omreceiver.receive import Parts, receive
from omreceiver.redo.replay import Chosen, elements
from omreceiver.store import kept, quarantine
from omreceiver.store.apply import Receipt
from omreceiver.store.comparing import Comparison, Sides
from omreceiver.store.database import for_writing
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.insist import insist
from omreceiver.store.kept import full
from omreceiver.store.mend import mend
from omreceiver.store.plan import Outcome
from omreceiver.store.prefixes import KeyPrefixes
from omreceiver.store.scratch import scratch

#: of looking for messages that have come while others were played
ROUNDS = 3


@dataclass
class Rebuild:
    """A rebuild on its way: play the messages, compare, write."""

    parts: Parts
    #: the same on the scratch
    beside: Parts
    started: datetime
    #: the numbers of the last messages before it
    before: Set[int]
    #: the numbers of the messages that were played
    played: set[int] = field(default_factory=set)
    #: Salesforce ID → the fields that its messages select
    fields: dict[str, frozenset[str]] = field(default_factory=dict)
    #: notifications that cannot be stored, or may not enter, any more
    lost: int = 0

    @property
    def total(self) -> int:
        """How many messages are kept."""
        return len(kept.numbers(self.parts.engine))

    def play(self) -> Iterator[int]:
        """Play every kept message, and those that come meanwhile, and give the number of each. Raises Unavailable.

        What comes even later names records that the comparison leaves alone.
        """
        held_back = quarantine.held_back(self.parts.engine, is_open=True)
        with muted():
            for _ in range(ROUNDS):
                numbers = [number for number in kept.numbers(self.parts.engine) if number not in self.played]
                self.played.update(numbers)
                for each, element in elements(self.parts, Chosen(tuple(numbers), held_back=held_back)):
                    try:
                        self._note(receive(self.beside, element, each.wsdl, True, each.came))
                    except Refusal:
                        self.lost += 1
                    yield each.number

    def compare(self) -> Comparison:
        """What differs between the messages and the tables. It changes nothing."""
        with self.beside.engine.connect() as rebuilt, self.parts.engine.connect() as real:
            return Sides(rebuilt, real, self.parts.models, self.fields).compare(self._newer)

    def write(self, found: Comparison) -> Comparison:
        """Bring the tables to what was found, in one transaction; gives what was written, as some may have become
        fresher since. Raises Unavailable when it does not fit between the messages that arrive.
        """
        only = {each.salesforce_id for each in found.differences}
        return insist(lambda: self._write(only), "The tables cannot be written")

    def _write(self, only: set[str]) -> Comparison:
        with self.beside.engine.connect() as rebuilt, for_writing(self.parts.engine).begin() as real:
            found = Sides(rebuilt, real, self.parts.models, self.fields, only).compare(self._newer)
            mend(real, found.differences, self.parts.models)
            return found

    def _newer(self) -> set[str]:
        return kept.named_since(self.parts.engine, self.started, self.before | self.played)

    def _note(self, receipt: Receipt) -> None:
        """Which fields its message tells of each record."""
        told = receipt.selected
        for settled in receipt.settled:
            if settled.outcome is Outcome.QUARANTINED:
                self.lost += 1
                continue
            record_id = full(settled.notification.record_id or "")
            known = self.fields.get(record_id, told)
            self.fields[record_id] = known if told <= known else known | told


@contextmanager
def rebuilding(parts: Parts) -> Iterator[Rebuild]:
    """A rebuild, whose scratch is gone in the end."""
    started = datetime.now(UTC)
    with scratch(parts.engine, parts.models) as engine:
        yield Rebuild(parts, _beside(parts, engine), started, kept.recent(parts.engine, started))


def rebuild(parts: Parts, *, write: bool = False) -> Comparison:
    """Build the records anew from kept messages, and give what differs from the tables, or with `write` what was
    written to them.

    For a process that does not serve: all signals are muted meanwhile.
    """
    with rebuilding(parts) as rebuilt:
        for _ in rebuilt.play():
            pass
        found = rebuilt.compare()
        return rebuilt.write(found) if write and found.differences else found


def _beside(parts: Parts, engine: Engine) -> Parts:
    settings = replace(parts.settings, keep_messages=timedelta())
    lists, prefixes = FieldLists(parts.catalog, settings, engine), KeyPrefixes(engine)
    return replace(parts, settings=settings, engine=engine, field_lists=lists, key_prefixes=prefixes)


@contextmanager
def muted() -> Iterator[None]:
    """Nobody hears anything."""
    with ExitStack() as stack:
        for each in (*signals.OF_RECORDS, *signals.OF_MESSAGES):
            stack.enter_context(each.muted())
        yield
