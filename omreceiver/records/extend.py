"""Puts a record into a class of yours. SQLAlchemy gives an instance its class once and for all; the tables do not."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from omreceiver.errors import DeclarationError
from omreceiver.records.layout import Layout
from omreceiver.records.record import RecordMixin

R = TypeVar("R", bound=RecordMixin)


def extend(session: Session, record: RecordMixin, model: type[R], **values: Any) -> R:
    """Put a record of `session` into `model`, a class of yours below the record's own, and give it as one of that.

    `values` are the attributes of `model` to begin with. The messages that follow keep the record there. The instance
    that was given leaves the session: use the one that comes back. Raises DeclarationError for any other class.
    """
    if not model.__extends__ or not issubclass(model, type(record)) or model is type(record):
        cure = "Name a class below it that has neither sobject= nor when=."
        raise DeclarationError(f"A {type(record).__name__} cannot be put into {model.__name__}. {cure}")
    key, layout = record.external_id, Layout(model)
    below = layout.tables[len(Layout(type(record)).tables) :]
    unknown = values.keys() - {name for table in below for name in layout.columns[table]}
    if unknown:
        raise DeclarationError(f"{model.__name__} has no attribute of its own named {', '.join(sorted(unknown))}.")
    session.flush()
    for table in below:
        own = {column.name: values[name] for name, column in layout.columns[table].items() if name in values}
        session.execute(insert(table), {"external_id": key, **own})
    root = layout.root
    session.execute(update(root).where(root.c.external_id == key).values(child_name=layout.name))
    session.expunge(record)
    return session.get_one(model, key)
