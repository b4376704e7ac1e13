"""How the databases are opened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from sqlalchemy import Engine, text

from omreceiver.store.database import for_writing, open_engine


def test_connections_that_open_a_new_sqlite_file_at_once_all_wait_their_turn(tmp_path: Path) -> None:
    """As the workers of one server do; without the wait one file in ten ended in "database is locked"."""
    for at in range(100):
        together = Barrier(6)

        def write(engine: Engine, together: Barrier = together) -> None:
            together.wait()
            with for_writing(engine).begin() as connection:
                connection.execute(text("CREATE TABLE IF NOT EXISTS written (at INTEGER)"))

        engines = [open_engine(f"sqlite:///{tmp_path}/{at}.db") for _ in range(6)]
        with ThreadPoolExecutor(len(engines)) as pool:
            list(pool.map(write, engines))
        for engine in engines:
            engine.dispose()
