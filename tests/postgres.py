"""A PostgreSQL server of a test's own, which the test may stop as it likes: nobody else's is harmed.

It listens on a socket in its own folder and on no port, which could be somebody else's when it comes back.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

#: seconds that a program of PostgreSQL may take; a server that was stopped hard recovers first
PATIENCE = 60
#: PostgreSQL does not run as root; whoever of these is there stands in
STAND_INS = ("postgres", "nobody")


@dataclass(frozen=True)
class Postgres:
    """A server in a folder; fsync is on, as it is by default."""

    binaries: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql://storm@/postgres?host={self.folder}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def create(self) -> None:
        self._run("initdb", "--username=storm", "--auth=trust", "--no-locale", "--encoding=UTF8")
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n")

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", f"--timeout={PATIENCE}", f"--log={self.log}")

    def stop(self) -> None:
        """As if somebody had pulled the plug: no transaction ends, and the next start recovers from the log."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def is_up(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), f"--pgdata={self.folder / 'data'}", *arguments]
        owner, is_root = self.folder.stat(), os.geteuid() == 0
        # the server that pg_ctl leaves behind would hold a pipe open
        with (self.folder / "programs").open("w+b") as printed:
            done = subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                timeout=PATIENCE + 10,
                user=owner.st_uid if is_root else None,
                group=owner.st_gid if is_root else None,
                extra_groups=[] if is_root else None,
            )
            printed.seek(0)
            said = printed.read().decode(errors="replace")
        if done.returncode:
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{said}\n{log[-3000:]}")


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A server that runs, on an empty database. Skips, or fails in CI, where PostgreSQL is not installed."""
    binaries = _binaries()
    # short: the path of a socket has some hundred characters at most; and not pytest's, which is closed to others
    server = Postgres(binaries, Path(tempfile.mkdtemp(prefix="storm-")))
    try:
        _give_away(server.folder)
        server.create()
        server.start()
        yield server
    finally:
        try:
            if server.is_up():
                server.stop()
        finally:
            shutil.rmtree(server.folder)


def _binaries() -> Path:
    """Where initdb and pg_ctl are: on the path, where pg_config says, or where Debian keeps them, the newest first."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    places = [Path(found).parent for found in [shutil.which("initdb")] if found]
    if shutil.which("pg_config"):
        said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
        places.append(Path(said.stdout.strip()))
    for place in (*places, *debian):
        if (place / "initdb").exists() and (place / "pg_ctl").exists():
            return place
    sentence = "initdb and pg_ctl are not here; install the server of PostgreSQL."
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def _give_away(folder: Path) -> None:
    """Root gives the folder to a user who may run the server."""
    if os.geteuid() == 0:
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        owner = next(known[name] for name in STAND_INS if name in known)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
