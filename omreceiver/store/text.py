"""Text of any origin, as every database takes it: PostgreSQL has no NUL, and none has half a surrogate pair."""

from __future__ import annotations


def storable(text: str) -> str:
    """What an exception says, with what cannot be stored written out: it may quote bytes that are no text."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
