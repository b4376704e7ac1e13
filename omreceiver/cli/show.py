"""omreceiver show: what arrived, what became of it, and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import Connection

from omreceiver.admin import finding, history, sentences
from omreceiver.admin.finding import Found, RecordStory
from omreceiver.admin.held import Held
from omreceiver.admin.history import DeliveryLine, MessageLine, NotificationLine
from omreceiver.admin.records import RecordLine
from omreceiver.cli.opening import check_tables, open_parts
from omreceiver.cli.output import Facts, json_option, plain, print_facts, print_json, print_rows
from omreceiver.records.models import Models

MESSAGES = ("message", "received_at", "sobject", "outcomes", "reasons", "action", "url", "came")
#: what of these fits a terminal of 100 columns
NARROW = MESSAGES[:5]
NOTIFICATIONS = ("outcome", "notification", "record", "compared_and_changed")
TOLD = ("outcome", "arrived_at", "message", "notification", "compared_and_changed")
RECEIVERS = ("receiver", "signal", "what_it_did")
PLACES = ("salesforce_id", "class", "key", "tables", "modstamp", "deleted_at")
#: columns of a terminal's tables that are easier to read, and to copy, in one piece
WHOLE = {"message", "received_at", "arrived_at", "outcome", "outcomes", "notification", "record", "salesforce_id"}


@click.command()
@click.argument("which", metavar="[ID]", required=False)
@click.option("--limit", default=history.LIMIT, show_default=True, type=click.IntRange(1), help="Lines of a list.")
@json_option
def show(which: str | None, limit: int, as_json: bool) -> None:
    """Show what arrived, what became of it, and why. Times are UTC.

    ID is that of a notification or of a record, in 15 or 18 characters; a record's external ID; or the number of a
    message. Without it the last messages are listed. Exit code 1 when nothing is known of the ID.
    """
    parts = check_tables(open_parts())
    with parts.engine.connect() as connection:
        if which is None:
            _print_messages(history.messages(connection, limit), as_json)
            return
        found = finding.find(connection, parts.models, which)
        if not found:
            click.echo(sentences.unknown(plain(which), parts.settings.keep_ledger), err=True)
            sys.exit(1)
        if as_json:
            print_json(_complete(connection, parts.models, found, limit))
        else:
            _print_found(connection, parts.models, found, limit)


def _complete(connection: Connection, models: Models, found: Found, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Everything that the ID stands for, with everything that is known of it."""
    messages = [found.message] if found.message else []
    return {
        "notifications": [_with_deliveries(connection, line) for line in found.notifications],
        "records": [asdict(finding.record(connection, models, each, limit)) for each in found.record_ids],
        "messages": [
            asdict(each) | {"notifications": [asdict(line) for line in _all_of(connection, each)]} for each in messages
        ],
    }


def _with_deliveries(connection: Connection, line: NotificationLine) -> dict[str, Any]:
    deliveries = history.deliveries(connection, line.notification_id)
    return asdict(line) | {"deliveries": [asdict(delivery) for delivery in deliveries]}


def _all_of(connection: Connection, message: MessageLine) -> list[NotificationLine]:
    return history.of_message(connection, message.number, limit=None).lines


def _print_found(connection: Connection, models: Models, found: Found, limit: int) -> None:
    """What the ID stands for; of several records only where they are."""
    for line in found.notifications:
        _print_notification(line, history.deliveries(connection, line.notification_id))
    if found.message:
        _print_message(found.message, _all_of(connection, found.message))
        for place in found.by_key:
            also = f"{place.key} is also the key of a record: omreceiver show {place.salesforce_id}"
            click.echo(plain(also), err=True)
    elif len(found.record_ids) > 1:
        print_rows(PLACES, [_place_row(place) for place in found.by_key], as_json=False, whole=WHOLE)
        click.echo("Several records have this external ID. Show one by its Salesforce ID.", err=True)
    else:
        for record_id in found.record_ids:
            _print_record(finding.record(connection, models, record_id, limit), limit)


def _print_messages(messages: list[MessageLine], as_json: bool) -> None:
    if as_json:
        print_json([asdict(message) for message in messages])
        return
    headings = NARROW if sys.stdout.isatty() else MESSAGES
    rows = [_message_row(message)[: len(headings)] for message in messages]
    print_rows(headings, rows, as_json=False, whole=WHOLE)


def _message_row(message: MessageLine) -> tuple[object, ...]:
    first, others = "".join(message.reasons[:1]), len(message.reasons) - 1
    reasons = f"{first}; and {others:,} more" if others > 0 else first
    came = sentences.kind(message) or "live"
    what = (message.number, message.received_at, message.sobject, _counted(message), reasons)
    return *what, message.action_id, message.wsdl, came


def _counted(message: MessageLine) -> list[str]:
    return [f"{count} {outcome}" for outcome, count in message.outcomes.items()]


def _print_message(message: MessageLine, lines: list[NotificationLine]) -> None:
    facts: Facts = [
        ("message", message.number),
        ("arrived", sentences.arrived(message)),
        ("sObject", message.sobject or "none"),
        ("sent by", sentences.sender(message)),
        ("outcomes", _counted(message)),
    ]
    print_facts([*facts, *(("note", note) for note in sentences.message_notes(message))])
    _print_below(
        NOTIFICATIONS,
        [(line.outcome, line.notification_id, line.record_id, sentences.summary(line)) for line in lines],
    )


def _print_notification(line: NotificationLine, deliveries: list[DeliveryLine]) -> None:
    whose = sentences.whose(line)
    message = line.message
    facts: Facts = [
        ("notification", line.notification_id),
        ("outcome", [line.outcome]),
        ("done", sentences.done(line)),
        ("arrived", f"{sentences.arrived(message)}, in message {message.number}" if message else ""),
        ("sent by", sentences.sender(message) if message else ""),
        ("came again", sentences.repeated(line)),
        ("record", (line.record_id or "none") + (f" ({whose})" if whose else "")),
        ("compared", sentences.compared(line)),
        ("changed", sentences.changed(line)),
        ("not applied", sentences.kept(line)),
    ]
    notes = (("note", note) for note in sentences.notes(line))
    print_facts([*facts, *notes, *(fact for held in line.held for fact in _held_facts(held))])
    _print_below(RECEIVERS, sentences.ran(line, deliveries))


def _held_facts(held: Held) -> Facts:
    """Why it is or was in quarantine, and what can be done."""
    return [
        ("quarantine", f"number {held.number}, {sentences.in_quarantine(held)}"),
        ("see", f"omreceiver quarantine show {held.number}"),
        ("then", "" if held.settled_at else f"omreceiver quarantine retry {held.number}"),
    ]


def _print_record(story: RecordStory, limit: int) -> None:
    print_facts([("record", story.record_id), *(("now", said) for said in sentences.state(story))])
    _print_below(TOLD, [_told_row(line) for line in story.told.lines])
    if story.told.has_more:
        click.echo(f"There are older ones: omreceiver show {plain(story.record_id)} --limit {limit * 10}", err=True)


def _told_row(line: NotificationLine) -> tuple[object, ...]:
    arrived = line.message.received_at if line.message else None
    return line.outcome, arrived, line.message_id, line.notification_id, sentences.summary(line)


def _place_row(place: RecordLine) -> tuple[object, ...]:
    return place.salesforce_id, place.name, place.key, list(place.tables), place.modstamp, place.deleted_at


def _print_below(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table under facts, if there is anything in it."""
    if rows:
        click.echo()
        print_rows(headings, rows, as_json=False, whole=WHOLE)
