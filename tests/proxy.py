"""A TCP proxy between a receiver and its database, which a test can cut, stall and mend."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

from sqlalchemy.engine import make_url

PORTS = {"postgresql": 5432, "mariadb": 3306}
Address = tuple[str, int]


class Proxy:
    """Carries bytes both ways. `cut`: connections end, and new ones are refused. `stall`: it accepts and takes bytes,
    and carries none on. `mute`: the server hears and acts, and its answers do not arrive. `mend` ends all of it.
    """

    def __init__(self, server: Address) -> None:
        self._server = server
        self._asks, self._answers = Event(), Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[Thread] = []
        self._is_cut = False
        self._listener = self._listen(0)
        self.address: Address = self._listener.getsockname()
        self.mend()

    def cut(self) -> None:
        self._is_cut = True
        # a thread in accept() holds the port open until it is woken
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._asks.set()
        self._answers.set()
        for pair in list(self._pairs):
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        self._asks.clear()
        self._answers.clear()

    def mute(self) -> None:
        self._answers.clear()

    def mend(self) -> None:
        if self._is_cut:
            self._is_cut = False
            self._listener = self._listen(self.address[1])
        self._asks.set()
        self._answers.set()

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        self._start(self._accept, listener)
        return listener

    def _start(self, target: object, *arguments: object) -> None:
        thread = Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._start(self._join, client)

    def _join(self, client: socket.socket) -> None:
        """One connection, from its beginning to its end."""
        with suppress(OSError), closing(client), socket.create_connection(self._server) as server:
            self._pairs.append((client, server))
            if self._is_cut:
                return
            answers = Thread(target=self._carry, args=(server, client, self._answers), daemon=True)
            answers.start()
            self._carry(client, server, self._asks)
            answers.join()

    def _carry(self, source: socket.socket, target: socket.socket, gate: Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                gate.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the server of a database's URL, with the URL that leads through it."""
    parsed = make_url(url)
    proxy = Proxy((parsed.host or "127.0.0.1", parsed.port or PORTS[parsed.get_backend_name()]))
    host, port = proxy.address
    try:
        yield proxy, parsed.set(host=host, port=port).render_as_string(hide_password=False)
    finally:
        proxy.close()
