"""What somebody means who gives an ID: a notification, a record, its external ID, or the number of a message."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from omreceiver.admin import history, records
from omreceiver.admin.history import LIMIT, Lines, MessageLine, NotificationLine
from omreceiver.admin.records import RecordLine, TombstoneLine
from omreceiver.records.fields import KEY_LENGTH
from omreceiver.records.ids import ID, to18
from omreceiver.records.models import Models

#: the largest number that a column of ours holds
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class RecordStory:
    """One record: where it is now, whether it was deleted, and what has been told of it, newest first."""

    record_id: str
    places: list[RecordLine]
    tombstones: list[TombstoneLine]
    told: Lines

    @property
    def is_known(self) -> bool:
        return bool(self.places or self.tombstones or self.told.lines)


@dataclass(frozen=True)
class Found:
    """Everything that an ID stands for; usually one thing."""

    notifications: tuple[NotificationLine, ...] = ()
    #: the Salesforce IDs of records
    record_ids: tuple[str, ...] = ()
    message: MessageLine | None = None
    #: where these records are, if it is their external ID, which is looked for last
    by_key: tuple[RecordLine, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.notifications or self.record_ids or self.message)


def find(connection: Connection, models: Models, text: str) -> Found:
    """What an ID stands for, as a person would paste it."""
    wanted = text.strip()
    if not _can_be_asked(wanted):
        return Found()
    found = notifications(connection, wanted)
    if found:
        return Found(notifications=tuple(found))
    if record(connection, models, wanted, limit=1).is_known:
        return Found(record_ids=(_in_18(wanted),))
    message = history.message(connection, number) if (number := number_in(wanted)) is not None else None
    places = tuple(records.by_key(connection, models, wanted))
    ids = tuple(dict.fromkeys(place.salesforce_id for place in places))
    return Found(record_ids=ids, message=message, by_key=places)


def notifications(connection: Connection, text: str) -> list[NotificationLine]:
    """The notifications of an ID in 15 or 18 characters, or of the `#…` that stands for one."""
    return history.notifications(connection, _in_18(text)) if _can_be_asked(text) else []


def record(connection: Connection, models: Models, text: str, limit: int | None = LIMIT, skip: int = 0) -> RecordStory:
    """Everything that is known of a Salesforce ID; a message may have named it in 15 characters."""
    if not _can_be_asked(text):
        return RecordStory(text, [], [], Lines())
    ids = sorted({text, _in_18(text), text[:15]}) if ID.fullmatch(text) else [text]
    return RecordStory(
        record_id=_in_18(text),
        places=records.by_id(connection, models, ids) if ID.fullmatch(text) else [],
        tombstones=records.tombstones(connection, ids),
        told=history.of_record(connection, ids, limit, skip),
    )


def number_in(text: str) -> int | None:
    """A number that a message or an entry of quarantine may have."""
    return int(text) if text.isascii() and text.isdecimal() and int(text) <= LARGEST else None


def _can_be_asked(text: str) -> bool:
    """What no ID is and what a database would not take: nothing, a NUL, half of a character, a whole book."""
    is_text = not any(letter == "\x00" or "\ud800" <= letter <= "\udfff" for letter in text)
    return 0 < len(text) <= KEY_LENGTH and is_text


def _in_18(text: str) -> str:
    return to18(text) if ID.fullmatch(text) else text
