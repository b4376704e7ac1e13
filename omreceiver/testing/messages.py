"""Composes outbound messages in Salesforce's own shape: Id first, fields in ASCII order, blank ones left out."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from omreceiver.records.ids import to18
from omreceiver.records.values import Value, as_text

ORGANIZATION = "00Dxx0000001gPFEAY"
ACTION = "04kxx00000000blBAA"
LETTERS = string.ascii_letters + string.digits
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" \
xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>{organization_id}</OrganizationId>
   <ActionId>{action_id}</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://example.my.salesforce.com/services/Soap/c/61.0/{organization_15}</EnterpriseUrl>
   <PartnerUrl>https://example.my.salesforce.com/services/Soap/u/61.0/{organization_15}</PartnerUrl>
"""
NOTIFICATION = """   <Notification>
    <Id>{id}</Id>
    <sObject xsi:type="sf:{sobject}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
{fields}    </sObject>
   </Notification>
"""
TAIL = "  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>\n"


def compose(
    sobject: str,
    *records: Mapping[str, Value],
    organization_id: str = ORGANIZATION,
    action_id: str = ACTION,
    notification_ids: Sequence[str] = (),
) -> bytes:
    """A message with one notification a record. Keys are API names; `Id` is made up when it is not given."""
    ids = [*notification_ids, *(new_id("04l") for _ in records[len(notification_ids) :])]
    head = HEAD.format(organization_id=organization_id, action_id=action_id, organization_15=organization_id[:15])
    parts = [_notification(sobject, record, each) for record, each in zip(records, ids, strict=True)]
    return "".join([head, *parts, TAIL]).encode()


def new_id(prefix: str) -> str:
    """A Salesforce ID of 18 characters that nobody has yet."""
    return to18(prefix + "".join(secrets.choice(LETTERS) for _ in range(15 - len(prefix))))


def _notification(sobject: str, record: Mapping[str, Value], notification_id: str) -> str:
    record_id = str(record.get("Id") or new_id("a00"))
    lines = [("Id", record_id), *sorted((name, as_text(v)) for name, v in record.items() if name != "Id")]
    fields = "".join(f"     <sf:{name}>{escape(text)}</sf:{name}>\n" for name, text in lines if text)
    return NOTIFICATION.format(id=notification_id, sobject=sobject, fields=fields)
