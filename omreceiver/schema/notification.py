"""Message and Notification: what Salesforce sent, as values. No XML, no SQL, no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar


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


class OfNotification(Protocol):
    """What was made of one notification."""

    @property
    def notification(self) -> Notification: ...


Item = TypeVar("Item", bound=OfNotification)


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
    #: of one that was kept here and is played again: gives when a notification came first, by its ID
    came: Callable[[str], datetime] | None = field(default=None, repr=False, compare=False)
    body: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)
    #: the notifications element without its notifications
    head: Callable[[], str] = field(default=str, repr=False, compare=False)

    @property
    def again(self) -> bool:
        """Whether it was kept here and is played again, so that the ledger knows it and lets it pass."""
        return self.came is not None

    def moment(self, notification: Notification) -> datetime:
        """When a notification came: now, unless it is played again."""
        return self.came(notification.id) if self.came else datetime.now(UTC)

    @property
    def sobject(self) -> str | None:
        return next((n.sobject for n in self.notifications if n.sobject), None)

    def in_order(self, items: Iterable[Item]) -> list[Item]:
        """What was made of some of the notifications, in the order in which they stand in the message."""
        found = list(items)
        if len(found) < 2:
            return found
        place = {id(notification): at for at, notification in enumerate(self.notifications)}
        return sorted(found, key=lambda item: place[id(item.notification)])

    def sent_fields(self) -> frozenset[str]:
        """Every field that any notification of this message carries."""
        return frozenset().union(*(n.fields for n in self.notifications))
