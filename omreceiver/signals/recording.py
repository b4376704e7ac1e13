"""Collects what is sent, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from omreceiver.signals.listening import Receiver, Sent
from omreceiver.signals.signal import Signal


@dataclass(frozen=True)
class Recorded(Sent):
    """One signal that was sent, as a test sees it."""

    signal: str


@contextmanager
def recording(*signals: Signal) -> Iterator[list[Recorded]]:
    """Collect everything sent inside the block, in order."""
    sent: list[Recorded] = []

    def listener(signal: Signal) -> Receiver:
        return lambda sender, **arguments: sent.append(Recorded(sender, arguments, signal.name))

    connected = [(signal, signal.connect(listener(signal))) for signal in signals]
    try:
        yield sent
    finally:
        for signal, function in connected:
            signal.disconnect(function)
