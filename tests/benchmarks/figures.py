"""Figures: what each part of the benchmarks measured, as JSON with the machine and the day. The page is made of it."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from tests.conftest import ROOT
from tests.databases import SERVERS, server

FOLDER = ROOT / "docs" / "figures"
DIGITS = 6
NAMES = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def save(part: str, measured: object) -> Path:
    """Keep what a part measured, in the place of what it measured before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{part}.json"
    kept = {"measured_on": datetime.now(UTC).date().isoformat(), "machine": machine(), "figures": _rounded(measured)}
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return path


def load(part: str) -> dict[str, Any] | None:
    path = FOLDER / f"{part}.json"
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def machine() -> dict[str, str]:
    """What the figures depend on, without the machine's name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **dict(_servers()),
    }


def _servers() -> Iterator[tuple[str, str]]:
    """The versions of the database servers that answer."""
    for kind in SERVERS:
        there = server(kind)
        try:
            with there.connect() as connection:
                version = connection.dialect.server_version_info or ()
        except DBAPIError:
            continue
        finally:
            there.dispose()
        yield NAMES[kind], ".".join(map(str, version))


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _rounded(value: Any) -> Any:
    """To as many digits as mean something, so that two runs can be compared by eye."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
