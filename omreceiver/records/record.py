"""Record: class-table inheritance. One table a class, one key through them all, the root knows the leaf."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import ForeignKey, and_, inspect, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, QueryableAttribute, mapped_column, object_session

from omreceiver.errors import QueryError
from omreceiver.records.columns import CHARSET, ExactString, Json, SalesforceId, UTCDateTime
from omreceiver.records.compounds import settle_compounds, watch_assignments
from omreceiver.records.fields import Key, attributes_of, settle_types
from omreceiver.records.inheritance import DELETE, MARK, check_line, check_on_delete, parent_of
from omreceiver.records.loading import watch
from omreceiver.records.naming import snake_case
from omreceiver.records.references import settle_references
from omreceiver.records.related import ReferenceTo
from omreceiver.records.types import VALUE_TYPES


class FieldsOfClass:
    """`Account.fields`: attribute → what a query takes, of every column of a class, inherited ones included."""

    def __get__(self, instance: object, owner: type[Any]) -> Mapping[str, QueryableAttribute[Any]]:
        mapper: Mapper[Any] = inspect(owner)
        return {attribute.key: getattr(owner, attribute.key) for attribute in mapper.column_attrs}


class RecordMixin:
    """Makes the classes below it records, on whatever declarative base it is mixed into.

    `class Account(Record, sobject="Account")` maps an sObject; a class without `sobject` is a root of your own or,
    below a mapped one, the same sObject's leaf for the records that `when` describes, such as
    `when={"RecordTypeId": "012000000000001AAA"}`, out of those that its parent takes. The first mapped class of a
    line is its root and holds `external_id`, `child_name` (the leaf class), `salesforce_id`, `organization_id`,
    `modstamp`, `action_stamps` and `extra`; every class below has a table with `external_id` and its own columns.

    A class below a mapped one with neither `sobject` nor `when` is yours: the receiver keeps a record in it and
    never puts one there, unless `local=True` says that every record of the parent shall have a row in it.
    `inheritable=False` is for a class that has none below: such a root needs no `child_name`.

    A record that is deleted in Salesforce loses its rows; `on_delete="mark"` on a root keeps them, and sets the
    column `deleted_at`.

    On your own base: `class Base(RecordMixin, YourBase): __abstract__ = True`.
    """

    __sobject__: ClassVar[str | None] = None
    __when__: ClassVar[Mapping[str, str]] = {}
    #: every record of the parent gets a row in this class
    __local__: ClassVar[bool] = False
    __inheritable__: ClassVar[bool] = True
    #: what becomes of the rows of a record that is deleted; the root says it
    __on_delete__: ClassVar[str] = DELETE
    #: neither sobject nor when below a mapped class: the receiver puts no record here by its fields
    __extends__: ClassVar[bool] = False
    #: classes of other bases that the receiver fills beside this one: what a reference may name
    __neighbours__: ClassVar[tuple[type, ...]] = ()
    fields = FieldsOfClass()

    if TYPE_CHECKING:
        external_id: Mapped[str]
        child_name: Mapped[str]
        salesforce_id: Mapped[str]
        organization_id: Mapped[str]
        modstamp: Mapped[datetime | None]
        action_stamps: Mapped[dict[str, str] | None]
        extra: Mapped[dict[str, str] | None]

    def __init_subclass__(
        cls,
        *,
        sobject: str | None = None,
        when: Mapping[str, str] | None = None,
        local: bool = False,
        inheritable: bool = True,
        on_delete: str | None = None,
        **kwargs: Any,
    ) -> None:
        inherited = cls.__when__ if sobject in (None, cls.__sobject__) else {}
        if sobject is not None:
            cls.__sobject__ = sobject
        cls.__when__ = {**inherited, **(when or {})}
        cls.__local__, cls.__inheritable__ = local, inheritable
        cls.__extends__ = not (sobject or when) and parent_of(cls) is not None and cls.__sobject__ is not None
        check_on_delete(cls, parent_of(cls), on_delete)
        cls.__on_delete__ = on_delete or cls.__on_delete__
        settle_references(cls)
        settle_compounds(cls)
        settle_types(cls)
        if _is_mapped(cls):
            _lay_table(cls)
        super().__init_subclass__(**kwargs)

    @classmethod
    def _attributes_of(cls, names: frozenset[str]) -> frozenset[str]:
        """What @receiver(fields=…) is about."""
        return attributes_of(inspect(cls, raiseerr=True), names)

    def references(self, to: Any) -> list[Any]:
        """The records whose reference names this one, by key: `contact.references(Task.who)`. Empty outside of a
        session.
        """
        if not isinstance(to, ReferenceTo):
            raise QueryError(f"{to} is no reference. Write contact.references(Task.who).")
        session = object_session(self)
        if session is None or not self.salesforce_id:
            return []
        naming = select(to.entity).where(to.id == self.salesforce_id).order_by(to.entity.external_id)
        return list(session.scalars(naming).unique())


watch(RecordMixin)
watch_assignments(RecordMixin)


def _is_mapped(cls: type) -> bool:
    """Not a declarative base, and not abstract itself."""
    return DeclarativeBase not in cls.__bases__ and not cls.__dict__.get("__abstract__", False)


def _lay_table(cls: Any) -> None:
    parent = parent_of(cls)
    check_line(cls, parent)
    if "__tablename__" not in cls.__dict__:
        cls.__tablename__ = snake_case(cls.__name__)
    if "__table_args__" not in cls.__dict__:
        cls.__table_args__ = CHARSET
    arguments = dict(cls.__dict__.get("__mapper_args__", {}), polymorphic_identity=cls.__name__)
    if cls.__inheritable__:
        # the tables below are joined, so that leaf instances come with one statement: SQLAlchemy's own way takes one
        # more for each record, and leaves conditions on columns below to the user
        arguments.setdefault("with_polymorphic", "*")
    if parent is None:
        _lay_root(cls)
        if cls.__inheritable__:
            arguments["polymorphic_on"] = "child_name"
    else:
        key = parent.__table__.c.external_id
        cascade = ForeignKey(key, onupdate="CASCADE", ondelete="CASCADE")
        cls.external_id = mapped_column(cascade, type_=key.type, primary_key=True)
        root, mine = inspect(parent).base_mapper.local_table, cls.external_id.column
        if root is not parent.__table__:
            # to the root as well: SQLite would reach it by way of the table between, which it reads whole
            arguments.setdefault("inherit_condition", and_(key == mine, root.c.external_id == mine))
    cls.__mapper_args__ = arguments


def _lay_root(cls: Any) -> None:
    """The system columns. A key of the class's own, declared with ExternalId, stands."""
    if not hasattr(cls, "external_id"):
        cls.external_id = mapped_column(Key(), primary_key=True)
    if cls.__inheritable__:
        cls.child_name = mapped_column(ExactString(80), nullable=False)
    cls.salesforce_id = mapped_column(SalesforceId(), nullable=False, unique=True)
    cls.organization_id = mapped_column(ExactString(18), nullable=False)
    cls.modstamp = mapped_column(UTCDateTime(), nullable=True)
    cls.action_stamps = mapped_column(Json, nullable=True)
    if cls.__on_delete__ == MARK:
        cls.deleted_at = mapped_column(UTCDateTime(), nullable=True)
    cls.extra = mapped_column(Json, nullable=True)


class Record(RecordMixin, DeclarativeBase):
    """The declarative base to derive records from when you have none of your own."""

    type_annotation_map = {python: value.column for python, value in VALUE_TYPES.items()}
