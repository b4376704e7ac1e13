"""Field lists: which fields an action selects. Blank fields are not on the wire, so this alone tells NULL from absent.

Its sources, in order: the WSDL that the URL names; the WSDL or outbound-message definition that OMRECEIVER_ACTIONS
binds to the ActionId; the only WSDL for the sObject; the fields that the action has ever sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from omreceiver.config import Settings
from omreceiver.errors import Unavailable
from omreceiver.schema.catalog import Catalog
from omreceiver.schema.notification import Message
from omreceiver.store import tables
from omreceiver.store.database import for_writing

ACTION = tables.action.c


@dataclass(frozen=True)
class FieldLists:
    """Knows the field list of each action, from files or from what it sent before."""

    catalog: Catalog
    settings: Settings
    engine: Engine

    def selected(self, message: Message) -> frozenset[str]:
        """The fields that the message's action selects. What the message carries is selected in any case:
        all its notifications share one action. Raises Unavailable when the database is needed and away.
        """
        sent = message.sent_fields()
        name = self.source(message)
        listed = self.catalog.fields_of(name) if name else None
        return sent | (self._ever_sent(message, sent) if listed is None else listed)

    def source(self, message: Message) -> str | None:
        """The WSDL or outbound-message definition in force, or None when only experience tells."""
        bound = {action[:15]: name for action, name in self.settings.actions.items()}
        candidates = (
            message.wsdl,
            bound.get(message.action_id[:15]),
            self.catalog.only_wsdl(message.sobject or ""),
        )
        return next((name for name in candidates if name and self._fits(name, message)), None)

    def _fits(self, name: str, message: Message) -> bool:
        """A WSDL of another sObject says nothing about this message."""
        known = self.catalog.sobject_of(name)
        return known is not None and message.sobject in (known, None)

    def _ever_sent(self, message: Message, sent: frozenset[str]) -> frozenset[str]:
        try:
            with for_writing(self.engine).begin() as connection:
                return _remember(connection, message, sent)
        except IntegrityError:
            # another process saw this action for the first time in the same moment
            return self._ever_sent(message, sent)
        except SQLAlchemyError as error:
            cause = f"{type(error).__name__}; are the tables there? Run `omreceiver db check`"
            raise Unavailable(f"The field list of action {message.action_id} cannot be read ({cause}).") from error


def _remember(connection: Connection, message: Message, sent: frozenset[str]) -> frozenset[str]:
    mine = (ACTION.organization_id == message.organization_id) & (ACTION.action_id == message.action_id)
    before = connection.scalar(select(ACTION.fields).where(mine).with_for_update())
    everything = sent.union(before or ())
    row = {"sobject": message.sobject, "fields": sorted(everything), "seen_at": datetime.now(UTC)}
    if before is None:
        ids = {"organization_id": message.organization_id, "action_id": message.action_id}
        connection.execute(insert(tables.action), {**ids, **row})
    elif everything > set(before):
        connection.execute(update(tables.action).where(mine), row)
    return everything
