"""The Flask blueprint: POST takes a message, GET ?wsdl gives a WSDL. Everything else is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus

from flask import Blueprint, Request, Response, request
from lxml import etree
from werkzeug.http import parse_options_header

from omreceiver.config import Settings
from omreceiver.door import guard, soap
from omreceiver.door.interface import common_wsdl
from omreceiver.errors import BodyTooLarge, NotAdmitted, UnknownWsdl
from omreceiver.records.models import Models
from omreceiver.schema.catalog import Catalog
from omreceiver.schema.wsdl import with_address

XML = "text/xml; charset=utf-8"
#: what proxies add, as the WSGI environment has it
FORWARDED = frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in guard.FORWARDED)
#: keys of the WSGI environment that only a caller in this process can set; HTTP headers come as HTTP_…
RAW = "omreceiver.raw"
COLLECT = "omreceiver.collect"

#: (notifications element, stem of the WSDL whose URL it came to, raw) → what became of it
Receive = Callable[[etree._Element, str | None, bool], object]


def blueprint(settings: Settings, catalog: Catalog, models: Models, receive: Receive) -> Blueprint:
    """Mounts Spyne inside a view, so that the hooks, limits and context of Flask hold."""
    bp = Blueprint("omreceiver", __name__, template_folder="templates")
    soap_server = soap.SoapServer()

    def take(stem: str | None = None) -> Response:
        def enter() -> bytes:
            guard.admit(visit(request), settings)
            if stem is not None and catalog.fields_of(stem) is None:
                raise UnknownWsdl(
                    f"There was no WSDL {stem!r} in {settings.wsdl_dir} at the start; restart after adding one."
                )
            return body_within(settings.max_body)

        def receive_element(element: etree._Element) -> None:
            result = receive(element, stem, bool(request.environ.get(RAW)))
            request.environ.get(COLLECT, []).append(result)

        status, envelope = soap_server.answer(enter, receive_element)
        later = {"Retry-After": "30"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return Response(envelope, status, later, content_type=XML)

    def give_wsdl(stem: str | None = None) -> Response:
        try:
            guard.know(visit(request), settings)
        except NotAdmitted as error:
            return Response(error.public, error.status, mimetype="text/plain")
        if "wsdl" not in {name.lower() for name in request.args}:
            return Response("Post outbound messages here, or get ?wsdl.\n", 405, {"Allow": "POST"}, "text/plain")
        if stem is None:
            return Response(common_wsdl(models, request.base_url), content_type=XML)
        if stem not in catalog.paths:
            return Response(UnknownWsdl.public, UnknownWsdl.status, mimetype="text/plain")
        return Response(with_address(catalog.paths[stem], request.base_url), content_type=XML)

    for rule in (settings.path, f"{settings.path.rstrip('/')}/<stem>"):
        bp.add_url_rule(rule, "take", take, methods=["POST"])
        bp.add_url_rule(rule, "give_wsdl", give_wsdl, methods=["GET"])
    return bp


def visit(request: Request) -> guard.Visit:
    """What the guard wants to know of a request."""
    content_type, charset = _type_of(request.headers.get("Content-Type", ""))
    return guard.Visit(
        remote_address=request.remote_addr or "",
        content_length=request.content_length or 0,
        content_type=content_type,
        charset=charset,
        token=request.args.get("token", ""),
        forwarded=not FORWARDED.isdisjoint(request.environ),
    )


@lru_cache(maxsize=128)
def _type_of(header: str) -> tuple[str, str]:
    """The media type and the charset of a Content-Type, which is the same with every message."""
    content_type, options = parse_options_header(header)
    return content_type, options.get("charset", "")


def body_within(limit: int) -> bytes:
    """The whole body, also when it is chunked and its length not known before."""
    # Werkzeug cuts a chunked body at its limit without a word: ask for one byte more and count
    request.max_content_length = limit + 1
    body = request.get_data(cache=False)
    if len(body) > limit:
        raise BodyTooLarge(f"The body is longer than OMRECEIVER_MAX_BODY, {limit} bytes.")
    return body
