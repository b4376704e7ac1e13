"""Recorder: what signals were sent, in order, for assertions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from omreceiver.signals import OF_MESSAGES, OF_RECORDS, Recorded, Signal, recording
from omreceiver.signals.listening import names_of

#: lines of what was sent at all
MOST_SHOWN = 10


class Recorder:
    """Reads like a list of what was sent of records; `signals.of(post_save)` gives those of one signal, also of one of
    messages.
    """

    def __init__(self, sent: list[Recorded]) -> None:
        self._sent = sent

    def __iter__(self) -> Iterator[Recorded]:
        of_messages = {signal.name for signal in OF_MESSAGES}
        return iter([sent for sent in self._sent if sent.signal not in of_messages])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def of(self, signal: Signal) -> list[Recorded]:
        return [sent for sent in self._sent if sent.signal == signal.name]

    def names(self) -> list[tuple[str, str]]:
        """(signal, sender) in order, such as [("post_save", "Account"), ("committed", "Account")]."""
        return [(sent.signal, sent.sender.__name__) for sent in self]

    def clear(self) -> None:
        self._sent.clear()

    def assert_sent(
        self, signal: Signal, sender: type | str | None = None, *, times: int | None = None, **expected: Any
    ) -> list[Recorded]:
        """Give what a signal has sent for a class, its name or one below it, with these arguments. Raises an
        AssertionError that shows what came nearest if there is none, or if it was not sent so many times.

            signals.assert_sent(post_save, Account, created=True, changed={"name": (None, "Acme")})

        Of `changed` only what is named here must be so; of `instance` its attributes, as in
        `instance={"external_id": "A-1"}`; `update_fields` are all that changed.
        """
        candidates = [sent for sent in self.of(signal) if sender is None or sender in names_of(sent.sender)]
        differences = [(sent, _differences(sent, expected)) for sent in candidates]
        found = [sent for sent, differing in differences if not differing]
        if (found and times is None) or (times is not None and len(found) == times):
            return found
        wanted = f"{signal.name} of {_name(sender) if sender else 'any class'}{_shown(expected)}"
        counted = "was not sent" if not found else f"was sent {len(found)} times"
        but = f"{wanted} {counted}" + (f"; expected {times}" if times is not None else "")
        raise AssertionError("\n".join([f"{but}.", *self._nearest(signal, differences)]))

    def assert_not_sent(self, signal: Signal, sender: type | str | None = None, **expected: Any) -> None:
        """The opposite."""
        self.assert_sent(signal, sender, times=0, **expected)

    def _nearest(self, signal: Signal, differences: list[tuple[Recorded, list[str]]]) -> list[str]:
        """What came nearest, argument by argument; else what was sent at all."""
        if not differences:
            names = [f"  {sent.signal} of {_name(sent.sender)}" for sent in self]
            more = [f"  and {len(names) - MOST_SHOWN} more"] if len(names) > MOST_SHOWN else []
            return ["Sent were:", *names[:MOST_SHOWN], *more] if names else ["Nothing was sent."]
        sent, differing = min(differences, key=lambda pair: len(pair[1]))
        key = getattr(sent.arguments.get("instance"), "external_id", None)
        what = " ".join(filter(None, (signal.name, "of", _name(sent.sender), key)))
        return [f"Nearest came {what}:", *(f"  {each}" for each in differing)]


def _name(sender: Any) -> str:
    return sender.__name__ if isinstance(sender, type) else str(sender)


def _shown(expected: Mapping[str, Any]) -> str:
    return " with " + ", ".join(f"{name}={value!r}" for name, value in expected.items()) if expected else ""


def _differences(sent: Recorded, expected: Mapping[str, Any]) -> list[str]:
    """What of the expected arguments is otherwise, in words."""
    missing: Any = object()
    found: list[str] = []
    for name, wanted in expected.items():
        value = sent.arguments.get(name, missing)
        if isinstance(wanted, Mapping) and name == "changed" and value is not missing:
            pairs = {f"changed[{each!r}]": (tuple(value.get(each, ())), tuple(pair)) for each, pair in wanted.items()}
        elif isinstance(wanted, Mapping) and name == "instance":
            pairs = {f"instance.{each}": (getattr(value, each, missing), part) for each, part in wanted.items()}
        else:
            pairs = {name: (value, wanted)}
        found += [
            f"{where}: {'nothing' if got in (missing, ()) else repr(got)}, expected {want!r}"
            for where, (got, want) in pairs.items()
            if got != want
        ]
    return found


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Record everything that is sent inside the block."""
    with recording(*OF_RECORDS, *OF_MESSAGES) as sent:
        yield Recorder(sent)
