"""What the ledger tells, in words for the page and the terminal. All times are UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from omreceiver.admin.finding import RecordStory
from omreceiver.admin.held import Held
from omreceiver.admin.history import DeliveryLine, MessageLine, NotificationLine
from omreceiver.admin.records import RecordLine, TombstoneLine
from omreceiver.signals import OF_CHANGES

DONE = {
    "created": "A record that was not here was stored",
    "updated": "The record was updated",
    "unchanged": "The tables held all of this already: nothing was written, no receiver was called",
    "retyped": "The record belongs to another class now: it left its old leaf table and went into the new one",
    "rekeyed": "The record has a new external ID: its key moved through every class table",
    "deleted": "The record was deleted in Salesforce, and so it was here",
    "stale": "Nothing was written: what is known of the record is newer",
    "duplicate": "It has been here before: nothing was written",
    "empty": "It names no record that is here: the record was deleted before delivery. Nothing was written",
    "quarantined": "It could not be stored and is kept in quarantine",
}

#: in the order in which they are sent
SIGNALS = tuple(signal.name for signal in OF_CHANGES)

#: what is said of a stamp that arrived and was compared with none; the notes tell the rest
ALONE = {
    "created": ", nothing was there to compare it with",
    "stale": "",
    "deleted": "",
    "empty": "",
    "quarantined": "",
}


def moment(stamp: datetime | str | None) -> str:
    """A time for people, in UTC. The ledger's details hold it in ISO 8601."""
    if isinstance(stamp, str):
        try:
            stamp = datetime.fromisoformat(stamp)
        except ValueError:
            return str(stamp)
    if stamp is None:
        return ""
    return (stamp.astimezone(UTC) if stamp.tzinfo else stamp).strftime("%Y-%m-%d %H:%M:%S")


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count:,} times"


def kind(message: MessageLine) -> str:
    """How a message came, where it was not Salesforce that sent it."""
    if message.again:
        return "played again from what was kept here"
    return "a replay of fixtures" if message.raw else ""


def arrived(message: MessageLine) -> str:
    """When a message arrived, and how."""
    came = kind(message)
    return f"{moment(message.received_at)} UTC" + (f", {came}" if came else "")


def sender(message: MessageLine) -> str:
    """Whose message it was and to which URL it came."""
    to = f"to the URL of {message.wsdl}" if message.wsdl else "to the common URL"
    return f"action {message.action_id} of organization {message.organization_id}, {to}"


def repeated(line: NotificationLine) -> str:
    """How often a notification came again."""
    return f"{times(line.repeats)}; acknowledged, and not applied again" if line.repeats else ""


def whose(line: NotificationLine) -> str:
    """The class and the key of a notification's record, as it was stored."""
    name, key = line.detail.get("class"), line.detail.get("key")
    return ", ".join([*([str(name)] if name else []), *([f"key {key}"] if key else [])])


def compared(line: NotificationLine) -> str:
    """Which stamps were compared, and what that said."""
    arrived, there = line.detail.get("arrived"), line.detail.get("held")
    if arrived and there:
        return f"{moment(arrived)} arrived, {moment(there)} was there: {_judged(arrived, there)}"
    if arrived:
        return f"{moment(arrived)} arrived{ALONE.get(line.outcome, ', the row had no stamp')}"
    if there:
        return f"no stamp arrived, {moment(there)} was there: applied as it came"
    return ""


def _judged(arrived: str, there: str) -> str:
    try:
        new, old = datetime.fromisoformat(arrived), datetime.fromisoformat(there)
        return "equally new, which is applied" if new == old else "newer" if new > old else "older"
    except (ValueError, TypeError):
        return "see --json"


def changed(line: NotificationLine) -> str:
    """The attributes that are different since."""
    return ", ".join(map(str, line.detail.get("changed") or ()))


def kept(line: NotificationLine) -> str:
    """What was not applied, and why."""
    names = ", ".join(map(str, line.detail.get("kept") or ()))
    return f"{names}: set later by another action" if names else ""


def done(line: NotificationLine) -> str:
    """What became of it."""
    sentence = DONE.get(line.outcome, f"It ended as {line.outcome}")
    before = ", after it had been in quarantine" if line.detail.get("before") == "quarantined" else ""
    return f"{sentence}{before}."


def notes(line: NotificationLine) -> list[str]:
    """What the store found worth a sentence."""
    return [str(note) for note in line.detail.get("notes") or ()]


def summary(line: NotificationLine) -> str:
    """A notification in a list: what was compared and changed, or why it was not stored."""
    parts = [f"in quarantine, number {each.number}: {each.reason}" for each in line.held if each.settled_at is None]
    parts.append(changed(line))
    if line.outcome in ("stale", "unchanged"):
        parts.append(compared(line))
    if names := kept(line):
        parts.append(f"not applied: {names}")
    if line.detail.get("before"):
        parts.append(f"was {line.detail['before']} before")
    parts += [note.rstrip(".") for note in notes(line)]
    if line.repeats:
        parts.append(f"came again {times(line.repeats)}")
    return "; ".join(part for part in parts if part)


def ran(line: NotificationLine, deliveries: list[DeliveryLine]) -> list[tuple[str, str, str]]:
    """(receiver, signal, what it did) of everybody who was called, durable receivers last."""
    return [*_called(line.detail), *((d.receiver, "committed, durable", delivered(d)) for d in deliveries)]


def _called(detail: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    raised, receivers = detail.get("raised") or {}, detail.get("receivers") or {}
    for signal in dict.fromkeys([*(name for name in SIGNALS if name in receivers), *receivers]):
        for name in receivers[signal]:
            has_raised = signal == "committed" and name in raised
            yield str(name), str(signal), f"raised {raised[name]}" if has_raised else "ran"


def delivered(delivery: DeliveryLine) -> str:
    """How far a durable receiver is with a change."""
    tries = times(delivery.attempts)
    if delivery.delivered_at:
        return f"ran at {moment(delivery.delivered_at)}" + (f", tried {tries}" if delivery.attempts > 1 else "")
    if delivery.due_at is None:
        return f"given up, tried {tries}: {delivery.error or 'no error was kept'}"
    if delivery.error and delivery.attempts:
        return f"raised {delivery.error} (tried {tries}); again at {moment(delivery.due_at)}"
    if delivery.attempts:
        return f"is running, or its relay ended (tried {tries})"
    if delivery.due_at > datetime.now(UTC):
        return "was handed over, and waits for a Celery worker"
    return f"waits: {delivery.error}" if delivery.error else "waits for omreceiver relay"


def in_quarantine(held: Held) -> str:
    """Since when it is in quarantine and why, or how it left."""
    since = f"since {moment(held.quarantined_at)}"
    if held.settled_at is not None:
        return f"{since}, until {moment(held.settled_at)}: {held.outcome or 'settled'}. The reason was: {held.reason}"
    tries = f", tried again {times(held.attempts)}" if held.attempts else ""
    return f"{since}{tries}: {held.reason}"


def place(record: RecordLine) -> str:
    """Where a record is now."""
    where = " → ".join(record.tables)
    stamp = f", saved in Salesforce at {moment(record.modstamp)}" if record.modstamp else ", without a stamp"
    marked = f". Deleted at {moment(record.deleted_at)}; its rows are kept" if record.deleted_at else ""
    return f"{record.name}, key {record.key}, in {where}{stamp}{marked}"


def state(story: RecordStory) -> list[str]:
    """Where a record is, or how it left, a sentence each."""
    said = [f"{place(record)}." for record in story.places] or ["Not in the tables."]
    return said + [buried(stone) for stone in story.tombstones]


def buried(stone: TombstoneLine) -> str:
    """Since when a record is not here, why, and what that means for messages to come."""
    said = [f"Deleted in Salesforce at {moment(stone.deleted_at)}"] if stone.deleted_at else []
    if stone.displaced_at:
        said.append(f"Its row, of {moment(stone.displaced_at)}, became another record's")
    return f"{'. '.join(said)}, told here at {moment(stone.told_at)}. What is older does not bring it back."


def message_notes(message: MessageLine) -> list[str]:
    """Why a message can have fewer notifications of its own than it brought."""
    said = []
    if count := message.outcomes.get("duplicate"):
        them = "1 of its notifications" if count == 1 else f"{count:,} of its notifications"
        said.append(f"{them} had been here before. Each stands with the message it came with first.")
    if message.again:
        said.append("It was played again; its notifications stand with the message they came with first.")
    return said


def unknown(asked: str, kept: timedelta) -> str:
    """That nothing is known of an ID, and why that may be."""
    shown = asked if len(asked) <= 80 else asked[:80] + "…"
    about = f'Nothing is known of "{shown}".' if shown else "Which ID?"
    return f"{about} The ledger knows the notifications of the last {kept.days} days (OMRECEIVER_KEEP_LEDGER)."
