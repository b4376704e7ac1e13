"""Stores what is in quarantine as if it had just come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice

from lxml import etree

from omreceiver.door import message
from omreceiver.errors import Refusal
from omreceiver.receive import Parts, receive
from omreceiver.redo.named import Named
from omreceiver.schema.wsdl import OUTBOUND, safe_parser
from omreceiver.store import quarantine
from omreceiver.store.plan import Outcome
from omreceiver.store.quarantine import Entry, Wanted

#: notifications that are stored in one transaction: as many as a message of Salesforce's may hold
TOGETHER = 100
#: what is said of one that the guard does not let in any more, or that is no XML
REFUSED = "refused"
#: around a notification that was kept before its head was
HEAD = (
    f'<notifications xmlns="{OUTBOUND}"><OrganizationId>{{}}</OrganizationId><ActionId>{{}}</ActionId></notifications>'
)


@dataclass(frozen=True)
class Retried:
    """What became of one entry of the quarantine."""

    entry: Entry
    #: an outcome, or REFUSED
    outcome: str
    reason: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.outcome not in (Outcome.QUARANTINED, REFUSED)


def entries(parts: Parts, wanted: Wanted, name: str | None = None, *, newest_first: bool = False) -> Iterator[Entry]:
    """The entries of the quarantine that meet every condition; `name` is that of an sObject or a mapped class."""
    if name is None:
        yield from quarantine.entries(parts.engine, wanted, newest_first=newest_first)
        return
    named = Named(parts.models, name)
    wanted = replace(wanted, sobjects=named.sobjects)
    for entry in quarantine.entries(parts.engine, wanted, newest_first=newest_first):
        sobject = parts.catalog.sobject_of(entry.wsdl)
        if named.has(message.read_notification(etree.fromstring(entry.fragment, safe_parser()), sobject)):
            yield entry


def retry(parts: Parts, chosen: Iterable[Entry]) -> Iterator[Retried]:
    """Store entries of the quarantine as if they had just come, and tell what became of each.

    Those that came in one way are stored in one transaction, up to 100. One that fails again stays in quarantine,
    with the new reason. Raises Unavailable when the database is away: then they stay as they are.
    """
    waiting = iter(chosen)
    while batch := list(islice(waiting, TOGETHER)):
        for (head, wsdl, raw), together in groupby(batch, lambda entry: (_head(entry), entry.wsdl, entry.raw)):
            yield from _retry(parts, head, wsdl, raw, list(together))


def _head(entry: Entry) -> str:
    return entry.head or HEAD.format(entry.organization_id, entry.action_id)


def _retry(parts: Parts, head: str, wsdl: str | None, raw: bool, together: list[Entry]) -> Iterator[Retried]:
    try:
        element = message.around(head, (entry.fragment for entry in together))
        came = {entry.notification_id: entry.quarantined_at for entry in together}
        receipt = receive(parts, element, wsdl, raw, came.__getitem__)
    except (Refusal, etree.XMLSyntaxError) as error:
        yield from (Retried(entry, REFUSED, str(error)) for entry in together)
        return
    settled = {each.notification.id: each for each in receipt.settled}
    for entry in together:
        became = settled[entry.notification_id]
        yield Retried(entry, str(became.outcome), str(became.error) if became.error else None)
