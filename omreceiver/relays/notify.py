"""Events to other programs by PostgreSQL's LISTEN and NOTIFY: no broker, and no relay between.

The transaction that writes a record's event notifies a channel, named `omreceiver.` and the schema, of the event's ID.
That is a wake-up and no more: a listener takes what waits in om_delivery, and so catches up with whatever it missed
while it, or the server, was away. Notifications themselves are lost when nobody listens (PostgreSQL's documentation,
NOTIFY).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from omreceiver.config import settings_from
from omreceiver.errors import ConfigurationError
from omreceiver.relays import outbox
from omreceiver.relays.outbox import Claim
from omreceiver.signals import committed
from omreceiver.signals.durable import Via
from omreceiver.signals.receiver import Senders, receiver
from omreceiver.store.database import open_for
from omreceiver.store.events import CHANNEL
from omreceiver.store.failures import said
from omreceiver.store.sessions import is_pooled

log = logging.getLogger(__name__)

#: how long a listener waits for a notification before it looks for what was due to come again
LOOK_AGAIN = timedelta(seconds=30)
#: between attempts to reach a server that is away
RECONNECT = timedelta(seconds=1)


@dataclass(frozen=True)
class Event:
    """A change of a record. Values are texts, as Salesforce writes them; `changed` has (old, new) by attribute."""

    id: int
    at: datetime
    class_name: str
    key: str
    salesforce_id: str | None
    created: bool
    deleted: bool
    raw: bool
    changed: dict[str, tuple[Any, Any]]


def notify(name: str, *, sender: Senders = None, fields: Collection[str] | None = None) -> None:
    """Keep events for listeners of this name, and notify them, under the name of a durable receiver.

    notify("dashboard", sender="Account")
    """
    receiver(committed, sender=sender, fields=fields, durable=name, via=Via.NOTIFY)(_for_listeners)


def listen(name: str, url: str | None = None) -> Generator[Event, None, None]:
    """The events of a name, as they come, and first those that wait; it never ends.

        for event in listen("dashboard"):
            show(event.key, event.changed)

    `url` is as DATABASE_URL, which it is taken from when not given; OMRECEIVER_SCHEMA is taken from the environment.
    It must be of the server itself, or of PgBouncer in session mode. An event counts as delivered when the next is
    asked for; what was not, as the program ended, comes again. Several listeners of one name share its events, those of
    one record in their order; listeners of several names have all of theirs.
    While the server is away it waits for it, with a line in the log.

    Raises ConfigurationError for another database than PostgreSQL, and for PgBouncer in transaction mode.
    """
    engine = open_for(settings_from({} if url is None else {"DATABASE_URL": url, "OMRECEIVER_POOL_MODE": "session"}))
    if engine.dialect.name != "postgresql":
        raise ConfigurationError(f"{engine.dialect.name} has no LISTEN; use a webhook or an exchange instead.")
    if is_pooled(engine):
        raise ConfigurationError(
            "PgBouncer forgets in transaction mode who listens. Give listen() the server's own address, as `url`."
        )
    with closing(_Listener(engine, name)) as listener:
        while True:
            try:
                yield from listener.until_it_breaks()
            except listener.away as error:
                log.warning("the database is away: %s", said(error), extra={"action": "listener_waits"})
                time.sleep(RECONNECT.total_seconds())


class _Listener:
    """One name's claims on an engine, and what of them is still to be written down."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        driver: Any = engine.dialect.loaded_dbapi
        #: what is raised while the server is away, by SQLAlchemy or the driver
        self.away = (OperationalError, InterfaceError, driver.OperationalError, driver.InterfaceError)
        self._unsettled: Claim | None = None

    def until_it_breaks(self) -> Iterator[Event]:
        """Raises an error of the database, or of its driver, when the server goes away."""
        with self._listening() as connection:
            while True:
                yield from self._waiting()
                for _ in connection.notifies(timeout=LOOK_AGAIN.total_seconds(), stop_after=1):
                    pass
                # shows that the server is still there; nothing else would on a line that went silent
                connection.execute("SELECT 1")

    def close(self) -> None:
        """What is not delivered is another's at once; where the server is away, when the lease has run out."""
        try:
            if self._unsettled is not None:
                outbox.give_back(self.engine, self._unsettled, None, called=True)
                with self.engine.begin() as connection:
                    connection.execute(select(func.pg_notify(CHANNEL, str(self._unsettled.event.event_id))))
        except DBAPIError as error:
            log.warning("an event waits for the end of its lease: %s", said(error), extra={"action": "listener_closed"})
        finally:
            self.engine.dispose()

    def _waiting(self) -> Iterator[Event]:
        while True:
            if self._unsettled is not None:
                outbox.delivered(self.engine, self._unsettled)
                self._unsettled = None
            taken = outbox.claim(self.engine, [self.name])
            if taken is None:
                return
            if taken.attempts > outbox.ATTEMPTS:
                outbox.failed(self.engine, taken, "The listener ended each time it had this event.", outbox.FIRST_PAUSE)
                continue
            self._unsettled = taken
            with outbox.leased(self.engine, taken):
                yield _event(taken)

    @contextmanager
    def _listening(self) -> Iterator[Any]:
        """A connection of psycopg's own that hears of new events."""
        with self.engine.connect() as asked:
            quoted = asked.scalar(select(func.quote_ident(CHANNEL)))
        pooled = self.engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        with closing(driver) as connection:
            connection.autocommit = True
            connection.execute(f"LISTEN {quoted}")
            yield connection


def _event(taken: Claim) -> Event:
    row = taken.event
    changed = {name: (old, new) for name, (old, new) in row.changed.items()}
    names = (row.event_id, row.created_at, row.child_name, row.external_id, row.record_id)
    return Event(*names, row.created, row.deleted, row.raw, changed)


def _for_listeners(sender: Any, **sent: Any) -> None:
    """What stands for the listeners among the durable receivers; nobody calls it."""
