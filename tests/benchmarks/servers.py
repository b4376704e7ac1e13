"""The product and the floors under gunicorn, each on a database of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import processes
from tests.benchmarks import opportunities
from tests.conftest import ROOT
from tests.databases import drop_space, make_space, server, url_of_space

WORKERS = {"sqlite": 1, "postgresql": 2, "mariadb": 2}
OURS = "/outbound-messages"
#: seconds that a server may take to start
PATIENCE = 30


class NotThere(Exception):
    """A database or a floor that a benchmark needs is not on this machine."""


@dataclass(frozen=True)
class Target:
    """A program that takes messages."""

    name: str
    port: int
    path: str
    pid: int


@contextmanager
def databases(kind: str, folder: Path, *names: str) -> Iterator[list[str]]:
    """The URLs of empty databases of a kind. Raises NotThere when its server does not answer."""
    if kind == "sqlite":
        yield [f"sqlite:///{folder}/{name}.db" for name in names]
        return
    there = server(kind)
    try:
        for name in names:
            make_space(there, kind, f"_{name}")
        yield [url_of_space(kind, f"_{name}") for name in names]
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        raise NotThere(str(error)) from error
    finally:
        for name in names:
            drop_space(there, kind, f"_{name}")
        there.dispose()


def dsn(kind: str, url: str) -> str:
    """The same for a driver without SQLAlchemy."""
    return url.removeprefix("sqlite:///") if kind == "sqlite" else url


@contextmanager
def product(
    kind: str, url: str, folder: Path, name: str = "product", workers: int | None = None, **settings: str
) -> Iterator[Target]:
    """The product with the Opportunity's WSDL, its tables made. Raises NotThere when it does not start."""
    wsdls = folder / "wsdl"
    wsdls.mkdir(exist_ok=True)
    opportunities.write_wsdl(wsdls)
    given = {"DATABASE_URL": url, "OMRECEIVER_WSDL_DIR": str(wsdls), **opportunities.SETTINGS, **settings}
    command = [sys.executable, "-m", "omreceiver", "db", "create"]
    made = subprocess.run(command, cwd=ROOT, env=processes.environment(folder, **given), capture_output=True, text=True)
    if made.returncode:
        raise NotThere(made.stderr)
    with gunicorn("omreceiver:create_app()", workers or WORKERS[kind], ROOT, folder, **given) as (port, pid):
        yield Target(name, port, OURS, pid)


@contextmanager
def floor(kind: str, url: str, folder: Path, bench: Path) -> Iterator[Target]:
    """The floor on a database; that of PostgreSQL is in the folder `bench`. Raises NotThere when it is not."""
    ours = kind != "postgresql"
    if not ours and not (bench / "floor.py").is_file():
        raise NotThere(f"{bench} holds no floor.py")
    module, cwd = (f"tests.benchmarks.floor_{kind}", ROOT) if ours else ("floor", bench)
    given = {"FLOOR_DSN": dsn(kind, url), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-m", module], cwd=cwd, env=processes.environment(folder, **given), check=True)
    with gunicorn(f"{module}:app", WORKERS[kind], cwd, folder, **given) as (port, pid):
        yield Target("floor", port, "/", pid)


@contextmanager
def gunicorn(app: str, workers: int, cwd: Path, folder: Path, **settings: str) -> Iterator[tuple[int, int]]:
    """The port of a server that listens, and the number of its first process."""
    port = processes.free_port()
    command = [sys.executable, "-m", "gunicorn", "-w", str(workers), "-b", f"127.0.0.1:{port}", app]
    with ExitStack() as stack:
        log = stack.enter_context((folder / f"gunicorn-{port}.log").open("wb"))
        env = processes.environment(folder, **settings)
        running = stack.enter_context(subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log))
        stack.callback(running.terminate)
        _wait_for(port, running, Path(log.name))
        yield port, running.pid


def _wait_for(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and running.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise NotThere(f"gunicorn did not start; it printed:\n{log.read_text()}")
