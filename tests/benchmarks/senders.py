"""Senders in a closed loop: some threads post messages that are ready, each waiting for its ack before the next."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Sequence

HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
SENDERS = 4


class NotAcknowledged(Exception):
    """A message was answered with something else than an ack, so that no figure counts."""


def seconds_for(port: int, path: str, bodies: Sequence[bytes], senders: int = SENDERS) -> float:
    """How long it takes until all are acknowledged. Raises NotAcknowledged."""
    waiting, lock = iter(bodies), threading.Lock()
    wrong: list[NotAcknowledged] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            for body in _taken(waiting, lock):
                post(connection, path, body)
        except (NotAcknowledged, OSError) as error:
            wrong.append(NotAcknowledged(str(error)))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(senders)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return time.perf_counter() - begin


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body, HEADERS)
    response = connection.getresponse()
    answer = response.read()
    if response.status != http.client.OK or b">true</" not in answer:
        raise NotAcknowledged(f"{response.status}: {answer[:300]!r}")


def _taken(waiting: Iterator[bytes], lock: threading.Lock) -> Iterator[bytes]:
    while True:
        with lock:
            body = next(waiting, None)
        if body is None:
            return
        yield body
