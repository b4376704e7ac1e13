"""Replays fixture messages: through the front door of an app in this process, or to a running server."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from flask import Flask
from lxml import etree

from omreceiver.app import parts_of
from omreceiver.door.endpoint import COLLECT, RAW, XML
from omreceiver.errors import ConfigurationError
from omreceiver.schema.wsdl import OUTBOUND, safe_parser
from omreceiver.store.apply import Receipt
from omreceiver.store.upgrade import upgrade
from omreceiver.testing import tapes
from omreceiver.testing.recorder import recorded

EXPECTATION = "expect.json"


def create_tables(app: Flask) -> None:
    """Make the tables that the receiver of `app` needs, as `omreceiver db create` does."""
    parts = parts_of(app)
    upgrade(parts.engine, parts.models)


@dataclass(frozen=True)
class Case:
    """One message of a fixture: its file, and the WSDL whose own URL it goes to."""

    path: Path
    wsdl: str | None = None

    @property
    def name(self) -> str:
        return self.path.parent.name if (self.path.parent / EXPECTATION).is_file() else self.path.stem

    def below(self, url: str) -> str:
        """The address it goes to, given the common one; a query stays at its end."""
        address, mark, query = url.partition("?")
        return f"{address.rstrip('/')}/{self.wsdl}{mark}{query}" if self.wsdl else url


@dataclass(frozen=True)
class Replayed:
    """The answer to one message. A receipt is there only when it was replayed in this process."""

    case: Case
    status: int
    ack: bool
    fault: str | None = None
    receipt: Receipt | None = field(default=None, repr=False)

    @property
    def outcomes(self) -> Mapping[str, str]:
        """Notification ID → outcome."""
        return self.receipt.outcomes if self.receipt else {}


def cases(*paths: str | PathLike[str]) -> list[Case]:
    """The messages in files, in case folders (message.xml, or several in order of their names), and below folders.

    Raises ConfigurationError for a path where there is none.
    """
    found: list[Case] = []
    for path in map(Path, paths):
        files = [path] if path.is_file() else sorted(path.rglob("*.xml"))
        if not files:
            raise ConfigurationError(f"{path} is no message and holds none; expected .xml files.")
        found += [Case(file, _wsdl(file.parent / EXPECTATION)) for file in files]
    return found


def _wsdl(expectation: Path) -> str | None:
    if not expectation.is_file():
        return None
    try:
        promised = json.loads(expectation.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{expectation} is not JSON in UTF-8: {error}.") from error
    wsdl = promised.get("wsdl") if isinstance(promised, dict) else None
    return wsdl if isinstance(wsdl, str) else None


def replay(
    app: Flask, *paths: str | PathLike[str], raw: bool = True, tape: str | PathLike[str] | None = None
) -> list[Replayed]:
    """Send fixtures through the front door of `app`, in this process, and tell what became of each message.

        replay(app, "fixtures/account-created", tape="tape.json")

    A `tape` holds the exact sequence of the signals of records, and lies beside the messages: raises AssertionError
    when others were sent. `pytest --update-tapes` writes it.

    Receivers run as always, with `raw` as in Django's loaddata. Notifications that are in the ledger already are
    duplicates: give each test a fresh database, or compose new messages.
    """
    messages = cases(*paths)
    if tape is None:
        return list(replaying(app, messages, raw=raw))
    with recorded() as signals:
        answers = list(replaying(app, messages, raw=raw))
    tapes.check(messages[0].path.parent / tape, signals)
    return answers


def replaying(app: Flask, messages: list[Case], *, raw: bool = True) -> Iterator[Replayed]:
    """As `replay`, one by one, for who wants to show progress."""
    for case in messages:
        yield post(app, case.path.read_bytes(), case=case, raw=raw)


def post(app: Flask, body: bytes, *, case: Case | None = None, raw: bool = False) -> Replayed:
    """Send the bytes of one message through the front door of `app`."""
    settings, case = parts_of(app).settings, case or Case(Path("message.xml"))
    receipts: list[Receipt] = []
    token = f"?token={settings.tokens[0]}" if settings.tokens else ""
    environ: dict[str, Any] = {RAW: raw, COLLECT: receipts, "REMOTE_ADDR": "127.0.0.1"}
    with app.test_client() as client:
        response = client.post(
            case.below(settings.path + token), data=body, content_type=XML, environ_overrides=environ
        )
        return _replayed(case, response.status_code, response.data, receipts[0] if receipts else None)


def send_to(url: str, body: bytes, *, case: Case | None = None, timeout: float = 60) -> Replayed:
    """Send the bytes of one message to a running server, as Salesforce would. Raises OSError when none answers."""
    case = case or Case(Path("message.xml"))
    headers = {"Content-Type": XML, "SOAPAction": '""'}
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url} is no URL; expected http:// or https://.")
    request = urllib.request.Request(case.below(url), body, headers)  # noqa: S310 — checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return _replayed(case, response.status, response.read(), None)
    except urllib.error.HTTPError as error:
        with error:
            return _replayed(case, error.code, error.read(), None)
    except http.client.InvalidURL as error:
        raise ConfigurationError(f"{url} is no URL: {error}.") from error
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP: {error!r}") from error


def _replayed(case: Case, status: int, body: bytes, receipt: Receipt | None) -> Replayed:
    try:
        answer = etree.fromstring(body, safe_parser())
    except etree.XMLSyntaxError:
        return Replayed(case, status, ack=False, fault="no SOAP", receipt=receipt)
    ack = answer.findtext(f".//{{{OUTBOUND}}}notificationsResponse/{{{OUTBOUND}}}Ack")
    return Replayed(case, status, status == 200 and ack == "true", answer.findtext(".//faultstring"), receipt)
