"""Recorder: what signals were sent, in order, for assertions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from omreceiver.signals import SAVES, Change, Signal, recording


@dataclass(frozen=True)
class Sent:
    """One signal that was sent."""

    signal: str
    sender: type
    arguments: dict[str, Any]

    @property
    def instance(self) -> Any:
        return self.arguments["instance"]

    @property
    def created(self) -> bool:
        return bool(self.arguments["created"])

    @property
    def changed(self) -> dict[str, Change]:
        return dict(self.arguments["changed"])


class Recorder:
    """Reads like a list of what was sent; `signals.of(post_save)` gives those of one signal."""

    def __init__(self, sent: list[tuple[Signal, Any, dict[str, Any]]]) -> None:
        self._sent = sent

    def __iter__(self) -> Iterator[Sent]:
        return (Sent(signal.name, sender, arguments) for signal, sender, arguments in list(self._sent))

    def __len__(self) -> int:
        return len(self._sent)

    def of(self, signal: Signal) -> list[Sent]:
        return [sent for sent in self if sent.signal == signal.name]

    def names(self) -> list[tuple[str, str]]:
        """(signal, sender) in order, such as [("post_save", "Account"), ("committed", "Account")]."""
        return [(sent.signal, sent.sender.__name__) for sent in self]

    def clear(self) -> None:
        self._sent.clear()


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Record everything that is sent inside the block."""
    with recording(*SAVES) as sent:
        yield Recorder(sent)
