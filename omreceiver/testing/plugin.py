"""The pytest plugin; it comes with the package and needs no line in conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from omreceiver.testing import tapes
from omreceiver.testing.recorder import Recorder, recorded


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("omreceiver").addoption(
        "--update-tapes", action="store_true", help="Write the tapes of replay(…, tape=…) instead of comparing them."
    )


def pytest_configure(config: pytest.Config) -> None:
    tapes.is_updating = bool(config.getoption("--update-tapes"))


@pytest.fixture
def signals() -> Iterator[Recorder]:
    """Every signal of a record that is sent during the test, in order."""
    with recorded() as recorder:
        yield recorder
