"""Signal: blinker's, with what its users expect from Django's."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Mapping
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import blinker
from blinker import ANY
from blinker.base import ANY_ID

from omreceiver.signals.listening import (
    NOT_TOLD,
    Conditional,
    Receiver,
    check_signature,
    fields_of,
    is_about,
    named,
    names_of,
)
from omreceiver.signals.running import call

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Receiver)


class Signal(blinker.Signal):
    """blinker's signal with what its users expect from Django's.

    Receivers are held strongly and run in the order in which they were connected. A receiver of a class hears its
    subclasses too; a class may be given by its name, "Account" or "crm.models.Account", before it is there. `send` lets
    an exception through; `send_robust` logs it and goes on to the next receiver.
    """

    def __init__(self, name: str, doc: str, arguments: Collection[str] = ()) -> None:
        super().__init__(doc)
        self.name = name
        #: the names of what is sent beside the sender
        self.arguments = frozenset(arguments)
        self._numbers = count()
        self._order: dict[Receiver, int] = {}
        self._uids: dict[tuple[str, object], Receiver] = {}
        self._is_heard_by_name = False
        #: class → who hears it, until the next receiver is connected or disconnected
        self._heard: WeakKeyDictionary[type, tuple[Receiver, ...]] = WeakKeyDictionary()

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = False, *, dispatch_uid: str | None = None) -> F:
        """Connect `receiver` for a class or its name, or for all. The same `dispatch_uid` replaces the receiver before
        it. Raises DeclarationError for a receiver that could not be called.
        """
        check_signature(receiver, self.name, self.arguments)
        if dispatch_uid is not None:
            before = self._uids.pop((dispatch_uid, sender), None)
            if before is not None:
                self._let_go(before, sender)
            self._uids[dispatch_uid, sender] = receiver
        self._order.setdefault(receiver, next(self._numbers))
        self._is_heard_by_name |= isinstance(sender, str)
        connected = super().connect(receiver, sender, weak)
        self._heard = WeakKeyDictionary()
        return connected

    def disconnect(self, receiver: Receiver, sender: Any = ANY) -> None:
        """Disconnect a receiver, under whatever condition it is connected; from all senders if none is given."""
        for each in list(self.receivers.values()):
            if receiver == each or (isinstance(each, Conditional) and receiver == each.__wrapped__):
                super().disconnect(each, sender)
                self._forget(each)

    def _let_go(self, receiver: Receiver, sender: Any) -> None:
        """Disconnect from one sender only; blinker takes ANY for all of them."""
        if sender is ANY:
            for number in [number for number, each in self.receivers.items() if each == receiver]:
                self._by_sender[ANY_ID].discard(number)
                self._by_receiver[number].discard(ANY_ID)
        else:
            super().disconnect(receiver, sender)
        self._forget(receiver)

    def _forget(self, receiver: Receiver) -> None:
        """Know anew who hears whom, and hold nothing of a receiver that hears nobody any more."""
        self._heard = WeakKeyDictionary()
        for number in [number for number, each in self.receivers.items() if each == receiver]:
            if self._by_receiver.get(number):
                return
            del self.receivers[number]
        self._order.pop(receiver, None)
        self._uids = {key: each for key, each in self._uids.items() if each != receiver}

    @property
    def names_heard(self) -> set[str]:
        """The names by which receivers wait for classes."""
        return {sender for sender, receivers in self._by_sender.items() if isinstance(sender, str) and receivers}

    @property
    def fields_heard(self) -> set[str]:
        """The names of the fields that some receivers are about."""
        return {name for each in self.receivers.values() for name in fields_of(each)}

    def receivers_for(self, sender: Any) -> Generator[Receiver, None, None]:
        """Those for the sender's class, for any class above it, and for all, in order of connection."""
        heard = names_of(sender, with_names=self._is_heard_by_name)
        found = {receiver for each in heard for receiver in super(Signal, self).receivers_for(each)}
        yield from sorted(found, key=self._order.__getitem__)

    def heard_by(self, sender: Any) -> tuple[Receiver, ...]:
        """The receivers that a send would ask now: none while the signal is muted."""
        if not self.receivers or self.is_muted:
            return ()
        if not isinstance(sender, type):
            return tuple(self.receivers_for(sender))
        # who is found while another thread connects one is forgotten with the mapping that was there before
        known = self._heard
        if sender not in known:
            known[sender] = tuple(self.receivers_for(sender))
        return known[sender]

    def has_receivers_for(self, sender: Any) -> bool:
        return bool(self.heard_by(sender))

    def is_heard(self, sender: Any, changed: Collection[str]) -> bool:
        """Whether a send for a change of these attributes may call anybody."""
        return any(is_about(receiver, sender, changed) for receiver in self.heard_by(sender))

    def send(self, sender: Any = None, /, **arguments: Any) -> list[tuple[Receiver, object]]:
        """Call every receiver whose condition holds; what it raises goes through."""
        results = [(receiver, self.call(receiver, sender, arguments)) for receiver in self.heard_by(sender)]
        return [(receiver, result) for receiver, result in results if result is not NOT_TOLD]

    def send_robust(self, sender: Any, **arguments: Any) -> list[tuple[Receiver, object]]:
        """The same; one that raises is logged, and its exception stands in for its result."""
        results = [(receiver, self.call_robust(receiver, sender, arguments)) for receiver in self.heard_by(sender)]
        return [(receiver, result) for receiver, result in results if result is not NOT_TOLD]

    def call(
        self, receiver: Receiver, sender: Any, arguments: Mapping[str, Any], slow: timedelta | None = None
    ) -> object:
        """Call one receiver and wait for it; NOT_TOLD when its condition does not hold."""
        return call(self.name, receiver, sender, arguments, slow)

    def call_robust(
        self, receiver: Receiver, sender: Any, arguments: Mapping[str, Any], slow: timedelta | None = None
    ) -> object:
        """The same; what it raises is logged and given back."""
        try:
            return self.call(receiver, sender, arguments, slow)
        except Exception as error:
            log.exception("the %s receiver %s raised", self.name, named(receiver), extra={"action": "receiver_raised"})
            return error
