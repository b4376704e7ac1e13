"""The notifications element becomes a Message: what carries meaning on the wire, what does not, and what ends here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from omreceiver.door import message, soap
from omreceiver.errors import NoNotifications
from omreceiver.schema.notification import Message
from omreceiver.testing import compose

ORGANIZATION, ACTION = "00Dxx0000001gPFEAY", "04kxx00000000blBAA"
ONE, TWO = "04lxx0000000001AAA", "04lxx0000000002AAA"
ACCOUNT = "001xx000003DGb0AAG"
#: the shape of a session ID: the organization, an exclamation mark, 96 more
SESSION = "00Dxx0000001gPF!" + "AQ4AQLo.Sd_7" * 8

ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" \
xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>00Dxx0000001gPFEAY</OrganizationId>
   <ActionId>04kxx00000000blBAA</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://na1.salesforce.com/services/Soap/c/61.0/00Dxx0000001gPF</EnterpriseUrl>
   <PartnerUrl>https://na1.salesforce.com/services/Soap/u/61.0/00Dxx0000001gPF</PartnerUrl>
{notifications}  </notifications>
 </soapenv:Body>
</soapenv:Envelope>
"""
NOTIFICATION = """   <Notification>
    <Id>{id}</Id>
    <sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
     <sf:Id>001xx000003DGb0AAG</sf:Id>
{fields}    </sObject>
   </Notification>
"""
NAME = "     <sf:Name>Acme &amp; Söhne</sf:Name>\n     <sf:Site>HQ</sf:Site>\n"


def envelope(fields: str = NAME, notification_id: str = ONE) -> str:
    """A message with one Account."""
    return ENVELOPE.format(notifications=NOTIFICATION.format(id=notification_id, fields=fields))


def read(body: str | bytes, **options: Any) -> Message:
    """Through the door's own parser, as every message goes."""
    tree = soap.parse(body.encode() if isinstance(body, str) else body)
    return message.read(tree[-1][0], **options)


def fields_of(fields: str) -> dict[str, str | None]:
    return dict(read(envelope(fields)).notifications[0].fields)


# -- what is read -----------------------------------------------------------------------------------------------------


def test_a_message_is_one_organization_one_action_and_its_notifications() -> None:
    found = read(envelope())

    assert (found.organization_id, found.action_id) == (ORGANIZATION, ACTION)
    [notification] = found.notifications
    assert (notification.id, notification.sobject, notification.record_id) == (ONE, "Account", ACCOUNT)
    assert notification.fields == {"Name": "Acme & Söhne", "Site": "HQ"}


def test_every_notification_is_read_in_order() -> None:
    both = NOTIFICATION.format(id=ONE, fields=NAME) + NOTIFICATION.format(id=TWO, fields="")

    found = read(ENVELOPE.format(notifications=both))

    assert [notification.id for notification in found.notifications] == [ONE, TWO]
    assert found.sent_fields() == {"Name", "Site"}
    assert found.sobject == "Account"


def test_what_the_tests_compose_is_read_as_it_was_meant() -> None:
    [notification] = read(compose("Contact", {"Id": "003xx000004TmiAAAS", "Email": "a@b.example"})).notifications

    assert notification.sobject == "Contact"
    assert notification.record_id == "003xx000004TmiAAAS"
    assert notification.fields == {"Email": "a@b.example"}


def test_the_way_it_came_is_kept_beside_it() -> None:
    element = soap.parse(envelope().encode())[-1][0]

    found = message.read(element, wsdl="Account", raw=True)

    assert (found.wsdl, found.raw) == ("Account", True)
    assert (read(envelope()).wsdl, read(envelope()).raw) == (None, False)


def test_a_namespaced_object_keeps_its_whole_name() -> None:
    text = envelope("<sf:acme__Total__c>13.0</sf:acme__Total__c><sf:ERP_Id__c>A-1</sf:ERP_Id__c>")

    [notification] = read(text.replace("sf:Account", "sf:acme__Invoice__c")).notifications

    assert notification.sobject == "acme__Invoice__c"
    assert notification.fields == {"acme__Total__c": "13.0", "ERP_Id__c": "A-1"}


def test_a_record_may_come_with_nothing_but_its_id() -> None:
    [notification] = read(envelope(fields="")).notifications

    assert (notification.sobject, notification.record_id, notification.fields) == ("Account", ACCOUNT, {})


def test_names_keep_their_case() -> None:
    assert fields_of("<sf:name>a</sf:name><sf:NAME>b</sf:NAME>") == {"name": "a", "NAME": "b"}


# -- what carries no meaning ------------------------------------------------------------------------------------------


def _prefixed(text: str) -> str:
    names = "notifications|OrganizationId|ActionId|SessionId|EnterpriseUrl|PartnerUrl|Notification|Id|sObject"
    text = re.sub(rf"(</?)({names})\b", r"\1out:\2", text)
    return text.replace("<out:notifications xmlns=", "<out:notifications xmlns:out=")


def _swapped(text: str) -> str:
    given = 'xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"'
    return text.replace(given, " ".join(reversed(given.split())))


def _default_namespace(text: str) -> str:
    """The sObject's own namespace as the default one, and its type without a prefix."""
    text = text.replace("sf:Account", "Account").replace("<sObject ", "<out:sObject ")
    text = text.replace("</sObject>", "</out:sObject>").replace("xmlns:sf=", "xmlns=").replace("sf:", "")
    return text.replace("<notifications ", '<notifications xmlns:out="http://soap.sforce.com/2005/09/outbound" ')


@pytest.mark.parametrize(
    "vary",
    [
        pytest.param(_swapped, id="attributes in another order"),
        pytest.param(_prefixed, id="a prefix where Salesforce has a default namespace"),
        pytest.param(lambda text: text.replace("sf:", "x.y-z:").replace(":sf=", ":x.y-z="), id="another prefix for sf"),
        pytest.param(_default_namespace, id="the type without a prefix"),
        pytest.param(lambda text: text.replace("soapenv", "S"), id="another prefix for SOAP"),
        pytest.param(lambda text: text.replace("xsi", "i"), id="another prefix for xsi"),
        pytest.param(lambda text: re.sub(r">\s+<", "><", text), id="one line"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace("\n", "\n\n\t "), id="blank lines and tabs"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: text.partition("?>")[2].lstrip(), id="no XML declaration"),
        pytest.param(lambda text: text.replace("UTF-8", "utf-8"), id="encoding in lower case"),
        pytest.param(lambda text: text.replace('?>', ' standalone="no"?>'), id="standalone"),
        pytest.param(lambda text: text.replace('"', "'"), id="single quotes"),
        pytest.param(lambda text: text.replace("ö", "&#246;"), id="a character by its number"),
        pytest.param(lambda text: text.replace("Söhne<", "<![CDATA[Söhne]]><"), id="CDATA"),
        pytest.param(lambda text: text.replace("Söhne", "Sö<!-- here -->hne"), id="a comment inside a value"),
        pytest.param(lambda text: text.replace("Söhne", "Sö<?here?>hne"), id="a processing instruction inside one"),
        pytest.param(lambda text: text.replace("<Id>", "<!-- the ID --><Id>"), id="a comment between elements"),
        pytest.param(lambda text: text.replace(ONE, f"04l<!-- -->{ONE[3:]}"), id="a comment inside an ID"),
        pytest.param(lambda text: text.replace(ONE, f"\n  {ONE}\n"), id="space around an ID"),
        pytest.param(lambda text: text.replace(ORGANIZATION, f" {ORGANIZATION} "), id="space around the organization"),
        pytest.param(lambda text: text.replace("<soapenv:Body>", "<soapenv:Header/><soapenv:Body>"), id="a header"),
        pytest.param(lambda text: re.sub(r" *<(Session|Partner|Enterprise).*\n", "", text), id="no URLs and session"),
        pytest.param(lambda text: text.replace("<sf:Site>", '<sf:Site xsi:type="xsd:string">'), id="typed values"),
        pytest.param(lambda text: text.replace("</notifications>", "<Later/></notifications>"), id="unknown elements"),
    ],
)  # fmt: skip
def test_layout_carries_no_meaning(vary: Callable[[str], str]) -> None:
    text = envelope()

    assert vary(text) != text
    assert read(vary(text)) == read(text)


def test_the_type_is_found_by_its_namespace_and_not_by_the_letters_sf() -> None:
    text = envelope().replace("xsi:type=", 'xmlns:other="urn:other" xsi:type=')

    assert read(text.replace("sf:Account", "other:Account")).notifications[0].sobject is None
    assert read(text.replace("sf:Account", "Account")).notifications[0].sobject is None
    assert read(text.replace("sf:Account", "nobody:Account")).notifications[0].sobject is None
    assert read(text.replace("sf:Account", " sf:Account ")).notifications[0].sobject == "Account"


def test_the_prefix_sf_may_mean_something_else_elsewhere() -> None:
    text = envelope().replace("<soapenv:Envelope ", '<soapenv:Envelope xmlns:sf="urn:other" ')

    assert read(text).notifications == read(envelope()).notifications


def test_a_prefix_in_a_value_is_part_of_the_value() -> None:
    assert fields_of("<sf:Name>sf:Name soapenv:Body</sf:Name>") == {"Name": "sf:Name soapenv:Body"}


def test_an_sobject_without_a_type_is_read_all_the_same() -> None:
    [notification] = read(envelope().replace('xsi:type="sf:Account" ', "")).notifications

    assert notification.sobject is None
    assert notification.fields == {"Name": "Acme & Söhne", "Site": "HQ"}


def test_the_url_tells_the_type_where_it_is_lost_on_the_way() -> None:
    [untyped] = read(envelope().replace('xsi:type="sf:Account" ', ""), sobject="Account").notifications
    [typed] = read(envelope(), sobject="Case").notifications
    assert (untyped.sobject, typed.sobject) == ("Account", "Account")


def test_elements_of_other_namespaces_are_no_fields() -> None:
    assert fields_of('<sf:Name>a</sf:Name><Name>b</Name><x:Name xmlns:x="urn:x">c</x:Name>') == {"Name": "a"}


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("<sf:Site>HQ</sf:Site>", "HQ"),
        ("<sf:Site>0016492</sf:Site>", "0016492"),
        ("<sf:Site>  HQ  </sf:Site>", "  HQ  "),
        ("<sf:Site> </sf:Site>", " "),
        ("<sf:Site>one\ntwo</sf:Site>", "one\ntwo"),
        ("<sf:Site>&lt;b&gt;&quot;&apos;&amp;amp;</sf:Site>", "<b>\"'&amp;"),
        ("<sf:Site><![CDATA[<b>]]></sf:Site>", "<b>"),
        ("<sf:Site>a<!-- b -->c</sf:Site>", "ac"),
        ("<sf:Site>\U0001f600</sf:Site>", "\U0001f600"),
        ("<sf:Site>false</sf:Site>", "false"),
        ("<sf:Site>0.0</sf:Site>", "0.0"),
        # Salesforce knows no empty text: all of these are a blank field
        ("<sf:Site/>", None),
        ("<sf:Site></sf:Site>", None),
        ("<sf:Site><!-- nothing --></sf:Site>", None),
        ("<sf:Site><![CDATA[]]></sf:Site>", None),
        ("<sf:Site><sf:Nothing/></sf:Site>", None),
        ('<sf:Site xsi:nil="true"/>', None),
        ('<sf:Site xsi:nil="1"/>', None),
        ('<sf:Site xsi:nil="true"></sf:Site>', None),
        # and these are not
        ('<sf:Site xsi:nil="false">HQ</sf:Site>', "HQ"),
        ('<sf:Site xsi:nil="0">HQ</sf:Site>', "HQ"),
        ('<sf:Site nil="true">HQ</sf:Site>', "HQ"),
    ],
)
def test_the_value_of_a_field(element: str, value: str | None) -> None:
    assert fields_of(element) == {"Site": value}


def test_a_field_that_is_absent_is_absent() -> None:
    assert "Site" not in fields_of("<sf:Name>Acme</sf:Name>")


def test_fields_to_null_are_blank_and_no_field_themselves() -> None:
    fields = "<sf:fieldsToNull>Site</sf:fieldsToNull><sf:fieldsToNull>Fax</sf:fieldsToNull><sf:Name>Acme</sf:Name>"

    assert fields_of(fields) == {"Site": None, "Fax": None, "Name": "Acme"}
    assert fields_of('<sf:fieldsToNull xsi:nil="true"/><sf:Name>Acme</sf:Name>') == {"Name": "Acme"}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1))
def test_any_text_arrives_as_it_was_sent(text: str) -> None:
    [notification] = read(compose("Account", {"Name": text})).notifications

    assert notification.fields == {"Name": text}


# -- what is missing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "inside",
    [
        f"<Id>{ONE}</Id>",
        f"<Id>{ONE}</Id><sObject/>",
        f'<Id>{ONE}</Id><sObject xsi:nil="true"/>',
        f'<Id>{ONE}</Id><sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"/>',
    ],
)
def test_a_notification_may_be_empty(inside: str) -> None:
    """Its record was deleted before delivery."""
    [notification] = read(ENVELOPE.format(notifications=f"<Notification>{inside}</Notification>")).notifications

    assert (notification.id, notification.record_id, notification.fields) == (ONE, None, {})


@pytest.mark.parametrize("given", ["", "no ID", "04lxx"])
def test_without_a_notification_id_the_content_gives_one(given: str) -> None:
    [one], [same] = (
        read(envelope(notification_id=given)).notifications,
        read(envelope(notification_id=given)).notifications,
    )
    [other] = read(envelope(fields="<sf:Name>Other</sf:Name>", notification_id=given)).notifications

    assert one.id == same.id != other.id
    assert re.fullmatch(r"#[0-9a-f]{17}", one.id)


def test_a_notification_without_an_id_element_has_one_too() -> None:
    text = envelope().replace(f"<Id>{ONE}</Id>", "")

    assert read(text).notifications[0].id == read(text).notifications[0].id
    assert read(text).notifications[0].id.startswith("#")


def test_the_made_up_id_does_not_depend_on_its_neighbours() -> None:
    mine, theirs = NOTIFICATION.format(id="", fields=NAME), NOTIFICATION.format(id=TWO, fields="")

    alone = read(ENVELOPE.format(notifications=mine)).notifications[0]
    first = read(ENVELOPE.format(notifications=mine + "\n\n" + theirs)).notifications[0]
    second = read(ENVELOPE.format(notifications=theirs + mine)).notifications[1]

    assert first.id == second.id == alone.id


def test_ids_of_15_characters_become_18() -> None:
    found = read(
        envelope().replace(ORGANIZATION, ORGANIZATION[:15]).replace(ACTION, ACTION[:15]).replace(ONE, ONE[:15])
    )

    assert found.organization_id == "00Dxx0000001gPFEAY"
    assert found.action_id == "04kxx00000000blAAA"
    assert found.notifications[0].id == "04lxx0000000001AAA"


@pytest.mark.parametrize("name", ["OrganizationId", "ActionId"])
@pytest.mark.parametrize("value", ["", "00D", "not an ID at all!!"])
def test_a_message_names_its_organization_and_its_action(name: str, value: str) -> None:
    text = re.sub(rf"<{name}>.*</{name}>", f"<{name}>{value}</{name}>", envelope())

    with pytest.raises(NoNotifications, match=rf"^{name} is missing or is not an ID: expected 15 or 18 letters"):
        read(text)
    with pytest.raises(NoNotifications, match=name):
        read(re.sub(rf"<{name}>.*</{name}>", "", envelope()))


def test_a_message_has_a_notification() -> None:
    with pytest.raises(NoNotifications, match=r"^The notifications element holds no Notification\.$"):
        read(ENVELOPE.format(notifications=""))


# -- what ends here ---------------------------------------------------------------------------------------------------

SESSIONS = [
    f"<SessionId>{SESSION}</SessionId>",
    f"<SessionId>\n {SESSION}\n </SessionId>",
    f"<SessionId><![CDATA[{SESSION}]]></SessionId>",
    f"<SessionId>{SESSION[:20]}<!-- -->{SESSION[20:]}</SessionId>",
    f'<SessionId xsi:nil="false">{SESSION}</SessionId>',
    f'<SessionId value="{SESSION}"/>',
    f"<SessionId><Token>{SESSION}</Token></SessionId>",
    f"<sessionId>{SESSION}</sessionId>",
    f'<x:SessionID xmlns:x="urn:x">{SESSION}</x:SessionID>',
    f"<SessionId>{SESSION}</SessionId><SessionId>{SESSION}</SessionId>",
]


@pytest.mark.parametrize("session", SESSIONS)
def test_the_session_id_ends_at_the_door(session: str) -> None:
    element = soap.parse(envelope().replace('<SessionId xsi:nil="true"/>', session).encode())[-1][0]

    found = message.read(element)

    everything = [repr(found), found.body().decode(), *(n.fragment() for n in found.notifications)]
    everything.append(etree.tostring(element.getroottree(), encoding="unicode"))
    assert not any(part in text for text in everything for part in (SESSION, SESSION[20:40]))
    assert found.notifications == read(envelope()).notifications


def test_what_is_kept_says_that_there_was_a_session_id() -> None:
    text = envelope().replace('<SessionId xsi:nil="true"/>', f"<SessionId>{SESSION}</SessionId>")

    assert b'<SessionId xsi:nil="true"/>' in read(text).body()


def test_a_field_named_session_id_is_a_field() -> None:
    assert fields_of("<sf:SessionId>7</sf:SessionId>") == {"SessionId": "7"}


def test_the_body_can_be_read_again() -> None:
    found = read(envelope())

    assert message.read(etree.fromstring(found.body())) == found


def test_a_fragment_can_be_read_again() -> None:
    """Quarantine keeps it, and its retry reads it."""
    [notification] = read(envelope()).notifications

    assert notification.fragment().endswith("</Notification>")
    assert message.read_notification(etree.fromstring(notification.fragment())) == notification


def test_repr_shows_neither_body_nor_fragment() -> None:
    assert "body" not in repr(read(envelope()))
    assert "fragment" not in repr(read(envelope()))
