"""The WSDL of the common URL: what every mapped sObject looks like, in the words of Salesforce's own WSDLs."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

from flask import render_template

from omreceiver.records.fields import salesforce_field
from omreceiver.records.models import Models
from omreceiver.records.types import RecordId

XSD_TYPES: dict[object, str] = {
    RecordId: "ent:ID",
    bool: "xsd:boolean",
    int: "xsd:long",
    float: "xsd:double",
    Decimal: "xsd:double",
    date: "xsd:date",
    datetime: "xsd:dateTime",
    time: "xsd:time",
    bytes: "xsd:base64Binary",
}


def common_wsdl(models: Models, url: str) -> str:
    """A WSDL whose sObject may be any of the mapped ones, told apart by xsi:type, with `url` as its address."""
    objects = {sobject: _fields(models, sobject) for sobject in models.sobjects}
    return render_template("omreceiver/common.wsdl.xml", objects=objects, url=url)


def _fields(models: Models, sobject: str) -> list[tuple[str, str]]:
    """(API name, XML type) of every field that any class of the sObject maps, in Salesforce's ASCII order."""
    found: dict[str, str] = {}
    for model in models.of(sobject):
        columns = [attribute.columns[0] for attribute in models.layouts[model].mapper.column_attrs]
        columns.append(models.layouts[model].root.c.external_id)
        marks = [mark for column in columns if (mark := salesforce_field(column))]  # type: ignore[arg-type]
        found.update({mark.name: XSD_TYPES.get(mark.python, "xsd:string") for mark in marks})
    return sorted(found.items())
