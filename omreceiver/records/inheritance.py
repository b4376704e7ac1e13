"""Who may derive from whom, and what a class may not declare again. Told when the class is defined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import MappedColumn, Mapper

from omreceiver.config import ON_DELETE
from omreceiver.errors import DeclarationError
from omreceiver.records.fields import salesforce_field

#: what every root has; a class declares none of them but external_id, and that with ExternalId
SYSTEM = ("child_name", "salesforce_id", "organization_id", "modstamp", "action_stamps", "extra")
#: what on_delete can say
DELETE, MARK = ON_DELETE


def parent_of(cls: type) -> Any:
    """The nearest mapped class above, or None for a root."""
    return next((above for above in cls.__mro__[1:] if "__mapper__" in above.__dict__), None)


def check_on_delete(cls: type, parent: Any, on_delete: str | None) -> None:
    """Raises DeclarationError for a word that means nothing, and below a root: a record is deleted as a whole."""
    if on_delete not in (None, DELETE, MARK):
        raise DeclarationError(f'{cls.__name__}: on_delete={on_delete!r}; expected "{DELETE}" or "{MARK}".')
    if on_delete and parent is not None:
        root = inspect(parent).base_mapper.class_.__name__
        raise DeclarationError(f"{cls.__name__} says on_delete, which is its root's to say. Write it on {root}.")


def check_line(cls: type, parent: Any) -> None:
    """Raises DeclarationError when a class derives from one that has none below, or declares a column again."""
    if parent is None:
        _refuse_system_columns(cls)
        return
    if not parent.__inheritable__:
        raise DeclarationError(
            f"{cls.__name__} derives from {parent.__name__}, which is declared inheritable=False. "
            f"Remove that from {parent.__name__}, or derive from a class above it."
        )
    mapper: Mapper[Any] = inspect(parent)
    # not by column_attrs, which configures all mappers: a class that a relationship names may be declared later
    columns = dict(mapper.columns.items())
    for name, value in _declared(cls, parent):
        if name in columns:
            _refuse(cls, name, _holder(mapper, columns[name]), name)
        mark = salesforce_field(value.column) if isinstance(value, MappedColumn) else None
        for key, theirs in columns.items():
            known = salesforce_field(theirs)
            if mark and known and mark.name == known.name and not known.external_id:
                _refuse(cls, name, _holder(mapper, theirs), key)


def _refuse_system_columns(cls: type) -> None:
    system = (*SYSTEM, "deleted_at") if getattr(cls, "__on_delete__", DELETE) == MARK else SYSTEM
    for name, _ in _declared(cls, object):
        if name in system:
            cure = "Give the attribute another name; Field takes the API name apart from it."
            raise DeclarationError(f"E008 {cls.__name__}.{name} is a column that every root has already. {cure}")


def _declared(cls: type, parent: type) -> Iterator[tuple[str, object]]:
    """The columns that a class declares itself or has from a mixin that its parent does not have."""
    for owner in (each for each in cls.__mro__ if each not in parent.__mro__):
        annotated = vars(owner).get("__annotations__", {})
        for name in {**annotated, **vars(owner)}:
            value = vars(owner).get(name)
            if isinstance(value, Column | MappedColumn) or (value is None and "Mapped[" in str(annotated.get(name))):
                yield name, value


def _holder(mapper: Mapper[Any], column: Column[Any]) -> Any:
    """The class of the line whose own table has the column."""
    line = (each for each in mapper.iterate_to_root() if column.table is each.local_table)
    return next(line, mapper).class_


def _refuse(cls: type, name: str, holder: Any, theirs: str) -> None:
    raise DeclarationError(
        f"E008 {cls.__name__}.{name} declares {holder.__name__}.{theirs} again, which {cls.__name__} inherits. "
        f"Remove it from {cls.__name__}, or from {holder.__name__} if the classes below shall have their own."
    )
