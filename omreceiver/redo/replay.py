"""Stores messages again whose bodies are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from omreceiver.door import message
from omreceiver.errors import Refusal
from omreceiver.receive import Parts, receive
from omreceiver.redo.named import Named
from omreceiver.schema.notification import Notification
from omreceiver.schema.wsdl import OUTBOUND, safe_parser
from omreceiver.store import kept, quarantine
from omreceiver.store.apply import Receipt
from omreceiver.store.kept import Kept

NOTIFICATION = f"{{{OUTBOUND}}}Notification"
ID_LENGTH = 15


@dataclass(frozen=True)
class Selection:
    """Which kept messages, and of them which notifications: those that meet every condition. Without one, all."""

    #: numbers of messages; IDs of notifications or of records, of 15 or 18 characters. Any of them
    ids: tuple[str, ...] = ()
    #: ActionIds, of 15 or 18 characters. Any of them
    actions: tuple[str, ...] = ()
    #: names of sObjects or of mapped classes. Any of them
    classes: tuple[str, ...] = ()
    #: when they came: from a time on, and before another
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Chosen:
    """What a selection found, without having read it."""

    #: of messages, in the order in which they came
    numbers: tuple[int, ...]
    #: message → its notifications that are meant, where that is not all
    only: Mapping[int, Set[str]] = field(default_factory=dict)
    #: the IDs of the selection that no kept message has
    unknown: tuple[str, ...] = ()
    named: tuple[Named, ...] = ()
    #: (organization, notification) of those that stay out in any case
    held_back: Set[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Redone:
    """What became of one kept message: a receipt, or why it is not let in any more."""

    kept: Kept
    receipt: Receipt | None = None
    refusal: Refusal | None = None

    @property
    def outcomes(self) -> Mapping[str, str]:
        """Notification ID → outcome."""
        return self.receipt.outcomes if self.receipt else {}


def replay_kept(parts: Parts, selection: Selection | None = None, *, raw: bool = True) -> list[Redone]:
    """Store kept messages again, in the order in which they came, and tell what became of each.

        replay_kept(parts_of(app), Selection(classes=("Account",), since=datetime(2026, 11, 20, tzinfo=UTC)))

    Nothing of it is a duplicate; what is fresher here stays; what changes sends signals, with `raw` as given. What
    was dropped from quarantine stays out. Raises ValueError for an ID that is none.
    """
    return list(replaying_kept(parts, choose(parts, selection or Selection()), raw=raw))


def choose(parts: Parts, selection: Selection) -> Chosen:
    """Find the kept messages of a selection. Raises ValueError for an ID that is none."""
    named = tuple(Named(parts.models, name) for name in selection.classes)
    numbers = kept.numbers(
        parts.engine,
        actions=selection.actions,
        sobjects=frozenset[str]().union(*(each.sobjects for each in named)),
        since=selection.since,
        until=selection.until,
    )
    dropped = quarantine.held_back(parts.engine, is_open=False)
    if not selection.ids:
        return Chosen(tuple(numbers), named=named, held_back=dropped)
    there = set(numbers)
    meant = {each: [pair for pair in _meant(parts, each) if pair[0] in there] for each in selection.ids}
    unknown = tuple(each for each, pairs in meant.items() if not pairs)
    whole, only = _parted([pair for pairs in meant.values() for pair in pairs])
    return Chosen(tuple(sorted(whole | only.keys())), only, unknown, named, dropped)


def _meant(parts: Parts, each: str) -> Sequence[tuple[int, str | None]]:
    """(message, notification or None for all of it) that an ID of a selection means. IDs are longer than numbers."""
    if each.isdecimal() and len(each) < ID_LENGTH:
        return [(int(each), None)]
    return kept.holding(parts.engine, each)


def _parted(pairs: Sequence[tuple[int, str | None]]) -> tuple[set[int], dict[int, set[str]]]:
    """The messages that are meant as a whole, and of the others the notifications."""
    whole = {number for number, notification in pairs if notification is None}
    only: dict[int, set[str]] = {}
    for number, notification in pairs:
        if notification is not None and number not in whole:
            only.setdefault(number, set()).add(notification)
    return whole, only


def replaying_kept(parts: Parts, chosen: Chosen, *, raw: bool = True) -> Iterator[Redone]:
    """As `replay_kept`, one by one, for who wants to show progress. Raises Unavailable when the database is away."""
    for each, element in elements(parts, chosen):
        try:
            yield Redone(each, receive(parts, element, each.wsdl, raw, each.came))
        except Refusal as error:
            yield Redone(each, refusal=error)


def elements(parts: Parts, chosen: Chosen) -> Iterator[tuple[Kept, etree._Element]]:
    """The chosen messages that hold a notification that is meant, each with its element, which holds no other."""
    for each in kept.read(parts.engine, chosen.numbers):
        element = etree.fromstring(each.body, safe_parser())
        sobject = parts.catalog.sobject_of(each.wsdl)
        if chosen.named or chosen.held_back or each.number in chosen.only:
            for child in element.findall(NOTIFICATION):
                if not _is_meant(chosen, each, message.read_notification(child, sobject)):
                    element.remove(child)
        if element.find(NOTIFICATION) is not None:
            yield each, element


def _is_meant(chosen: Chosen, each: Kept, notification: Notification) -> bool:
    if (each.organization_id, notification.id) in chosen.held_back:
        return False
    if notification.id not in chosen.only.get(each.number, (notification.id,)):
        return False
    return not chosen.named or any(named.has(notification) for named in chosen.named)
