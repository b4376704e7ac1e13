"""A receiver that reads what changed: what the receiver of a record's old values costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omreceiver import Change, post_save, receiver
from tests.benchmarks.opportunities import SOBJECT

seen = 0


@receiver(post_save, sender=SOBJECT)
def read(sender: object, changed: Mapping[str, Change], **kwargs: Any) -> None:
    global seen
    seen += sum(change.old != change.new for change in changed.values())
