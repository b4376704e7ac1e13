"""What the floors have in common: the messages' fields, how they are read with lxml alone, and the ack. The same as the
floor for PostgreSQL, which is one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lxml import etree

OM = "{http://soap.sforce.com/2005/09/outbound}"
SF = "{urn:sobject.enterprise.soap.sforce.com}"
TEXTS = [f"Field_{number}__c" for number in range(14)]
KEY = SF + "External_ID__c"
ACK = (
    b'<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
    b"</notificationsResponse></e:Body></e:Envelope>"
)
#: of the leaf table, beside its key
COLUMNS = ["close_date", "amount", "is_won", *(f"f{number}" for number in range(14))]
Record = dict[str, str | None]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def read(body: bytes) -> tuple[list[tuple[str | None]], list[Record]]:
    """The notifications' IDs, and the records in order of their keys: tag → text."""
    records: dict[str | None, Record] = {}
    ids = []
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for note in etree.fromstring(body, parser).iter(OM + "Notification"):
        ids.append((note.findtext(OM + "Id"),))
        [sobject] = note.findall(OM + "sObject")
        record = {child.tag: child.text for child in sobject}
        records[record[KEY]] = record
    return ids, [records[key] for key in sorted(records, key=str)]


def leaf(record: Record) -> list[Any]:
    """A row of the leaf table."""
    known = [
        record.get(KEY),
        record.get(SF + "CloseDate"),
        record.get(SF + "Amount"),
        record.get(SF + "IsWon") == "true",
    ]
    return [*known, *(record.get(SF + name) for name in TEXTS)]


def serving(receive: Callable[[bytes], None]) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The WSGI application."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        receive(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", str(len(ACK)))])
        return [ACK]

    return app
