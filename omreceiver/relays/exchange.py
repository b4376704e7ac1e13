"""Events to an exchange of a message broker: RabbitMQ, Redis, SQS, or whatever kombu knows."""

from __future__ import annotations

from collections.abc import Collection
from types import ModuleType
from typing import Any

from omreceiver.errors import BrokerAway, ConfigurationError
from omreceiver.relays.broker import TIMEOUT, transport_options
from omreceiver.relays.library import library
from omreceiver.relays.payload import kind, payload
from omreceiver.signals import committed
from omreceiver.signals.listening import When
from omreceiver.signals.receiver import Senders, receiver

#: a connection that went stale is made anew once, at once
RETRY = {"max_retries": 1, "interval_start": 0}


def exchange(
    name: str,
    url: str,
    *,
    to: str = "omreceiver",
    sender: Senders = None,
    fields: Collection[str] | None = None,
    when: When | None = None,
) -> None:
    """Have `omreceiver relay` publish every event to the topic exchange `to`, under the name of a durable receiver.

        exchange("warehouse", "amqp://guest:guest@localhost//", to="salesforce", sender="Account")

    `url` is kombu's. The body is the JSON of a webhook; the routing key is its type, as `Account.updated`; messages
    are persistent, and on RabbitMQ delivered only when it has confirmed them and a queue took them: bind yours
    first. A broker that is away makes no event fail. Raises ConfigurationError where `kombu` is missing.
    """
    kombu, pools, amqp = (library(each, "kombu") for each in ("kombu", "kombu.pools", "amqp.exceptions"))
    connection = _connection(kombu, name, url)
    away = (kombu.exceptions.OperationalError, *connection.connection_errors, amqp.AccessRefused, amqp.NotAllowed)
    topic = kombu.Exchange(to, type="topic", durable=True)

    @receiver(committed, sender=sender, fields=fields, when=when, durable=name)
    def publish(sender: Any, **sent: Any) -> None:
        body = payload(sender, sent)
        try:
            with pools.producers[connection].acquire(block=True) as producer:
                producer.publish(
                    body,
                    exchange=topic,
                    routing_key=kind(sender, sent),
                    declare=[topic],
                    content_type="application/json",
                    content_encoding="utf-8",
                    delivery_mode="persistent",
                    mandatory=True,
                    message_id=f"{name}-{sent['event_id']}",
                    retry=True,
                    retry_policy=RETRY,
                )
        except away as error:
            raise BrokerAway(f"The broker of {name!r} is away: {error}") from error


def _connection(kombu: ModuleType, name: str, url: str) -> Any:
    """To the broker; it does not connect yet. Raises ConfigurationError for a URL that cannot be."""
    options = {"confirm_publish": True, **transport_options(url)}
    try:
        connection = kombu.Connection(url, connect_timeout=TIMEOUT, transport_options=options)
        # by its name the transport is found only now
        connection.get_transport_cls()
    except Exception as error:
        # what it says may hold a piece of the password
        cure = "Write / : and @ in a password as %2F, %3A and %40."
        raise ConfigurationError(
            f"The URL of the exchange {name!r} cannot be: {type(error).__name__}. {cure}"
        ) from None
    return connection
