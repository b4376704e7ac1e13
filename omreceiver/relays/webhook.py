"""Events by HTTP POST, signed as Standard Webhooks says (www.standardwebhooks.com), which their libraries verify."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from omreceiver.errors import ConfigurationError, WebhookRefused
from omreceiver.relays.library import library
from omreceiver.relays.payload import payload
from omreceiver.signals import committed
from omreceiver.signals.listening import When
from omreceiver.signals.receiver import Senders, receiver

#: seconds; a receiver of webhooks is to answer first and work afterwards
TIMEOUT = 15.0


def webhook(
    name: str,
    url: str,
    secret: str,
    *,
    sender: Senders = None,
    fields: Collection[str] | None = None,
    when: When | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Have `omreceiver relay` post every event to a URL, under the name of a durable receiver.

        webhook("partner", "https://partner.example/salesforce", partner_secret, sender="Account")

    `secret` is a text of base64, with whsec_ before it or not; whoever receives has the same. Anything but an answer of
    2xx is a failure, and so is a silence of `timeout` seconds; it is posted again as every durable receiver is called
    again, with the same webhook-id. Redirects are not followed. Raises ConfigurationError for a URL or a secret that
    cannot be, and where `httpx` or `standardwebhooks` are missing.
    """
    httpx, standardwebhooks = library("httpx", "webhook"), library("standardwebhooks", "webhook")
    if not url.startswith(("https://", "http://")):
        # the URL itself may be a secret, here and below
        raise ConfigurationError(f"The URL of the webhook {name!r} does not begin with https://.")
    try:
        signer = standardwebhooks.Webhook(secret)
    except Exception as error:
        # the error itself may hold the secret
        raise ConfigurationError(f"The secret of the webhook {name!r} is no base64: {type(error).__name__}.") from None
    if not logging.getLogger("httpx").level:
        # it tells the whole URL of each request
        logging.getLogger("httpx").setLevel(logging.WARNING)
    client = httpx.Client(timeout=timeout, follow_redirects=False)

    @receiver(committed, sender=sender, fields=fields, when=when, durable=name)
    def post(sender: Any, **sent: Any) -> None:
        body, now = payload(sender, sent), datetime.now(UTC)
        message_id = f"{name}-{sent['event_id']}"
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(message_id, now, body),
        }
        with client.stream("POST", url, content=body.encode(), headers=headers) as answer:
            if not answer.is_success:
                raise WebhookRefused(f"{answer.url.host} answered {answer.status_code} {answer.reason_phrase}.")
