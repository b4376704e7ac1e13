"""soql(): a query in Salesforce's words, as a select over the mapped classes.

    session.execute(soql("SELECT Name, Owner.Name FROM Account WHERE Name LIKE :name"), {"name": "A%"})

parse.py    text → tree             what cannot be read
rules.py    tree → the same tree    what Salesforce forbids, whatever the classes are
scope.py    names → columns         what no class has
select.py   tree → Select
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, func, literal, select

from omreceiver.queries import dates, rules, typeofs
from omreceiver.queries.aggregates import Groups, needed
from omreceiver.queries.conditions import Conditions
from omreceiver.queries.kinds import ID, INTEGER, Field
from omreceiver.queries.parameters import Expected, Parameters
from omreceiver.queries.parse import parse
from omreceiver.queries.scope import Classes
from omreceiver.queries.source import Source
from omreceiver.queries.syntax import Bind, Call, Constant, Item, Order, Path, Query, Typeof
from omreceiver.records.leaves import Leaves
from omreceiver.records.models import mapped_classes
from omreceiver.records.record import Record
from omreceiver.schema.catalog import Catalog

COUNT = "COUNT()"


@dataclass(frozen=True)
class Compiled:
    """A statement, and what each of its bind variables is to be given."""

    statement: Select[Any]
    binds: Mapping[str, Expected]


def soql(text: str, models: Classes | None = None, *, today: Callable[[], date] = dates.today) -> Select[Any]:
    """A SOQL query as a select: `session.execute(soql("SELECT Id FROM Account WHERE Name = :name"), {"name": …})`.

    A row has the fields as they are written: `row.Name`, `row._mapping["Account.Owner.Name"]`. `models` are the classes
    of a receiver; without them, those derived from Record and those that a receiver fills beside them. Date literals
    count from `today`, which is asked when the query runs.
    Raises SoqlError, which points at a line and a column, for what is no SOQL, breaks one of its rules, or names what
    no class has.
    """
    return compile_soql(text, models, today=today).statement


def compile_soql(text: str, models: Classes | None = None, *, today: Callable[[], date] = dates.today) -> Compiled:
    """The same, with what it is to be given."""
    query = parse(text)
    rules.check(query)
    compiler = Compiler(models or _classes_of_records(), Parameters(today))
    return Compiled(compiler.statement(query), compiler.parameters.binds)


def _classes_of_records() -> Classes:
    declared = mapped_classes(Record)
    beside = [model for each in declared for model in each.__neighbours__]
    return Leaves(dict.fromkeys([*declared, *beside]), Catalog())


@dataclass(frozen=True)
class Compiler:
    """Puts one query together, and the queries of its semi-joins."""

    classes: Classes
    parameters: Parameters

    def statement(self, query: Query) -> Select[Any]:
        source = Source.of(self.classes, query)
        if rules.counts_rows(query):
            rows = self._limited(self._rows(source, query, [source.entity.salesforce_id]), query).subquery()
            return select(func.count().label(COUNT)).select_from(rows)
        if rules.is_grouped(query):
            return self._limited(self._grouped(source, query), query)
        columns = [self._column(source, item) for item in query.items]
        rows_of = self._rows(source, query, columns)
        return self._limited(rows_of.order_by(*_orders(query.orders, self._find(source))), query)

    def _find(self, source: Source) -> Callable[[Path | Call], Field]:
        def find(expression: Path | Call) -> Field:
            assert isinstance(expression, Path)  # noqa: S101 — rules.py
            return source.field(expression)

        return find

    def _rows(self, source: Source, query: Query, columns: list[Any]) -> Select[Any]:
        statement = source.select(*columns)
        if query.where is None:
            return statement
        return statement.where(Conditions(self._find(source), self.parameters, self._ids).of(query.where))

    def _column(self, source: Source, item: Item) -> Any:
        if isinstance(item.expression, Typeof):
            return typeofs.column(source, item.expression)
        field = self._find(source)(item.expression)  # type: ignore[arg-type]
        return field.expression.label(field.name)

    def _ids(self, query: Query) -> Select[Any]:
        """The query of a semi-join. A null among its IDs does no harm, as NOT IN is NOT of what is surely IN."""
        path = rules.check_semi_join(query)
        source = Source.of(self.classes, query)
        field = source.field(path)
        if field.kind is not ID:
            raise path.at.error(f"a semi-join compares IDs; {path} holds {field.kind.word}")
        return self._rows(source, query, [field.expression])

    def _grouped(self, source: Source, query: Query) -> Select[Any]:
        named = {source.key(path): path for path in needed(query)}
        fields = {key: replace(source.field(path), name=f"field{n}") for n, (key, path) in enumerate(named.items())}
        inner = [field.expression.label(field.name) for field in fields.values()]
        rows = self._rows(source, query, inner).subquery("records")
        grouped = {source.key(path): path for path in query.groups if isinstance(path, Path)}

        def column(path: Path) -> Field:
            field = fields[source.key(path)]
            return replace(field, name=str(path), expression=rows.c[field.name])

        groups = Groups(column, lambda path: source.key(path) in grouped)
        statement = select(*_labelled(query, groups)).select_from(rows)
        statement = statement.group_by(*(column(path).expression for path in grouped.values()))
        if query.having is not None:
            statement = statement.having(Conditions(groups.find, self.parameters, self._ids).of(query.having))
        return statement.order_by(*_orders(query.orders, groups.find))

    def _limited(self, statement: Select[Any], query: Query) -> Select[Any]:
        if query.limit is not None:
            statement = statement.limit(self._count(query.limit))
        return statement.offset(self._count(query.offset)) if query.offset is not None else statement

    def _count(self, count: Constant | Bind) -> Any:
        if isinstance(count, Constant):
            return literal(int(count.value), Integer())  # type: ignore[arg-type]
        self.parameters.bind(count, INTEGER)
        return bindparam(count.name, type_=Integer())


def _labelled(query: Query, groups: Groups) -> Iterator[ColumnElement[Any]]:
    """The columns of a grouped query; an aggregate without an alias is expr0, expr1 and so on, as at Salesforce."""
    unnamed = 0
    for item in query.items:
        assert isinstance(item.expression, Path | Call)  # noqa: S101 — rules.py
        field = groups.find(item.expression)
        if item.alias is None and isinstance(item.expression, Call):
            yield field.expression.label(f"expr{unnamed}")
            unnamed += 1
        else:
            yield field.expression.label(str(item.alias or field.name))


def _orders(orders: tuple[Order, ...], find: Callable[[Path | Call], Field]) -> Iterator[ColumnElement[Any]]:
    """What to sort by, with the nulls where SOQL has them: databases differ in it, and not all know NULLS FIRST."""
    for order in orders:
        field = find(order.expression)
        has_null = case((field.expression.is_(None), 0), else_=1)
        yield has_null.asc() if order.nulls_first else has_null.desc()
        yield field.compared.desc() if order.descending else field.compared.asc()
