"""What can go wrong, as types. Nothing here logs, and nothing here knows HTTP beyond a status number.

OmreceiverError
├── ConfigurationError          the receiver does not start; the command line exits with 2
│   ├── SchemaError             a WSDL, describe or workflow file cannot be read
│   ├── DeclarationError        a mapped class contradicts itself or another one
│   │   └── ChecksFailed        what the system checks of all classes found
│   ├── DatabaseUnreachable     no database where the settings say there is one
│   └── TableTaken              a table of a class's name that holds something else
├── Refusal                     the message is not let in; nothing of it is read further
│   ├── BodyTooLarge · WrongContentType · DoctypeRefused · NotXml · NotSoap · NoNotifications
│   ├── UnknownWsdl             the URL names a WSDL that is not there
│   └── NotAdmitted             whom the guard turns away, and by which check
├── Unstorable                  one notification ends in quarantine; its neighbours do not
│   ├── UnreadableValue · MissingExternalId · KeyTooLong · NoRecordId · NoClass
│   ├── FromTheFuture · NoStamp
│   └── ConstraintViolated · ReceiverRaised
├── QueryError                  a query breaks a rule of SOQL
│   └── SoqlError               the same in a text, with the line and the column of it
├── WebhookRefused              who was posted to did not take an event
├── BrokerAway                  events for it wait
└── Unavailable                 try again later: no ack, HTTP 503, nothing written

The docstring of an error is its message unless the place that raises it has facts to add.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class OmreceiverError(Exception):
    """Something went wrong in omreceiver."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class ConfigurationError(OmreceiverError):
    """The settings do not fit together."""


class SchemaError(ConfigurationError):
    """A file that describes an sObject cannot be read."""

    def __init__(self, path: Path, line: int, expected: str) -> None:
        super().__init__(f"{path}, line {line}: expected {expected}")
        self.path = path
        self.line = line
        self.expected = expected


class DeclarationError(ConfigurationError):
    """A mapped class cannot be used as it is declared."""


class ChecksFailed(DeclarationError):
    """The declared classes break a rule."""

    def __init__(self, findings: Sequence[object]) -> None:
        super().__init__("\n".join(map(str, findings)))
        #: one for each thing that is wrong, with its number and its cure
        self.findings = tuple(findings)


class DatabaseUnreachable(ConfigurationError):
    """The database does not answer. Start it, or set DATABASE_URL to one that does."""


class TableTaken(ConfigurationError):
    """A table of a class's name is there already and is not of omreceiver."""

    def __init__(self, table: str) -> None:
        cure = "Declare a class with another __tablename__ for these records."
        super().__init__(f"There is a table {table} already, and it is not omreceiver's: it has no external_id. {cure}")
        self.table = table


class Refusal(OmreceiverError):
    """The message was refused."""

    #: what HTTP tells the sender
    status = 400
    #: what the Fault tells the sender; the log has the whole sentence
    public = "The message was refused."


class BodyTooLarge(Refusal):
    """The body is larger than OMRECEIVER_MAX_BODY allows."""

    status = 413
    public = "The body is too large."


class WrongContentType(Refusal):
    """The Content-Type is not text/xml or application/xml in UTF-8."""

    status = 415
    public = "Send text/xml in UTF-8."


class NotXml(Refusal):
    """The body is not well-formed XML."""

    public = "The body is not well-formed XML."


class DoctypeRefused(Refusal):
    """The body has a DOCTYPE. SOAP 1.1 section 3 forbids one, and Salesforce never sends one."""

    public = "A SOAP message must not contain a DOCTYPE."


class NotSoap(Refusal):
    """The body is XML but not a SOAP 1.1 envelope with a body."""

    public = "The body is not a SOAP 1.1 envelope."


class NoNotifications(Refusal):
    """The envelope holds no notifications element of http://soap.sforce.com/2005/09/outbound."""

    public = "The envelope holds no outbound notifications."


class UnknownWsdl(Refusal):
    """The URL names a WSDL that is not in the WSDL folder."""

    status = 404
    public = "There is nothing here."


class NotAdmitted(Refusal):
    """A check of the guard turned the sender away."""

    status = 403

    def __init__(self, check: str, reason: str, status: int = 403) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.status = status


class Unstorable(OmreceiverError):
    """This notification cannot be stored."""

    #: what the operator can do about it
    cure = ""


class UnreadableValue(Unstorable):
    """A field's text cannot be read as the field's type."""

    def __init__(self, field: str, text: str, expected: str) -> None:
        shown = text if len(text) <= 80 else text[:80] + "…"
        super().__init__(f"{field} holds {shown!r}, expected {expected}")
        self.field = field
        self.expected = expected


class MissingExternalId(Unstorable):
    """The external ID is blank."""

    cure = "Fill it in Salesforce, or set OMRECEIVER_MISSING_EXTERNAL_ID=use-salesforce-id."


class KeyTooLong(Unstorable):
    """The external ID is longer than 255 characters, the most that Salesforce allows one to have."""


class NoRecordId(Unstorable):
    """The sObject has no Id of 15 or 18 letters and digits."""


class FromTheFuture(Unstorable):
    """The record's stamp is more than a day ahead of this machine's clock; stored, it would shut out what follows."""

    cure = "Check this machine's clock, then retry it."


class NoStamp(Unstorable):
    """The action selects SystemModstamp or LastModifiedDate, which no record lacks, and this one came without."""

    cure = "Look at what stands between Salesforce and this receiver; without a stamp, order cannot be told."


class NoClass(Unstorable):
    """No mapped class takes this sObject."""

    cure = "Put its WSDL into the WSDL folder, or declare a class for it, and restart."


class ConstraintViolated(Unstorable):
    """The tables do not take the record: a constraint of theirs, or the type of a column."""


class ReceiverRaised(Unstorable):
    """A receiver of pre_save, post_save, pre_delete or post_delete raised."""


class QueryError(OmreceiverError):
    """A query breaks a rule of SOQL."""


class SoqlError(QueryError):
    """A SOQL text breaks a rule of SOQL; the message points at the place."""

    def __init__(self, sentence: str, text: str, line: int, column: int) -> None:
        shown = text.split("\n")[line - 1].rstrip()
        indent = "".join(letter if letter == "\t" else " " for letter in shown[: column - 1])
        super().__init__(f"line {line}, column {column}: {sentence}\n  {shown}\n  {indent}^")
        self.sentence = sentence
        self.text = text
        self.line = line
        self.column = column


class WebhookRefused(OmreceiverError):
    """A webhook was not answered with 2xx."""


class BrokerAway(OmreceiverError):
    """The broker does not answer. Start it; the events wait, and none of them counts an attempt."""


class Unavailable(OmreceiverError):
    """The database cannot take the message now; Salesforce will send it again."""

    status = 503
    public = "Not now. Send the message again later."
