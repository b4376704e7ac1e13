"""Record: class-table inheritance. One table a class, one key through them all, the root knows the leaf."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from omreceiver.records.columns import ExactString, Json, UTCDateTime
from omreceiver.records.fields import Key, settle_types
from omreceiver.records.naming import snake_case
from omreceiver.records.references import settle_references
from omreceiver.records.types import VALUE_TYPES

CHARSET: dict[str, Any] = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


class RecordMixin:
    """Makes the classes below it records, on whatever declarative base it is mixed into.

    `class Account(Record, sobject="Account")` maps an sObject; a class without `sobject` is a root of your own or,
    below a mapped one, the same sObject's leaf for the records that `when` describes, such as
    `when={"RecordTypeId": "012000000000001AAA"}`, out of those that its parent takes. The first mapped class of a
    line is its root and holds `external_id`, `child_name` (the leaf class), `salesforce_id`, `organization_id`,
    `modstamp` and `extra`; every class below has a table with `external_id` and its own columns.

    On your own base: `class Base(RecordMixin, YourBase): __abstract__ = True`.
    """

    __sobject__: ClassVar[str | None] = None
    __when__: ClassVar[Mapping[str, str]] = {}

    if TYPE_CHECKING:
        external_id: Mapped[str]
        child_name: Mapped[str]
        salesforce_id: Mapped[str]
        organization_id: Mapped[str]
        modstamp: Mapped[datetime | None]
        extra: Mapped[dict[str, str] | None]

    def __init_subclass__(
        cls, *, sobject: str | None = None, when: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        inherited = cls.__when__ if sobject in (None, cls.__sobject__) else {}
        if sobject is not None:
            cls.__sobject__ = sobject
        cls.__when__ = {**inherited, **(when or {})}
        settle_references(cls)
        settle_types(cls)
        if _is_mapped(cls):
            _lay_table(cls)
        super().__init_subclass__(**kwargs)


def _is_mapped(cls: type) -> bool:
    """Not a declarative base, and not abstract itself."""
    return DeclarativeBase not in cls.__bases__ and not cls.__dict__.get("__abstract__", False)


def _parent(cls: type) -> Any:
    """The nearest mapped class above, or None for a root."""
    above = (c for c in cls.__mro__[1:] if issubclass(c, RecordMixin) and "__mapper__" in c.__dict__)
    return next(above, None)


def _lay_table(cls: Any) -> None:
    parent = _parent(cls)
    if "__tablename__" not in cls.__dict__:
        cls.__tablename__ = snake_case(cls.__name__)
    if "__table_args__" not in cls.__dict__:
        cls.__table_args__ = CHARSET
    arguments = dict(cls.__dict__.get("__mapper_args__", {}), polymorphic_identity=cls.__name__)
    if parent is None:
        _lay_root(cls)
        arguments["polymorphic_on"] = "child_name"
    else:
        key = parent.__table__.c.external_id
        cascade = ForeignKey(key, onupdate="CASCADE", ondelete="CASCADE")
        cls.external_id = mapped_column(cascade, type_=key.type, primary_key=True)
    cls.__mapper_args__ = arguments


def _lay_root(cls: Any) -> None:
    """The system columns. A key of the class's own, declared with ExternalId, stands."""
    if not hasattr(cls, "external_id"):
        cls.external_id = mapped_column(Key(), primary_key=True)
    cls.child_name = mapped_column(ExactString(80), nullable=False)
    cls.salesforce_id = mapped_column(ExactString(18), nullable=False, unique=True)
    cls.organization_id = mapped_column(ExactString(18), nullable=False)
    cls.modstamp = mapped_column(UTCDateTime(), nullable=True)
    cls.extra = mapped_column(Json, nullable=True)


class Record(RecordMixin, DeclarativeBase):
    """The declarative base to derive records from when you have none of your own."""

    type_annotation_map = {python: value.column for python, value in VALUE_TYPES.items()}
