"""Durable receivers: another process calls them, by name, until they have returned."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, NamedTuple

from blinker import ANY

from omreceiver.errors import DeclarationError
from omreceiver.signals import committed
from omreceiver.signals.listening import Receiver, check_signature, fields_of, is_about, is_heard_as, named

LONGEST_NAME = 80
#: what they get beside the arguments of `committed`
OF_EVENTS = ("event_id", "event_at", "key", "salesforce_id")


class Via(StrEnum):
    """Who calls a durable receiver."""

    #: `omreceiver relay`, or the web process where OMRECEIVER_RELAY=inline
    RELAY = "relay"
    #: a Celery worker, which is told by the relay
    CELERY = "celery"
    #: nobody: a listener of relays.notify takes its events
    NOTIFY = "notify"


class Connected(NamedTuple):
    """A durable receiver, for a class, its name, or all."""

    sender: Any
    receiver: Receiver
    via: Via


class Durable:
    """Receivers of `committed` that another process calls: an event is written with the record and kept until one
    of them, known by its name, has returned. Delivery is at least once; `omreceiver relay` delivers.
    """

    name = "durable"

    def __init__(self) -> None:
        self._receivers: dict[str, Connected] = {}

    def connect(self, name: str, receiver: Receiver, sender: Any = ANY, via: str = Via.RELAY) -> None:
        """Connect a receiver under a name that stays the same from release to release, for a class or its name, or for
        all. Raises DeclarationError for a name that another one has, and for a receiver that could not be called.
        """
        if not 0 < len(name) <= LONGEST_NAME:
            raise DeclarationError(
                f"{name!r} is no name for a durable receiver: it must have 1 to {LONGEST_NAME} letters."
            )
        if via not in list(Via):
            raise DeclarationError(f"via={via!r} of the durable receiver {name!r} is none of {', '.join(Via)}.")
        known = self._receivers.get(name)
        if known is not None and named(known.receiver) != named(receiver):
            both = f"{named(known.receiver)} and {named(receiver)}"
            raise DeclarationError(f"Two durable receivers are named {name!r}, {both}; a name is for one.")
        check_signature(receiver, committed.name, committed.arguments.union(OF_EVENTS))
        self._receivers[name] = Connected(sender, receiver, Via(via))

    def disconnect(self, name: str) -> None:
        self._receivers.pop(name, None)

    def names_for(self, sender: type, changed: Collection[str]) -> list[str]:
        """The names of those that hear a change of these attributes of a class, in order of connection."""
        heard = [(name, each.receiver) for name, each in self._receivers.items() if is_heard_as(sender, each.sender)]
        return [name for name, receiver in heard if is_about(receiver, sender, changed)]

    def named(self, name: str) -> Connected | None:
        return self._receivers.get(name)

    def names(self, *via: Via) -> list[str]:
        """Of those that are called in one of these ways, or of all."""
        return [name for name, each in self._receivers.items() if not via or each.via in via]

    @property
    def names_heard(self) -> set[str]:
        """The names by which they wait for classes."""
        return {each.sender for each in self._receivers.values() if isinstance(each.sender, str)}

    @property
    def fields_heard(self) -> set[str]:
        """The names of the fields that some of them are about."""
        return {name for each in self._receivers.values() for name in fields_of(each.receiver)}


durable_receivers = Durable()
