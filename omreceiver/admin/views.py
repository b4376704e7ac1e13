"""The page at /, /healthz and /readyz."""

from __future__ import annotations

from flask import Blueprint, Response, abort, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from omreceiver.admin import overview
from omreceiver.door.endpoint import visit
from omreceiver.receive import Parts

NOT_READY = "The database is away, or its tables are not as the classes need them: run `omreceiver db check`."

#: of field values the page shows only those that could not be read, yet it is nobody else's business
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
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
            return Response(f"{NOT_READY}\n", 503, mimetype="text/plain")
        return Response("ready\n", mimetype="text/plain")

    return bp


def pages(parts: Parts) -> Blueprint:
    """The page for those who run the receiver, on this machine only."""
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
        if not visit().is_local and request.endpoint != "omreceiver_pages.static":
            abort(403, "This page is for this machine only.")

    @bp.get("/")
    def index() -> Response:
        base = request.url_root.rstrip("/") + parts.settings.path
        try:
            arrived = {"messages": overview.messages(parts.engine), "totals": overview.totals(parts.engine)}
        except SQLAlchemyError:
            arrived = {"not_ready": NOT_READY}
        page = render_template(
            "omreceiver/index.html",
            url=base,
            wsdl_urls={stem: f"{base}/{stem}" for stem in parts.catalog.paths},
            settings=parts.settings,
            classes=overview.classes(parts),
            **arrived,
        )
        return Response(page, 503 if "not_ready" in arrived else 200, headers=HEADERS, mimetype="text/html")

    return bp
