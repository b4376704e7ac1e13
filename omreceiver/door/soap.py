"""SOAP 1.1 by Spyne: the envelope, the dispatch, faults and the ack. It hands on the body element, unbound.

Spyne's typed binding would lose the difference between nil and absent, and one bad value would cost a whole message;
so its protocol is given a body that is parsed here, and leaves the element as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from lxml import etree

from omreceiver.door.outage import Outage
from omreceiver.door.spyne_compat import (
    Application,
    Boolean,
    Fault,
    MethodContext,
    ServerBase,
    ServiceBase,
    Soap11,
    rpc,
)
from omreceiver.errors import (
    DoctypeRefused,
    NoNotifications,
    NotSoap,
    NotXml,
    OmreceiverError,
    Refusal,
    Unavailable,
)
from omreceiver.schema.wsdl import OUTBOUND
from omreceiver.signals import message_refused

log = logging.getLogger(__name__)

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
NOTIFICATIONS = f"{{{OUTBOUND}}}notifications"

#: gives the body of an admitted request, or raises a Refusal
Enter = Callable[[], bytes]
#: takes the notifications element; it returns when everything is committed, and raises when nothing is
Receive = Callable[[etree._Element], None]


def parse(body: bytes) -> etree._Element:
    """The envelope in a body. Raises NotXml, DoctypeRefused, NotSoap or NoNotifications."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise NotXml(f"The body is not well-formed XML: {error.msg or 'it is empty'}.") from error
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise DoctypeRefused()
    soap_body = envelope.find(f"{SOAP}Body") if envelope.tag == f"{SOAP}Envelope" else None
    if soap_body is None:
        raise NotSoap()
    if len(soap_body) == 0 or soap_body[0].tag != NOTIFICATIONS:
        raise NoNotifications()
    return envelope


@dataclass
class Call:
    """One request on its way through Spyne: what it calls, and what HTTP shall say."""

    enter: Enter
    receive: Receive
    outage: Outage
    status: HTTPStatus = HTTPStatus.OK


class OutboundSoap11(Soap11):  # type: ignore[misc]  # Spyne is untyped
    """Soap11 that takes a body already admitted and parsed, and binds nothing."""

    def create_in_document(self, ctx: Any, charset: str | None = None) -> None:
        try:
            ctx.in_document = parse(ctx.udc.enter())
        except OmreceiverError as error:
            raise _fault(ctx.udc, error) from error

    def decompose_incoming_envelope(self, ctx: Any, message: Any = None) -> None:
        """What `parse` has found already; headers say nothing to a receiver."""
        ctx.in_body_doc = ctx.in_document.find(f"{SOAP}Body")[0]
        ctx.method_request_string = NOTIFICATIONS

    def deserialize(self, ctx: Any, message: Any) -> None:
        ctx.in_object = []


class NotificationService(ServiceBase):  # type: ignore[misc]  # Spyne is untyped
    """The one operation of every outbound-message WSDL."""

    @rpc(_returns=Boolean, _out_variable_name="Ack")  # type: ignore[untyped-decorator]
    def notifications(ctx: Any) -> bool:  # noqa: N805 — Spyne calls it with its context
        try:
            ctx.udc.receive(ctx.in_body_doc)
        except OmreceiverError as error:
            raise _fault(ctx.udc, error) from error
        except Exception as error:
            log.exception("a message could not be received", extra={"action": "internal_error"})
            ctx.udc.status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise Fault("Server", "Internal error. Send the message again later.") from error
        return True


def _fault(call: Call, error: OmreceiverError) -> Fault:
    """The Fault for the sender, and the whole sentence for the operator's log: a refusal is a line, an outage is one
    a minute.
    """
    known = error if isinstance(error, Refusal | Unavailable) else Unavailable(str(error))
    call.status = HTTPStatus(known.status)
    if isinstance(known, Unavailable):
        call.outage.sent_away(known)
    else:
        log.warning("%s", error, extra={"action": "refused", "status": known.status, "error": type(error).__name__})
        message_refused.send_robust(type(error), error=error)
    return Fault("Server" if call.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Client", known.public)


def _let_go(*contexts: Any) -> None:
    """Spyne's contexts are rings: what they hold would stay until Python looks for rings, which a process that only
    receives does once in hundreds of messages. So they let go of everything: the document may have megabytes.
    """
    for each in contexts:
        vars(each).clear()


class SoapServer(ServerBase):  # type: ignore[misc]  # Spyne is untyped
    """Spyne's own sequence of a call, for a Flask view: a second WSGI layer in between would cost a third more.

    One for the life of the process.
    """

    transport = "http://schemas.xmlsoap.org/soap/http"

    def __init__(self) -> None:
        self.outage = Outage()
        soap11 = {"in_protocol": OutboundSoap11(), "out_protocol": Soap11()}
        #: what Spyne has written for the first message that was stored: it is the same for all
        self.ack: list[bytes] | None = None
        super().__init__(Application([NotificationService], OUTBOUND, **soap11))

    def answer(self, enter: Enter, receive: Receive) -> tuple[HTTPStatus, bytes]:
        """Take one message; the status and the envelope with its Ack or Fault."""
        first = MethodContext(self, MethodContext.SERVER)
        first.udc = call = Call(enter, receive, self.outage)
        ctx = self.generate_contexts(first)[0]
        if not ctx.in_error:
            self.get_in_object(ctx)
            self.get_out_object(ctx)
        if ctx.out_error is None:
            ctx.out_string = self.ack
        self.get_out_string(ctx)
        if ctx.out_error is None:
            self.ack = ctx.out_string = list(ctx.out_string)
        body = b"".join(ctx.out_string)
        ctx.close()
        _let_go(first, ctx)
        if call.status == HTTPStatus.OK:
            self.outage.stored()
        return call.status, body
