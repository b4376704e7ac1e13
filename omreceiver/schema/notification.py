"""Message and Notification: what Salesforce sent, as values. No XML, no SQL, no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Notification:
    """One changed record inside a message.

    `fields` maps API names to texts; None is xsi:nil. A field that is absent from it was not on the wire.
    `fragment` gives the notification's own XML, for quarantine; it is made only when asked for.
    """

    id: str
    sobject: str | None
    record_id: str | None
    fields: Mapping[str, str | None]
    fragment: Callable[[], str] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One SOAP request: one organization, one action, one sObject type, one or more notifications.

    There is no SessionId here, nor in what `body` gives: it ends at the door.
    """

    organization_id: str
    action_id: str
    notifications: tuple[Notification, ...]
    #: the stem of the WSDL whose own URL the message came to
    wsdl: str | None = None
    #: true in a replay of fixtures, as in Django's loaddata
    raw: bool = False
    body: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)

    @property
    def sobject(self) -> str | None:
        return next((n.sobject for n in self.notifications if n.sobject), None)

    def sent_fields(self) -> frozenset[str]:
        """Every field that any notification of this message carries."""
        return frozenset().union(*(n.fields for n in self.notifications))
