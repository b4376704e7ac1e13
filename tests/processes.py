"""Real servers and programs for tests: a free port, a time limit, an environment of their own, and always an end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from werkzeug.serving import make_server

#: seconds that a process may take to answer, or to end
LIMIT = 30
OURS = re.compile(r"OMRECEIVER_|DATABASE_URL$|TEST_|GUNICORN_CMD_ARGS$|WEB_CONCURRENCY$|NO_COLOR$|FORCE_COLOR$")
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Server:
    """A process that answers at `url`; what it printed so far is in `printed`."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def printed(self) -> str:
        return self.log.read_text()


@dataclass(frozen=True)
class Answer:
    """What an HTTP server answered."""

    status: int
    text: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path, **settings: str) -> dict[str, str]:
    """This process's environment without settings of the receiver, with the programs of this Python first."""
    kept = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": str(home), "PYTHONUNBUFFERED": "1", "TERM": "xterm", **settings}


def run(command: Sequence[str | Path], cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    env = environment(cwd, **settings)
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT)


@contextmanager
def live(app: Flask) -> Iterator[str]:
    """The URL of an app that is served in a thread of this process."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(LIMIT)
        server.server_close()


@contextmanager
def serving(command: str, port: int, cwd: Path, host: str = "127.0.0.1", **settings: str) -> Iterator[Server]:
    """Start a shell's command and wait until /healthz answers at the port; afterwards end it with all its children."""
    log, env = cwd / f"server-{port}.log", environment(cwd, **settings)
    with log.open("wb") as printed:
        # exec: the signals that a test sends are for the program, not for its shell
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            process_group=0,
        )
    server = Server(f"http://{host}:{port}", log, process)
    try:
        _wait_for(server)
        yield server
    finally:
        _end(process)


def get(url: str) -> Answer:
    """GET a URL; an error status is an answer too."""
    try:
        with urllib.request.urlopen(url, timeout=LIMIT) as response:
            return Answer(response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())


def _wait_for(server: Server) -> None:
    until = time.monotonic() + LIMIT
    while time.monotonic() < until and server.process.poll() is None:
        with suppress(OSError):
            if get(f"{server.url}/healthz").status == 200:
                return
        time.sleep(0.05)
    pytest.fail(f"no server at {server.url} (exit code {server.process.poll()}); it printed:\n{server.printed}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and after a while SIGKILL for whoever of its group is still there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
