"""An sObject with as many fields and class tables as one likes, and messages about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import count
from types import new_class
from typing import Any

from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped

from omreceiver import ExternalId, Field, OutboundMessages, Record, RecordMixin
from omreceiver.records.layout import Model
from omreceiver.records.values import Value
from omreceiver.store.upgrade import upgrade
from omreceiver.testing import compose
from omreceiver.testing.messages import ORGANIZATION

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
#: letters of a value
WIDTH = 20


@dataclass(frozen=True)
class Things:
    """A leaf class at the end of a line of class tables, between which its fields are divided."""

    fields: int
    tables: int = 2

    @property
    def sobject(self) -> str:
        return f"Thing{self.fields}In{self.tables}__c"

    @cached_property
    def model(self) -> Model:
        parent: Any = new_class("Base", (RecordMixin, DeclarativeBase), {}, _shared)
        for level in range(self.tables):
            is_leaf = level == self.tables - 1
            name = f"Thing{self.fields}In{self.tables}" + ("" if is_leaf else f"Part{level}")
            declared = {"sobject": self.sobject} if is_leaf else {}
            parent = new_class(name, (parent,), declared, partial(dict.update, **self._columns(level)))
        leaf: Model = parent
        return leaf

    def _columns(self, level: int) -> dict[str, Any]:
        """The attributes that a class of the line declares; the root has the key too."""
        own: dict[str, Any] = {f"f{each}": Field(f"F{each}__c") for each in range(level, self.fields, self.tables)}
        types: dict[str, Any] = dict.fromkeys(own, Mapped[str | None])
        if level == 0:
            own, types = {"external_id": ExternalId("Key__c"), **own}, {"external_id": Mapped[str], **types}
        return {**own, "__annotations__": types, "__module__": __name__}

    def app(self, url: str) -> Flask:
        """A receiver of these on a database, its tables made."""
        app = Flask("benchmark")
        app.config.update(DATABASE_URL=url, OMRECEIVER_WSDL_DIR="nowhere", OMRECEIVER_ORGANIZATIONS=ORGANIZATION[:15])
        parts = OutboundMessages(self.model).init_app(app)
        upgrade(parts.engine, parts.models)
        return app

    def message(self, numbers: Iterable[int], change: int, **more: Value) -> bytes:
        return compose(self.sobject, *(self._record(number, change) | more for number in numbers))

    def _record(self, number: int, change: int) -> dict[str, Value]:
        texts = {f"F{field}__c": f"{number} {field} {change}".ljust(WIDTH, ".") for field in range(self.fields)}
        stamp = START + timedelta(seconds=change)
        return {"Id": f"a0x{number:012d}AAA", "Key__c": f"K-{number}", "SystemModstamp": stamp, **texts}

    def turns(self, size: int, first: int = 0) -> Iterator[list[bytes]]:
        """Turn after turn, messages of this size whose records are half new, half changed; the first turn's all new."""
        for change in count():
            if size == 1:
                numbers = [range(first + change + more, first + change + more + 1) for more in (0, 1)]
            else:
                numbers = [range(first + change * size // 2, first + change * size // 2 + size)]
            yield [self.message(each, change) for each in numbers]


def _shared(namespace: Any) -> None:
    namespace |= {"type_annotation_map": Record.type_annotation_map, "__module__": __name__}
