"""Outbound-message WSDLs in the exact shape that Setup gives them, for tests to vary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!--
  Salesforce.com Outbound Notification Web Services API Version 1.0
  Generated on 2026-09-14 08:12:31 +0000.

  Copyright 2005-2026 Salesforce, Inc. All Rights Reserved
-->
<definitions targetNamespace="http://soap.sforce.com/2005/09/outbound"
   xmlns="http://schemas.xmlsoap.org/wsdl/"
   xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
   xmlns:tns="http://soap.sforce.com/2005/09/outbound"
   xmlns:xsd="http://www.w3.org/2001/XMLSchema"
   xmlns:ent="urn:enterprise.soap.sforce.com"
   xmlns:ens="urn:sobject.enterprise.soap.sforce.com">
    <types>

        <schema elementFormDefault="qualified" xmlns="http://www.w3.org/2001/XMLSchema" \
targetNamespace="urn:enterprise.soap.sforce.com">
            <!-- Our simple ID Type -->
            <simpleType name="ID">
                <restriction base="xsd:string">
                    <length value="18"/>
                    <pattern value='[a-zA-Z0-9]{18}'/>
                </restriction>
            </simpleType>
        </schema>

        <schema elementFormDefault="qualified" xmlns="http://www.w3.org/2001/XMLSchema" \
targetNamespace="urn:sobject.enterprise.soap.sforce.com">
            <import namespace="urn:enterprise.soap.sforce.com" />
            <!-- Base sObject (abstract) -->
            <complexType name="sObject">
                <sequence>
                    <element name="fieldsToNull" type="xsd:string" nillable="true" minOccurs="0" \
maxOccurs="unbounded"/>
                    <element name="Id" type="ent:ID" nillable="true" />
                </sequence>
            </complexType>

            <complexType name="AggregateResult">
                <complexContent>
                    <extension base="ens:sObject">
                        <sequence>
                            <any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
                        </sequence>
                    </extension>
                </complexContent>
            </complexType>

"""
OBJECT = """            <complexType name="{sobject}">
                <complexContent>
                    <extension base="ens:sObject">
                        <sequence>
{fields}                        </sequence>
                    </extension>
                </complexContent>
            </complexType>
        </schema>
"""
FIELD = """                            <element name="{name}" nillable="true" minOccurs="0" type="{type}"/>
"""
TAIL = """
        <schema elementFormDefault="qualified" xmlns="http://www.w3.org/2001/XMLSchema" \
targetNamespace="http://soap.sforce.com/2005/09/outbound">
            <import namespace="urn:enterprise.soap.sforce.com" />
            <import namespace="urn:sobject.enterprise.soap.sforce.com" />
            <element name="notifications">
                <complexType>
                    <sequence>
                        <element name="OrganizationId" type="ent:ID" />
                        <element name="ActionId" type="ent:ID" />
                        <element name="SessionId" type="xsd:string" nillable="true" />
                        <element name="EnterpriseUrl" type="xsd:string" />
                        <element name="PartnerUrl" type="xsd:string" />
                        <element name="Notification" maxOccurs="100" type="tns:{sobject}Notification" />
                    </sequence>
                </complexType>
            </element>
            <complexType name="{sobject}Notification">
                <sequence>
                    <element name="Id" type="ent:ID" />
                    <element name="sObject" type="ens:{sobject}" />
                </sequence>
            </complexType>
            <element name="notificationsResponse">
                <complexType>
                    <sequence>
                        <element name="Ack" type="xsd:boolean" />
                    </sequence>
                </complexType>
            </element>
        </schema>
    </types>

    <message name="notificationsRequest">
        <part element="tns:notifications" name="request"/>
    </message>
    <message name="notificationsResponse">
        <part element="tns:notificationsResponse" name="response"/>
    </message>

    <portType name="NotificationPort">
        <operation name="notifications">
            <documentation>Process a number of notifications.</documentation>
            <input  message="tns:notificationsRequest"/>
            <output message="tns:notificationsResponse"/>
        </operation>
    </portType>

    <binding name="NotificationBinding" type="tns:NotificationPort">
        <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>

        <operation name="notifications">
            <soap:operation soapAction=""/>
            <input>
                <soap:body use="literal"/>
            </input>
            <output>
                <soap:body use="literal"/>
            </output>
        </operation>
    </binding>

    <service name="NotificationService">
        <documentation>Notification Service Implementation</documentation>
        <port binding="tns:NotificationBinding" name="Notification">
            <soap:address location="{address}"/>
        </port>
    </service>
</definitions>
"""
ADDRESS = "https://receiver.example.com/outbound-messages"


def wsdl_text(sobject: str = "Account", fields: Mapping[str, str] | None = None) -> str:
    """The WSDL of an outbound message for an sObject that selects `fields`: API name → XML type."""
    chosen = {"Name": "xsd:string"} if fields is None else fields
    lines = "".join(FIELD.format(name=name, type=xml_type) for name, xml_type in sorted(chosen.items()))
    return HEAD + OBJECT.format(sobject=sobject, fields=lines) + TAIL.format(sobject=sobject, address=ADDRESS)


def line_of(text: str, part: str) -> int:
    """The number of the first line that holds `part`, as an editor counts."""
    return text[: text.index(part)].count("\n") + 1


def select_fields(folder: Path, sobject: str = "Account", **fields: str) -> None:
    """Put a WSDL into the folder, as an administrator does who has changed what an outbound message selects."""
    typed = {name: f"xsd:{xml}" if xml != "ID" else "ent:ID" for name, xml in fields.items()}
    (folder / f"{sobject}.wsdl").write_text(wsdl_text(sobject, typed), encoding="utf-8")
