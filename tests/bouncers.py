"""A PgBouncer of a test's own before the tests' PostgreSQL: transaction mode, and fewer connections than clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

from tests.databases import SERVERS
from tests.processes import free_port

#: seconds that it may take to answer
PATIENCE = 10
#: connections to the server, which all clients share
SIZE = 2
SETTINGS = """
[databases]
* = host={host} port={server_port} user={user}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 100
"""


@contextmanager
def bouncer(folder: Path) -> Iterator[str]:
    """The URL of the tests' database through it. Skips, or fails in CI, where PgBouncer is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        sentence = "pgbouncer is not here; install it."
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    server, port = make_url(SERVERS["postgresql"]), free_port()
    (folder / "pgbouncer.ini").write_text(_settings(server, port))
    url = server.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    with (folder / "pgbouncer.log").open("wb") as log:
        # it does not run as root
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, *user, "pgbouncer.ini"], cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(url, process, folder / "pgbouncer.log")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _settings(server: URL, port: int) -> str:
    return SETTINGS.format(
        host=server.host or "127.0.0.1",
        server_port=server.port or 5432,
        user=server.username,
        password=f" password={server.password}" if server.password else "",
        port=port,
        size=SIZE,
    )


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PgBouncer does not answer; it printed:\n{log.read_text()}")
