"""omreceiver send: composes a message from a WSDL, as Salesforce would, and sends it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from omreceiver.app import parts_of
from omreceiver.cli.opening import check_tables, open_app
from omreceiver.cli.output import json_option, print_rows
from omreceiver.cli.replay import verdict
from omreceiver.config import Settings
from omreceiver.errors import ConfigurationError
from omreceiver.records.types import VALUE_TYPES, python_type
from omreceiver.schema.catalog import Catalog
from omreceiver.schema.objecttype import ObjectType
from omreceiver.store.plan import MOMENTS, Outcome
from omreceiver.testing.messages import ACTION, ORGANIZATION, compose, new_id
from omreceiver.testing.replay import Replayed, post, send_to


@click.command()
@click.argument("sobject")
@click.argument("fields", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--url", help="Send to a running server instead of receiving in this process.")
@json_option
def send(sobject: str, fields: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Compose a message about one record and send it, such as `omreceiver send Account Name=Acme ERP_Id__c=A-1`.

    SOBJECT is an sObject or the stem of a WSDL. Names and values are checked against the WSDL. Id, if it is not
    given, is a new one. Exit code 1 when the message is not acknowledged, or the record is quarantined.
    """
    settings = Settings.from_environment()
    catalog = Catalog.read(settings.wsdl_dir)
    object_type = _object_type(catalog, sobject)
    record = _record(object_type, fields)
    organization = next(iter(settings.organizations), ORGANIZATION)
    bound = (action for action, name in settings.actions.items() if catalog.sobject_of(name) == object_type.name)
    body = compose(object_type.name, record, organization_id=organization, action_id=next(bound, ACTION))
    answer = _to_server(url, body) if url else _to_app(body)
    for settled in answer.receipt.settled if answer.receipt else ():
        if settled.error:
            click.echo(f"{settled.outcome}: {settled.error}", err=True)
    rows = [(record["Id"], list(answer.outcomes.values()), verdict(answer))]
    print_rows(("record", "outcome", "answer"), rows, as_json=as_json)
    sys.exit(0 if answer.ack and Outcome.QUARANTINED not in answer.outcomes.values() else 1)


def _object_type(catalog: Catalog, name: str) -> ObjectType:
    objects = catalog.objects()
    known = catalog.sobject_of(name) or name
    if known not in objects:
        there = ", ".join(sorted({*objects, *catalog.wsdls})) or "none"
        raise click.UsageError(f"There is no WSDL for {name}. There are: {there}.")
    return objects[known]


def _record(object_type: ObjectType, fields: tuple[str, ...]) -> dict[str, str]:
    """Fields from NAME=VALUE, each of them known and readable."""
    record = {"Id": new_id(object_type.key_prefix or "a00")}
    for field in fields:
        name, mark, text = field.partition("=")
        if not mark or (name != "Id" and name not in object_type.fields):
            there = ", ".join(sorted({"Id", *object_type.fields}))
            raise click.UsageError(f"{field!r} is not NAME=VALUE of a field of {object_type.name}: {there}.")
        if text and name != "Id":
            _check(object_type, name, text)
        record[name] = text
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    # Salesforce fills them in every record
    stamps = {name: now for name in MOMENTS if name in object_type.fields}
    return {**stamps, **record}


def _check(object_type: ObjectType, name: str, text: str) -> None:
    value_type = VALUE_TYPES[python_type(object_type.fields[name])]
    try:
        value_type.read(text)
    except ValueError as error:
        raise click.UsageError(f"{name}={text} cannot be read, expected {value_type.expected}.") from error


def _to_app(body: bytes) -> Replayed:
    app = open_app()
    check_tables(parts_of(app))
    return post(app, body)


def _to_server(url: str, body: bytes) -> Replayed:
    try:
        return send_to(url, body)
    except OSError as error:
        raise ConfigurationError(f"{url} does not answer ({error}). Is the server running?") from error
