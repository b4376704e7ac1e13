"""What is the same for every message broker: for how long one waits for it."""

from __future__ import annotations

#: seconds to reach one; the events wait, and so may the relay's other receivers
TIMEOUT = 4.0


def transport_options(url: str) -> dict[str, float]:
    """kombu's, for the broker of a URL. On Redis nothing else ends the wait for a server that has gone silent."""
    return {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT} if url.startswith("redis") else {}
