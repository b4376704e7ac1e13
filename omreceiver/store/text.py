"""Text of any origin, as every database takes it: PostgreSQL has no NUL, and none has half a surrogate pair."""

from __future__ import annotations

from omreceiver.records.prefixes import LONGEST_NAME

LONGEST_ID = 18


def short_id(record_id: str | None) -> str | None:
    """A record ID can be anything before it is read."""
    return record_id[:LONGEST_ID] if record_id else None


def short_name(sobject: str | None) -> str | None:
    """So can the name of an sObject that no class takes."""
    return sobject[:LONGEST_NAME] if sobject else None


def storable(text: str) -> str:
    """What an exception says, with what cannot be stored written out: it may quote bytes that are no text."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
