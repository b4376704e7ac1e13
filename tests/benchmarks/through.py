"""A message through the WSGI app of this process, as gunicorn calls it, with nothing of a test client around it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from flask import Flask

from tests.benchmarks.senders import NotAcknowledged

ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/outbound-messages",
    "QUERY_STRING": "",
    "CONTENT_TYPE": "text/xml; charset=utf-8",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def send(app: Flask, body: bytes) -> None:
    """Returns when it is acknowledged. Raises NotAcknowledged."""
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Any:
        statuses.append(status)

    own = {"wsgi.input": BytesIO(body), "wsgi.errors": BytesIO(), "CONTENT_LENGTH": str(len(body))}
    answer = b"".join(app.wsgi_app({**ENVIRON, **own}, start_response))
    if statuses != ["200 OK"] or b">true</" not in answer:
        raise NotAcknowledged(f"{statuses}: {answer[:300]!r}")
