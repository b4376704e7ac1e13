"""What each page shows, by its URL in views.py. They read, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, redirect, render_template, request, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from omreceiver.admin import actions, finding, held, history, overview, sentences
from omreceiver.admin.finding import Found
from omreceiver.admin.history import LIMIT
from omreceiver.receive import Parts
from omreceiver.relays.backlog import backlogs
from omreceiver.store import quarantine as store_quarantine

NOT_READY = "The database is away, or its tables are not as the classes need them: run `omreceiver db check`."


def index(parts: Parts) -> Response:
    """The URL to paste, the last messages, the classes; without its tables only what needs none."""
    base = request.url_root.rstrip("/") + parts.settings.path
    try:
        with parts.engine.connect() as connection:
            arrived: dict[str, object] = {
                "messages": history.messages(connection, LIMIT),
                "totals": history.totals(connection),
                "backlogs": backlogs(connection),
                "actions": actions.actions(connection, parts),
            }
    except SQLAlchemyError:
        arrived = {"not_ready": NOT_READY}
    return _page(
        "index",
        503 if "not_ready" in arrived else 200,
        url=base,
        wsdl_urls={stem: f"{base}/{stem}" for stem in parts.catalog.paths},
        settings=parts.settings,
        classes=overview.classes(parts),
        limit=LIMIT,
        **arrived,
    )


def messages(parts: Parts) -> Response:
    """Messages before a number, newest first."""
    with parts.engine.connect() as connection:
        return _page("messages", messages=history.messages(connection, LIMIT, _number("before")), limit=LIMIT)


def message(parts: Parts, number: int) -> Response:
    """One message and its notifications."""
    skip = _number("skip") or 0
    with parts.engine.connect() as connection:
        found = history.message(connection, number)
        if found is None:
            return _unknown(parts, f"message {number}")
        told = history.of_message(connection, number, LIMIT, skip)
    return _page("message", message=found, told=told, skip=skip, limit=LIMIT)


def notification(parts: Parts) -> Response:
    """One notification: what arrived, what was compared, what was done, who was called."""
    asked = request.args.get("id", "")
    with parts.engine.connect() as connection:
        found = finding.notifications(connection, asked)
        deliveries = history.deliveries(connection, found[0].notification_id) if found else []
    if not found:
        return _unknown(parts, asked)
    return _page("notification", lines=found, deliveries=deliveries)


def record(parts: Parts) -> Response:
    """Where a record is now, and what has been told of it."""
    asked, skip = request.args.get("id", ""), _number("skip") or 0
    with parts.engine.connect() as connection:
        story = finding.record(connection, parts.models, asked, LIMIT, skip)
    if not (story.is_known or skip):
        return _unknown(parts, asked)
    return _page("record", story=story, skip=skip, limit=LIMIT)


def quarantine(parts: Parts) -> Response:
    """What is in quarantine, or with ?settled=1 what has left it."""
    settled = request.args.get("settled") == "1"
    with parts.engine.connect() as connection:
        entries = held.held(connection, settled=settled, limit=LIMIT, before=_number("before"))
    waiting = store_quarantine.count(parts.engine)
    return _page("quarantine", entries=entries, settled=settled, open=waiting, limit=LIMIT)


def entry(parts: Parts, number: int) -> Response:
    """One notification in quarantine: the reason, the traceback, its XML."""
    found = store_quarantine.entry(parts.engine, number)
    if found is None:
        return _unknown(parts, f"number {number} in quarantine")
    return _page("entry", entry=found)


def find(parts: Parts) -> AnyResponse:
    """On to what an ID stands for; a list where it stands for several things."""
    asked = request.args.get("q", "").strip()
    if not asked:
        return redirect(url_for(".index"), 303)
    with parts.engine.connect() as connection:
        found = finding.find(connection, parts.models, asked)
    if not found:
        return _unknown(parts, asked)
    links = dict.fromkeys(_links(found))
    if len(links) == 1:
        return redirect(next(iter(links))[1], 303)
    return _page("found", asked=asked, links=list(links))


def _links(found: Found) -> Iterator[tuple[str, str]]:
    """(what it is, where its page is) of everything that was found."""
    for line in found.notifications[:1]:
        yield f"notification {line.notification_id}", url_for(".notification", id=line.notification_id)
    if found.message:
        yield f"message {found.message.number}", url_for(".message", number=found.message.number)
    names = {place.salesforce_id: place.name for place in found.by_key}
    for record_id in found.record_ids:
        yield f"{names.get(record_id, 'record')} {record_id}", url_for(".record", id=record_id)


def not_ready(_error: Exception) -> Response:
    """What a page says when the database does not answer it."""
    return _page("not_ready", 503, not_ready=NOT_READY)


def _unknown(parts: Parts, asked: str) -> Response:
    return _page("found", 404, asked=asked, unknown=sentences.unknown(asked, parts.settings.keep_ledger), links=[])


def _page(name: str, status: int = 200, **values: object) -> Response:
    html = render_template(f"omreceiver/{name}.html", say=sentences, asked_for=request.args.get("q", ""), **values)
    return Response(html, status, mimetype="text/html")


def _number(name: str) -> int | None:
    """A number in the query, if it is one."""
    return finding.number_in(request.args.get(name, ""))
