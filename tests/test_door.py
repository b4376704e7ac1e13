"""The door, through Flask: what is let in in which shapes, what is refused with which answer, what ?wsdl gives."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from lxml import etree
from werkzeug.test import TestResponse

from omreceiver import OutboundMessages, create_app
from omreceiver.app import parts_of
from omreceiver.errors import ConfigurationError
from omreceiver.schema import wsdl
from omreceiver.testing import compose
from tests.conftest import ROOT, MakeApp, tables_of

URL = "/outbound-messages"
STAMP = {"SystemModstamp": "2026-07-01T12:00:00.000Z"}
ACCOUNT: dict[str, Any] = {
    **{"Id": "001xx000003DGb1AAG", "ERP_Id__c": "A-1", "Name": "Müller & Søn", "IsPartner__c": True},
    **STAMP,
}
MESSAGE = compose("Account", ACCOUNT)
ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str) -> Flask:
    return make_app(sqlite_url, wsdl_dir=ROOT / "wsdl")


def send(app: Flask, body: bytes, url: str = URL, **options: Any) -> TestResponse:
    options = {"content_type": "text/xml; charset=UTF-8", "headers": {"SOAPAction": '""'}, **options}
    return app.test_client().post(url, data=body, **options)


def is_ack(response: TestResponse) -> bool:
    """The documented answer: notificationsResponse and Ack in the outbound namespace, HTTP 200."""
    ack = etree.fromstring(response.data).findtext(f"{ENVELOPE}Body/{OUTBOUND}notificationsResponse/{OUTBOUND}Ack")
    return response.status_code == 200 and ack == "true"


def fault(response: TestResponse) -> str:
    return etree.fromstring(response.data).findtext(f"{ENVELOPE}Body/{ENVELOPE}Fault/faultstring") or ""


def _one_line(body: bytes) -> bytes:
    return re.sub(rb">\s+<", b"><", body)


def _other_prefixes(body: bytes) -> bytes:
    renamed = body.replace(b"soapenv:", b"S:").replace(b"xmlns:soapenv=", b"xmlns:S=").replace(b"<sf:", b"<q1:")
    return renamed.replace(b"</sf:", b"</q1:").replace(b"xmlns:sf=", b"xmlns:q1=").replace(b'"sf:Acc', b'"q1:Acc')


def _swapped_attributes(body: bytes) -> bytes:
    return re.sub(rb'(xsi:type="[^"]+") (xmlns:sf="[^"]+")', rb"\2 \1", body)


def _prefixed_outbound(body: bytes) -> bytes:
    """As a relay may write it: a prefix on every outbound element, sf declared on the root."""
    body = re.sub(
        rb"<(/?)(notifications|OrganizationId|ActionId|SessionId|EnterpriseUrl|PartnerUrl)",
        rb"<\1om:\2",
        body,
    )
    body = re.sub(rb"<(/?)(Notification|sObject|Id)(?=[ >])", rb"<\1om:\2", body)
    return body.replace(b"xmlns=", b"xmlns:om=")


SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "as Salesforce sends it": lambda body: body,
    "one line": _one_line,
    "CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "no XML declaration": lambda body: body.split(b"\n", 1)[1],
    "other prefixes": _other_prefixes,
    "attributes swapped": _swapped_attributes,
    "outbound elements prefixed": _prefixed_outbound,
    "tabs": lambda body: body.replace(b"  ", b"\t"),
    "standalone": lambda body: body.replace(b'encoding="UTF-8"?', b'encoding="UTF-8" standalone="no"?'),
    "a SOAP header": lambda body: body.replace(b" <soapenv:Body>", b"<soapenv:Header/> <soapenv:Body>"),
    "comments": lambda body: body.replace(b"ller &amp;", b"l<!-- -->ler &amp;"),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_of_a_message_is_read(app: Flask, shape: Callable[[bytes], bytes]) -> None:
    body = shape(MESSAGE)
    assert is_ack(send(app, body))
    [row] = tables_of(app)["account"]
    assert (row["external_id"], row["name"], row["is_partner__c"]) == ("A-1", "Müller & Søn", True)


@pytest.mark.parametrize(
    "content_type", ["text/xml", "text/xml; charset=utf-8", 'application/xml; charset="UTF-8"', None]
)
@pytest.mark.parametrize("headers", [{}, {"SOAPAction": ""}, {"SOAPAction": '""'}], ids=["none", "empty", "quotes"])
def test_content_types_and_soap_actions(app: Flask, content_type: str | None, headers: dict[str, str]) -> None:
    assert is_ack(send(app, MESSAGE, content_type=content_type, headers=headers))


@pytest.mark.parametrize("count", [1, 2, 100, 101, 250])
def test_any_number_of_notifications(app: Flask, count: int) -> None:
    body = compose("Account", *({"ERP_Id__c": f"A-{i}", "Name": "N", **STAMP} for i in range(count)))
    assert is_ack(send(app, body))
    assert len(tables_of(app)["account"]) == count


def test_the_answer_is_soap_in_utf8(app: Flask) -> None:
    response = send(app, MESSAGE)
    assert response.content_type == "text/xml; charset=utf-8"
    assert int(response.headers["Content-Length"]) == len(response.data)


def test_nothing_of_a_message_stays_when_it_is_answered(app: Flask) -> None:
    """Nor until the next collection of garbage: a message may have megabytes, and collections are rare."""

    def elements() -> int:
        return sum(isinstance(each, etree._Element) for each in gc.get_objects())

    client, bodies = app.test_client(), [compose("Account", ACCOUNT | {"Name": f"{n}"}) for n in range(8)]
    gc.collect()
    gc.disable()
    try:
        counts = []
        for body in bodies:
            assert b">true</" in client.post("/outbound-messages", data=body, content_type="text/xml").data
            counts.append(elements())
    finally:
        gc.enable()
    assert counts[-1] == counts[1], counts


def test_chunked_bodies_have_no_length(app: Flask) -> None:
    """Werkzeug reads to the end of the input when the server says that it ends."""
    import io

    environ = {"wsgi.input": io.BytesIO(MESSAGE), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    assert is_ack(send(app, b"", environ_overrides=environ))


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "not well-formed"),
    "not XML": (b"hello", 400, "not well-formed"),
    "cut off": (MESSAGE[:-40], 400, "not well-formed"),
    "two envelopes": (MESSAGE + MESSAGE.split(b"\n", 1)[1], 400, "not well-formed"),
    "a DOCTYPE": (b'<!DOCTYPE x [<!ENTITY a "b">]>' + MESSAGE.split(b"\n", 1)[1], 400, "DOCTYPE"),
    "not SOAP": (b"<html/>", 400, "not a SOAP 1.1 envelope"),
    "SOAP 1.2": (
        MESSAGE.replace(b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope"),
        400,
        "not a SOAP 1.1 envelope",
    ),
    "no body": (MESSAGE.replace(b"soapenv:Body", b"soapenv:Other"), 400, "not a SOAP 1.1 envelope"),
    "an empty body": (
        re.sub(rb"<notifications.*</notifications>", b"", MESSAGE, flags=re.S),
        400,
        "no outbound",
    ),
    "another operation": (MESSAGE.replace(b"notifications", b"query"), 400, "no outbound"),
    "another namespace": (MESSAGE.replace(b"2005/09/outbound", b"2006/10/outbound"), 400, "no outbound"),
    "no notification": (
        re.sub(rb"<Notification>.*</Notification>", b"", MESSAGE, flags=re.S),
        400,
        "no outbound",
    ),
    "no organization": (re.sub(rb"<OrganizationId>.*</OrganizationId>", b"", MESSAGE), 400, "no outbound"),
}


@pytest.mark.parametrize(("body", "status", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_bodies_get_a_fault_and_write_nothing(
    app: Flask, body: bytes, status: int, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = send(app, body)
    assert response.status_code == status
    assert sentence in fault(response)
    assert not is_ack(response)
    assert [record.name for record in caplog.records] == ["omreceiver.door.soap"]
    assert not tables_of(app)["account"]


def test_a_body_over_the_limit(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, wsdl_dir=ROOT / "wsdl", OMRECEIVER_MAX_BODY=str(len(MESSAGE)))
    assert is_ack(send(app, MESSAGE))
    assert send(app, MESSAGE + b" ").status_code == 413


@pytest.mark.parametrize(
    "content_type", ["multipart/related", "application/x-www-form-urlencoded", "text/xml; charset=latin-1"]
)
def test_other_content_types_are_refused(app: Flask, content_type: str) -> None:
    assert send(app, MESSAGE, content_type=content_type).status_code == 415


def test_only_let_in_organizations(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, wsdl_dir=ROOT / "wsdl", OMRECEIVER_ORGANIZATIONS="00Dxx0000001gPF")
    away: dict[str, Any] = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}
    assert is_ack(send(app, MESSAGE, **away))
    other = send(app, MESSAGE.replace(b"00Dxx0000001gPFEAY", b"00Dyy0000001gPFEAY"), **away)
    assert (other.status_code, fault(other)) == (403, "The message was refused.")


def test_without_organizations_only_this_machine(app: Flask) -> None:
    assert send(app, MESSAGE, environ_overrides={"REMOTE_ADDR": "203.0.113.9"}).status_code == 403
    assert send(app, MESSAGE, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403


def test_tokens(make_app: MakeApp, sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(sqlite_url, wsdl_dir=ROOT / "wsdl", OMRECEIVER_TOKENS="new-secret, old-secret")
    for token in ("new-secret", "old-secret"):
        assert is_ack(send(app, MESSAGE, f"{URL}?token={token}"))
    for query in ("", "?token=", "?token=new-secre", "?token=wrong-secret"):
        assert send(app, MESSAGE, URL + query).status_code == 401
    assert "secret" not in caplog.text


def test_an_unknown_wsdl_is_not_found(app: Flask) -> None:
    assert send(app, MESSAGE, f"{URL}/Opportunity").status_code == 404
    assert app.test_client().get(f"{URL}/Opportunity?wsdl").status_code == 404


def test_methods(app: Flask) -> None:
    assert app.test_client().put(URL).status_code == 405
    plain = app.test_client().get(URL)
    assert (plain.status_code, plain.headers["Allow"]) == (405, "POST")


def test_a_wsdl_of_its_own_url_is_the_file_with_our_address(app: Flask) -> None:
    given = app.test_client().get(f"{URL}/Account?wsdl", base_url="https://receiver.example.org")
    file = (ROOT / "wsdl" / "Account.wsdl").read_text()
    address = "https://receiver.example.org/outbound-messages/Account"
    expected = file.replace("https://receiver.example.com/outbound-messages/Account", address)
    assert etree.tostring(etree.fromstring(given.data), method="c14n") == etree.tostring(
        etree.fromstring(expected.encode()), method="c14n"
    )


def test_the_wsdl_of_the_common_url_names_every_sobject(app: Flask) -> None:
    root = etree.fromstring(app.test_client().get(f"{URL}?wsdl").data)
    names = root.xpath("//*[local-name()='extension' and @base='ens:sObject']/../../@name")
    assert names == ["Account", "Contact", "Lead", "acme__Invoice__c"]
    fields = {
        element.get("name"): element.get("type")
        for element in root.iterfind(".//{*}complexType[@name='Account']//{*}element")
    }
    in_file = wsdl.read(ROOT / "wsdl" / "Account.wsdl").fields
    assert list(fields) == sorted(in_file)
    assert fields["RecordTypeId"] == "ent:ID"
    assert fields["SystemModstamp"] == "xsd:dateTime"


def test_in_a_users_own_app_hooks_and_handlers_run(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, wsdl_dir=ROOT / "wsdl", OMRECEIVER_PATH="hooks/salesforce/")
    seen: list[str] = []
    app.before_request(lambda: seen.append("before"))
    assert is_ack(send(app, MESSAGE, "/hooks/salesforce"))
    assert seen == ["before"]


def test_one_receiver_an_app(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match="once for each app"):
        OutboundMessages().init_app(app)


def test_create_app_needs_nothing(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("OMRECEIVER_WSDL_DIR", str(tmp_path / "nowhere"))
    app = create_app()
    assert app.test_client().get("/healthz").data == b"alive\n"
    parts_of(app).engine.dispose()
