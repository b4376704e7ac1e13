"""Signals: Django's words on blinker. What a receiver gets, when it runs, and what happens when it raises.

`pre_save` and `post_save` run inside the transaction of the message, `committed` after its commit. All three send:

    sender         the leaf class of the record
    instance       the record; see each signal for what it may be used for
    created        True when the record is new here
    changed        {attribute: Change(old, new)} of what this message changed; old is None for a new record
    update_fields  the names in `changed`, as a frozenset
    raw            True in a replay of fixtures, as in Django's loaddata
    message        the Message it came with
    session        a SQLAlchemy Session; see each signal

An unchanged, stale or duplicate record sends nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import blinker
from blinker import ANY

from omreceiver.errors import DeclarationError

log = logging.getLogger(__name__)

Receiver = Callable[..., Any]
F = TypeVar("F", bound=Receiver)


class Change(NamedTuple):
    """What one attribute held before this message, and what it holds now."""

    old: object
    new: object


class Signal(blinker.Signal):
    """blinker's signal with what its users expect from Django's.

    Receivers are held strongly and run in the order in which they were connected. A receiver of a class hears its
    subclasses too. `send` lets an exception through; `send_robust` logs it and goes on to the next receiver.
    """

    def __init__(self, name: str, doc: str) -> None:
        super().__init__(doc)
        self.name = name
        self._order: dict[Receiver, int] = {}
        self._uids: dict[tuple[str, object], Receiver] = {}

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = False, *, dispatch_uid: str | None = None) -> F:
        """Connect `receiver` for a class, or for all. The same `dispatch_uid` replaces the receiver before it."""
        if dispatch_uid is not None:
            before = self._uids.pop((dispatch_uid, sender), None)
            if before is not None:
                self.disconnect(before, sender)
            self._uids[dispatch_uid, sender] = receiver
        self._order.setdefault(receiver, len(self._order))
        return super().connect(receiver, sender, weak)

    def receivers_for(self, sender: Any) -> Generator[Receiver, None, None]:
        """Those for the sender's class, for any class above it, and for all, in order of connection."""
        heard = sender.__mro__ if isinstance(sender, type) else (sender,)
        found = {receiver for each in heard for receiver in super(Signal, self).receivers_for(each)}
        yield from sorted(found, key=self._order.__getitem__)

    def has_receivers_for(self, sender: Any) -> bool:
        return bool(self.receivers) and not self.is_muted and any(True for _ in self.receivers_for(sender))

    def send_robust(self, sender: Any, **arguments: Any) -> list[tuple[Receiver, object]]:
        """Call every receiver; one that raises is logged, and its exception stands in for its result."""
        return [(receiver, self.call_robust(receiver, sender, arguments)) for receiver in self.heard_by(sender)]

    def heard_by(self, sender: Any) -> list[Receiver]:
        """The receivers that a send would call now: none while the signal is muted."""
        return [] if self.is_muted else list(self.receivers_for(sender))

    def call_robust(self, receiver: Receiver, sender: Any, arguments: Mapping[str, Any]) -> object:
        """Call one receiver; what it raises is logged and given back."""
        try:
            return receiver(sender, **arguments)
        except Exception as error:
            name = getattr(receiver, "__qualname__", repr(receiver))
            log.exception("the %s receiver %s raised", self.name, name, extra={"action": "receiver_raised"})
            return error


pre_save = Signal(
    "pre_save",
    """Before a record is written, inside the transaction.

    `instance` is a transient object with the values about to be written; what a receiver sets on it is written
    with them. Raise to keep the record out: its notification goes to quarantine, its neighbours are stored.
    """,
)

post_save = Signal(
    "post_save",
    """After a record is written, inside the transaction.

    `instance` is loaded in `session`: set its attributes, add others, query; all of it commits or rolls back with
    the record. A receiver that raises sends the notification to quarantine. A message may be tried again after a
    deadlock or a raise, so what must not happen twice belongs into `committed`.
    """,
)

committed = Signal(
    "committed",
    """After the commit, robustly: a receiver that raises is logged and stops nobody.

    `instance` is loaded and detached. `session` is a fresh one for each receiver, committed when
    it returns and rolled back when it raises.
    """,
)

reference_resolved = Signal(
    "reference_resolved",
    """After the commit, robustly as `committed`: a record arrived that another one's reference named already.

    `sender` and `instance` are the record that waited, loaded and detached; `reference` is the attribute, "who";
    `target` is the record that arrived; `raw`, `message` and `session` as in `committed`.
    """,
)

SAVES = (pre_save, post_save, committed)


class Durable:
    """Receivers of `committed` that another process calls: an event is written with the record and kept until one
    of them, known by its name, has returned. Delivery is at least once; `omreceiver relay` delivers.
    """

    def __init__(self) -> None:
        self._receivers: dict[str, tuple[Any, Receiver]] = {}

    def connect(self, name: str, receiver: Receiver, sender: Any = ANY) -> None:
        """Connect a receiver under a name that stays the same from release to release."""
        known = self._receivers.get(name)
        if known is not None and known[1].__qualname__ != receiver.__qualname__:
            raise DeclarationError(f"Two durable receivers are named {name!r}; a name is for one.")
        self._receivers[name] = (sender, receiver)

    def disconnect(self, name: str) -> None:
        self._receivers.pop(name, None)

    def names_for(self, sender: type) -> list[str]:
        """The names of those that hear a class, in order of connection."""
        return [name for name, (heard, _) in self._receivers.items() if heard is ANY or issubclass(sender, heard)]

    def named(self, name: str) -> Receiver | None:
        return self._receivers[name][1] if name in self._receivers else None

    def names(self) -> list[str]:
        return list(self._receivers)


durable_receivers = Durable()


def receiver(
    signal: Signal | list[Signal],
    *,
    sender: type | list[type] | None = None,
    dispatch_uid: str | None = None,
    durable: str | None = None,
) -> Callable[[F], F]:
    """Connect the decorated function to one or more signals, as django.dispatch.receiver does.

    `sender` is a class, or several; its subclasses are heard too. Without it every class is heard.
    `durable="erp"`, on `committed` for one class or all, has `omreceiver relay` call it, again until it returns.
    """
    if durable is not None:
        return _durable(signal, sender, durable)
    signals = signal if isinstance(signal, list) else [signal]
    senders = sender if isinstance(sender, list) else [ANY if sender is None else sender]

    def connect(function: F) -> F:
        for each in signals:
            for heard in senders:
                each.connect(function, heard, dispatch_uid=dispatch_uid)
        return function

    return connect


def _durable(signal: Signal | list[Signal], sender: type | list[type] | None, name: str) -> Callable[[F], F]:
    if signal is not committed or isinstance(sender, list):
        raise DeclarationError(f"The durable receiver {name!r} must hear `committed`, of one class or of all.")

    def connect(function: F) -> F:
        durable_receivers.connect(name, function, ANY if sender is None else sender)
        return function

    return connect


@contextmanager
def recording(*signals: Signal) -> Iterator[list[tuple[Signal, Any, dict[str, Any]]]]:
    """Collect (signal, sender, arguments) of everything sent inside the block. For tests."""
    sent: list[tuple[Signal, Any, dict[str, Any]]] = []

    def listener(signal: Signal) -> Receiver:
        return lambda sender, **arguments: sent.append((signal, sender, arguments))

    connected = [(signal, signal.connect(listener(signal))) for signal in signals]
    try:
        yield sent
    finally:
        for signal, function in connected:
            signal.disconnect(function)
