"""@receiver: connects a function to signals, as django.dispatch.receiver does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from blinker import ANY

from omreceiver.errors import DeclarationError
from omreceiver.signals import committed, message_received, notification_quarantined
from omreceiver.signals.durable import Via, durable_receivers
from omreceiver.signals.listening import Conditional, Receiver, When, named
from omreceiver.signals.signal import Signal

F = TypeVar("F", bound=Receiver)
#: a class, or its name: "Account", or "crm.models.Account" where there are two
Sender = type | str
#: signals whose senders are the names of sObjects
NAMED_SENDERS = (message_received, notification_quarantined)
Senders = Sender | Sequence[Sender] | None


def receiver(
    signal: Signal | Sequence[Signal],
    *,
    sender: Senders = None,
    dispatch_uid: str | None = None,
    fields: Collection[str] | None = None,
    when: When | None = None,
    durable: str | None = None,
    via: str | None = None,
) -> Callable[[F], F]:
    """Connect the decorated function to one or more signals, as django.dispatch.receiver does.

    `sender` is a class, its name, or several; its subclasses are heard too. Without it every class is heard.
    `fields={"Name", "tier"}` has it called only when one of these changed; they are named as in Salesforce or as
    attributes. `when` is asked before each call, with what is sent: `when=lambda sent: sent.created`.
    `durable="erp"`, on `committed` for one class or all, has `omreceiver relay` call it, again until it returns; with
    `via="celery"` a Celery worker does.

    Raises DeclarationError when the function could not be called with what the signal sends.
    """
    signals = [signal] if isinstance(signal, Signal) else list(signal)
    senders = [sender] if isinstance(sender, Sender) or sender is None else list(sender)
    if isinstance(fields, str):
        raise DeclarationError(f"fields={fields!r} is one text; write fields={{{fields!r}}}.")
    for each in signals:
        if fields is not None and "update_fields" not in each.arguments:
            raise DeclarationError(f"{each.name} tells of no fields; use `when`, or leave `fields` out.")
        if each in NAMED_SENDERS and any(isinstance(heard, type) for heard in senders):
            raise DeclarationError(f"The sender of {each.name} is the name of an sObject; write sender='Account'.")
    if when is not None and inspect.iscoroutinefunction(when):
        raise DeclarationError(f"{named(when)} is async; `when` is asked before each call and must answer at once.")
    if via is not None and durable is None:
        raise DeclarationError(f'via={via!r} is for a durable receiver; give it a name with durable="…".')
    if durable is not None and (signals != [committed] or len(senders) > 1):
        raise DeclarationError(f"The durable receiver {durable!r} must hear `committed`, of one class or of all.")

    def connect(function: F) -> F:
        heard: Any = function if fields is None and when is None else Conditional(function, fields, when)
        for each in senders:
            of = ANY if each is None else each
            if durable is not None:
                durable_receivers.connect(durable, heard, of, via or Via.RELAY)
            else:
                for one in signals:
                    one.connect(heard, of, dispatch_uid=dispatch_uid)
        return function

    return connect
