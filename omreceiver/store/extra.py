"""`extra`: the fields of a record that arrived and that its class has no column for, as text.

A record may change its class by the message of one action, while the fields of that class come from another one. So
what has a column in one class and none in the other goes to `extra` and comes back from it: which message was the
first makes no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omreceiver.records.layout import Layout
from omreceiver.records.values import as_text
from omreceiver.store.present import Present
from omreceiver.store.reading import Row


def settle(row: Row, before: Mapping[str, Any], left: Mapping[str, str]) -> dict[str, Any]:
    """Attribute → value, of `extra` and of the columns whose fields have waited there. What arrived goes over what
    arrived earlier, `before` and `left` by its class; a blank field is taken out.
    """
    if not (row.extra or left or before.get("extra")):
        return {"extra": None}
    told = {**(before.get("extra") or {}), **left, **row.extra}
    merged = {name: text for name, text in told.items() if text is not None}
    values: dict[str, Any] = {}
    for name in merged.keys() & row.layout.slots.keys():
        slot = row.layout.slots[name]
        if slot.attribute not in row.values:
            if before.get(slot.attribute) is not None:
                continue
            try:
                values[slot.attribute] = slot.read(merged[name])
            except (ValueError, OverflowError):
                # of another kind in the class that it came from: nothing is lost, it goes on waiting
                continue
        del merged[name]
    return {"extra": merged or None, **values}


def left_by(present: Present, of: Layout, to: Layout) -> dict[str, str]:
    """API name → text, of the fields whose columns a record leaves with its class."""
    values, stays = present.attributes(of), set(to.by_attribute.values())
    leaving = {name: slot.attribute for name, slot in of.slots.items() if of.by_attribute[slot.attribute] not in stays}
    return {name: as_text(values[each]) for name, each in leaving.items() if values[each] is not None}
