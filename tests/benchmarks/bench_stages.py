"""The stages of one message in one process: read, plan, store on each database, and the whole way through the WSGI app.

    python -m pytest tests/benchmarks/bench_stages.py --benchmark-json stages.json

Each round takes a message of its own, half of its records new and half changed, made ready before the clock begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from omreceiver.app import parts_of
from omreceiver.door import message as door
from omreceiver.door import soap
from omreceiver.receive import Parts
from omreceiver.schema.notification import Message
from omreceiver.store import apply, plan
from omreceiver.store.deadline import Deadline
from omreceiver.store.plan import Plan
from omreceiver.store.reading import Reading
from tests.benchmarks import opportunities
from tests.benchmarks.through import send
from tests.conftest import MakeApp

ROUNDS = {1: 200, 100: 40}
WARM = 5
Bodies = Iterator[bytes]


@pytest.fixture(params=sorted(ROUNDS), ids=lambda size: f"{size}-a-message")
def size(request: pytest.FixtureRequest) -> int:
    chosen: int = request.param
    return chosen


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path, request: pytest.FixtureRequest) -> Flask:
    """On the database of a test that wants one of each kind, else on SQLite."""
    kind = "database_url" if "database_url" in request.fixturenames else "sqlite_url"
    opportunities.write_wsdl(tmp_path)
    return make_app(request.getfixturevalue(kind), wsdl_dir=tmp_path, **opportunities.SETTINGS)


@pytest.fixture
def bodies(size: int) -> Bodies:
    """Messages; of one after the other, half of the records are those of the one before. The first of all is new."""
    if size > 1:
        return (opportunities.message(size, turn * size // 2, turn) for turn in count())
    return (opportunities.message(1, turn // 2, turn) for turn in count())


@pytest.fixture
def measure(benchmark: Any, size: int, request: pytest.FixtureRequest) -> Callable[..., None]:
    """measure(stage, ready): the time of stage(ready()), `ready` before the clock begins."""
    benchmark.group = f"{size} a message"
    benchmark.extra_info["size"] = size

    def run(stage: Callable[[Any], object], ready: Callable[[], object]) -> None:
        given = {"setup": lambda: ((ready(),), {}), "rounds": ROUNDS[size], "warmup_rounds": WARM}
        benchmark.pedantic(stage, **given)

    return run


def read(body: bytes) -> Message:
    return door.read(soap.parse(body)[-1][0])


def planned(parts: Parts, message: Message) -> Plan:
    selected = parts.field_lists.selected(message, deadline(parts, message))
    return plan.make(message, Reading(parts.models, selected.fields, parts.settings, selected.action))


def deadline(parts: Parts, message: Message) -> Deadline:
    return Deadline.of(message, parts.settings.time_limit, parts.settings.slow_receiver)


def test_read(measure: Callable[..., None], bodies: Bodies) -> None:
    measure(read, lambda: next(bodies))


def test_plan(measure: Callable[..., None], bodies: Bodies, app: Flask) -> None:
    parts = parts_of(app)
    measure(lambda message: planned(parts, message), lambda: read(next(bodies)))


def test_store(measure: Callable[..., None], bodies: Bodies, database_url: str, app: Flask) -> None:
    parts = parts_of(app)

    def store(made: Plan) -> None:
        apply.apply(made, parts.engine, parts.field_lists, deadline(parts, made.message))

    measure(store, lambda: planned(parts, read(next(bodies))))


def test_whole(measure: Callable[..., None], bodies: Bodies, database_url: str, app: Flask) -> None:
    measure(lambda body: send(app, body), lambda: next(bodies))
