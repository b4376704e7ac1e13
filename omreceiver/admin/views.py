"""The URLs of the pages, of /healthz and of /readyz, and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response, abort, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from omreceiver.admin import overview, screens
from omreceiver.admin.finding import LARGEST
from omreceiver.door.endpoint import visit
from omreceiver.receive import Parts

#: of field values the pages show only those that could not be stored, yet these are nobody else's business
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
NUMBER = f"<int(max={LARGEST}):number>"
#: IDs stand in the query: one that could not be read may hold slashes and dots
RULES: dict[str, Callable[..., AnyResponse]] = {
    "/": screens.index,
    "/messages": screens.messages,
    f"/messages/{NUMBER}": screens.message,
    "/notification": screens.notification,
    "/record": screens.record,
    "/quarantine": screens.quarantine,
    f"/quarantine/{NUMBER}": screens.entry,
    "/find": screens.find,
}


def health(parts: Parts) -> Blueprint:
    """Two questions for a supervisor: is the process alive, and can it store a message?"""
    bp = Blueprint("omreceiver_health", __name__)

    @bp.get("/healthz")
    def healthz() -> Response:
        return Response("alive\n", mimetype="text/plain")

    @bp.get("/readyz")
    def readyz() -> Response:
        try:
            overview.touch_tables(parts)
        except SQLAlchemyError:
            return Response(f"{screens.NOT_READY}\n", 503, mimetype="text/plain")
        return Response("ready\n", mimetype="text/plain")

    return bp


def pages(parts: Parts) -> Blueprint:
    """The pages for those who run the receiver, on this machine only."""
    bp = Blueprint(
        "omreceiver_pages",
        __name__,
        template_folder="templates",
        static_folder="static",
        # /static is the user's own
        static_url_path="/omreceiver-static",
    )

    @bp.before_request
    def local_only() -> None:
        if not visit(request).is_local and not _is_static():
            abort(403, "This page is for this machine only.")

    @bp.after_request
    def guarded(response: Response) -> Response:
        response.headers.update({} if _is_static() else HEADERS)
        return response

    bp.register_error_handler(SQLAlchemyError, screens.not_ready)
    for rule, page in RULES.items():
        bp.add_url_rule(rule, page.__name__, partial(page, parts))
    return bp


def _is_static() -> bool:
    return request.endpoint == "omreceiver_pages.static"
