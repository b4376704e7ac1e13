"""The pytest plugin; it comes with the package and needs no line in conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from omreceiver.testing.recorder import Recorder, recorded


@pytest.fixture
def signals() -> Iterator[Recorder]:
    """Every pre_save, post_save and committed that is sent during the test, in order."""
    with recorded() as recorder:
        yield recorder
