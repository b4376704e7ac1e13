"""Who hears what: the senders of a class, the conditions of a receiver, and the signature that it must have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from blinker import ANY

from omreceiver.errors import DeclarationError

Receiver = Callable[..., Any]
#: asked before a receiver is called
When = Callable[["Sent"], bool]


class Change(NamedTuple):
    """What one attribute held before this message, and what it holds now."""

    old: object
    new: object


@dataclass(frozen=True)
class Sent:
    """What a signal sends to its receivers, and what `when` is asked with."""

    sender: type
    arguments: Mapping[str, Any]

    @property
    def instance(self) -> Any:
        return self.arguments["instance"]

    @property
    def created(self) -> bool:
        return bool(self.arguments["created"])

    @property
    def deleted(self) -> bool:
        return bool(self.arguments["deleted"])

    @property
    def raw(self) -> bool:
        return bool(self.arguments["raw"])

    @property
    def changed(self) -> dict[str, Change]:
        return dict(self.arguments["changed"])


class NotTold:
    """What a conditional receiver returns when its condition does not hold: it has not run."""


NOT_TOLD = NotTold()


class Conditional:
    """A receiver that is called only when one of some fields changed, and when a function says so."""

    def __init__(self, receiver: Receiver, fields: Collection[str] | None, when: When | None) -> None:
        update_wrapper(self, receiver)
        self.__wrapped__ = receiver
        self.fields, self.when = None if fields is None else frozenset(fields), when
        self._attributes: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()

    def __call__(self, sender: Any, **arguments: Any) -> object:
        if self.fields is not None and not self.is_about(sender, arguments["update_fields"]):
            return NOT_TOLD
        if self.when is not None and not self.when(Sent(sender, arguments)):
            return NOT_TOLD
        return self.__wrapped__(sender, **arguments)

    def is_about(self, sender: Any, changed: Collection[str]) -> bool:
        """Whether one of its fields is among these attributes."""
        return self.fields is None or not self._attributes_of(sender, self.fields).isdisjoint(changed)

    def _attributes_of(self, sender: Any, fields: frozenset[str]) -> frozenset[str]:
        """What the class of a record calls the fields, which have Salesforce's names or its own."""
        if sender not in self._attributes:
            named: Callable[[frozenset[str]], frozenset[str]] = getattr(sender, "_attributes_of", frozenset)
            self._attributes[sender] = named(fields)
        return self._attributes[sender]


def is_about(receiver: Receiver, sender: Any, changed: Collection[str]) -> bool:
    """Whether a receiver may be called for a change of these attributes."""
    return receiver.is_about(sender, changed) if isinstance(receiver, Conditional) else True


def fields_of(receiver: Receiver) -> frozenset[str]:
    """The fields that a receiver is about, as it names them; none when it is about all."""
    return receiver.fields or frozenset() if isinstance(receiver, Conditional) else frozenset()


def names_of(sender: Any, *, with_names: bool = True) -> tuple[Any, ...]:
    """What a sender is heard as: itself, the classes above it, and the names of them all."""
    if not isinstance(sender, type):
        return (sender,)
    if not with_names:
        return sender.__mro__
    names = ((each.__name__, f"{each.__module__}.{each.__qualname__}") for each in sender.__mro__)
    return (*sender.__mro__, *(name for both in names for name in both))


def is_heard_as(sender: type, heard: Any) -> bool:
    """Whether who hears `heard`, a class, its name or all, hears a class."""
    return heard is ANY or heard in names_of(sender)


def named(receiver: Receiver) -> str:
    """What a receiver is called where people read of it: its module and its name; those of its class for an object
    that can be called, and those of its function for a functools.partial.
    """
    function = inspect.unwrap(receiver)
    function = function.func if isinstance(function, partial) else function
    known = function if hasattr(function, "__qualname__") else type(function)
    return f"{known.__module__}.{known.__qualname__}"


def check_signature(receiver: Receiver, signal: str, arguments: Collection[str]) -> None:
    """Raises DeclarationError for a receiver that could not be called with what a signal sends, or that would break
    when more is sent.
    """
    try:
        signature = inspect.signature(receiver)
    except (TypeError, ValueError):
        # written in C: nobody knows
        return
    try:
        signature.bind(object(), **dict.fromkeys(arguments))
        problem = None
    except TypeError as error:
        problem = str(error)
    takes_more = any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())
    if problem is None and arguments and not takes_more:
        problem = "it takes no **kwargs, and more arguments may come"
    if problem:
        raise DeclarationError(
            f"{named(receiver)}{signature} cannot hear {signal}: {problem}. "
            f"Write it as `def {getattr(receiver, '__name__', 'on_change')}(sender, instance, **kwargs)`."
        )
