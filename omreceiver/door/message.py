"""Reads the notifications element into a Message. XML ends here, and so does the SessionId."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import datetime
from functools import partial

from lxml import etree

from omreceiver.errors import NoNotifications
from omreceiver.records.ids import to18
from omreceiver.schema.notification import Message, Notification
from omreceiver.schema.wsdl import OUTBOUND, SOBJECT, safe_parser

OM = f"{{{OUTBOUND}}}"
SF = f"{{{SOBJECT}}}"
#: where the name of a field begins in its tag
AT = len(SF)
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
NIL = XSI + "nil"
TRUE = ("true", "1")


def read(
    element: etree._Element,
    *,
    wsdl: str | None = None,
    sobject: str | None = None,
    raw: bool = False,
    came: Callable[[str], datetime] | None = None,
) -> Message:
    """The message in a `notifications` element. Prefixes, attribute order and indentation carry no meaning. `sobject`
    is that of the WSDL to whose URL it came, for relays that lose xsi:type on the way.

    Raises NoNotifications when it holds no notification, or IDs that are none.
    """
    drop_session_id(element)
    notifications = tuple(read_notification(n, sobject) for n in element.iterchildren(f"{OM}Notification"))
    if not notifications:
        raise NoNotifications("The notifications element holds no Notification.")
    return Message(
        organization_id=_id(element, "OrganizationId"),
        action_id=_id(element, "ActionId"),
        notifications=notifications,
        wsdl=wsdl,
        raw=raw,
        came=came,
        body=lambda: etree.tostring(element, encoding="UTF-8"),
        head=lambda: _head(element),
    )


def _head(element: etree._Element) -> str:
    """The element as text, without the notifications in it."""
    head = deepcopy(element)
    for notification in head.findall(f"{OM}Notification"):
        head.remove(notification)
    return etree.tostring(head, encoding="unicode", with_tail=False)


def around(head: str, fragments: Iterable[str]) -> etree._Element:
    """The notifications element that a kept head and kept notifications were. Raises XMLSyntaxError for other text."""
    element = etree.fromstring(head, safe_parser())
    element.extend(etree.fromstring(fragment, safe_parser()) for fragment in fragments)
    return element


def drop_session_id(element: etree._Element) -> None:
    """Empty every SessionId outside the records, so that nothing later can write it anywhere.

    Salesforce stopped to send it in February 2026; older organizations and old messages still hold one.
    """
    for child in element.iterchildren(tag=etree.Element):
        if child.tag != f"{OM}Notification" and etree.QName(child).localname.lower() == "sessionid":
            tail = child.tail
            child.clear()
            child.tail = tail
            child.set(NIL, "true")


def read_notification(element: etree._Element, untyped: str | None = None) -> Notification:
    """One Notification, its record an `untyped` one where it does not tell. Without an sObject or fields it is empty:
    the record was deleted before delivery.
    """
    parts = {child.tag: child for child in element.iterchildren(f"{OM}*")}
    sobject, notification_id = parts.get(f"{OM}sObject"), parts.get(f"{OM}Id")
    fields = {} if sobject is None else _fields(sobject)
    fragment = partial(etree.tostring, element, encoding="unicode", with_tail=False)
    return Notification(
        id=_notification_id(None if notification_id is None else notification_id.text, element),
        sobject=None if sobject is None else _type_of(sobject) or untyped,
        record_id=fields.pop("Id", None),
        fields=fields,
        fragment=fragment,
    )


def _fields(sobject: etree._Element) -> dict[str, str | None]:
    """API name → text. Salesforce has no empty strings: an empty element is a blank field, as xsi:nil is."""
    children = list(sobject.iterchildren(f"{SF}*"))
    found = {child.tag[AT:]: child.text or None for child in children}
    for child in filter(len, children):
        found[child.tag[AT:]] = "".join(map(str, child.itertext())) or None
    if found.pop("fieldsToNull", None):
        found |= {child.text: None for child in sobject.iterchildren(f"{SF}fieldsToNull") if child.text}
    return found


def _type_of(sobject: etree._Element) -> str | None:
    """The local name of xsi:type, a QName whose prefix Salesforce binds on the same element."""
    prefix, _, name = sobject.get(XSI + "type", "").strip().rpartition(":")
    return name if name and sobject.nsmap.get(prefix or None) == SOBJECT else None


def _notification_id(text: str | None, element: etree._Element) -> str:
    """In 18 characters. Where there is none, the hash of the notification takes its place: of its canonical form,
    which stays the same wherever its namespaces are declared, so that it is known again when it leaves quarantine.
    """
    try:
        return to18((text or "").strip())
    except ValueError:
        canonical = etree.tostring(element, method="c14n", exclusive=True, with_tail=False)
        return "#" + hashlib.sha256(canonical).hexdigest()[:17]


def _id(element: etree._Element, name: str) -> str:
    try:
        return to18((element.findtext(OM + name) or "").strip())
    except ValueError as error:
        raise NoNotifications(f"{name} is missing or is not an ID: expected {error}.") from error
