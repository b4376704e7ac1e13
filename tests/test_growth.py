"""How the work for a message grows, in calls and statements, which no load changes: never faster than what is
in it. How long it takes is measured by `make bench`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import configure_mappers

from omreceiver import Change, post_save
from omreceiver.app import parts_of
from omreceiver.testing.replay import post
from tests.conftest import MakeApp
from tests.statements import of_the_message, statements
from tests.things import Things

#: how far the steps between equal distances may differ
STEPS = 0.05


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, of Python and of C."""
    seen = 0

    def count(_frame: object, kind: str, _argument: object) -> None:
        nonlocal seen
        seen += kind in {"call", "c_call"}

    gc.collect()
    gc.disable()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return seen


def calls_of_a_message(app: Flask, things: Things, size: int, first: int = 0) -> int:
    """Of one with half new and half changed records, when others of its kind have gone before."""
    configure_mappers()
    turns = things.turns(size, first)
    for _ in range(3):
        *_, body = next(turns)
        assert post(app, body).ack
    *_, body = next(turns)
    return calls_of(lambda: post(app, body))


def check_steps(counts: list[int]) -> None:
    """At equal distances the steps are equal; so what is counted lies on a line."""
    steps = [after - before for before, after in pairwise(counts)]
    assert steps == [pytest.approx(steps[0], rel=STEPS)] * len(steps), counts


def test_calls_are_linear_in_notifications(make_app: MakeApp, sqlite_url: str) -> None:
    things = Things(fields=10)
    app = make_app(sqlite_url, things.model)
    check_steps([calls_of_a_message(app, things, size, first=size * 1000) for size in (40, 80, 120)])


def test_calls_are_linear_in_fields(make_app: MakeApp, tmp_path: Path) -> None:
    counts = []
    for fields in (20, 60, 100):
        things = Things(fields)
        counts.append(calls_of_a_message(make_app(f"sqlite:///{tmp_path}/{fields}.db", things.model), things, 20))
    check_steps(counts)


def test_calls_are_linear_in_receivers(make_app: MakeApp, sqlite_url: str) -> None:
    """Each one more costs what the one before did, once somebody listens."""
    things, counts = Things(fields=10), list[int]()
    app = make_app(sqlite_url, things.model)
    with ExitStack() as stack:
        for first in (0, 1000, 2000, 3000):
            stack.enter_context(post_save.connected_to(_reader(), sender=things.model))
            counts.append(calls_of_a_message(app, things, 20, first))
    check_steps(counts)


def _reader() -> Any:
    def read(sender: object, changed: Mapping[str, Change], **kwargs: Any) -> None:
        assert changed

    return read


@pytest.mark.parametrize("tables", [1, 2, 3, 4])
def test_statements_are_constant_in_notifications(make_app: MakeApp, database_url: str, tables: int) -> None:
    """Half new, half changed: for ten as for a hundred, and at most two for each class table plus four."""
    things, counts = Things(fields=5, tables=tables), []
    app = make_app(database_url, things.model)
    for size in (10, 100):
        turns = things.turns(size, first=size * 1_000_000)
        for _ in range(2):
            [body] = next(turns)
            assert post(app, body).ack
        [body] = next(turns)
        with statements(parts_of(app).engine) as sent:
            outcomes = post(app, body).outcomes
        assert set(outcomes.values()) == {"created", "updated"}
        counts.append(len(of_the_message(sent)))
    assert counts[0] == counts[1], sent
    assert counts[1] <= 2 * tables + 4, sent
