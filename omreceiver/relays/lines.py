"""Events as lines of JSON on standard output, for a pipe: `omreceiver relay | jq .data.key`."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from omreceiver.errors import BrokerAway
from omreceiver.relays.payload import payload
from omreceiver.signals import committed
from omreceiver.signals.listening import When
from omreceiver.signals.receiver import Senders, receiver


def lines(
    name: str, *, sender: Senders = None, fields: Collection[str] | None = None, when: When | None = None
) -> None:
    """Have `omreceiver relay` print every event, a line each, under the name of a durable receiver.

        lines("log", sender="Account")

    Nothing else is printed there. A line counts as delivered when the pipe has taken it.
    """

    @receiver(committed, sender=sender, fields=fields, when=when, durable=name)
    def print_line(sender: Any, **sent: Any) -> None:
        try:
            sys.stdout.write(payload(sender, sent) + "\n")
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise BrokerAway("Nobody reads standard output any more.") from error
