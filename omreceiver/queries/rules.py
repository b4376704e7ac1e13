"""Rules of SOQL that the tree alone can break: where TYPEOF may stand, what may stand beside an aggregate.

TYPEOF's are from "TYPEOF" and "Understanding Polymorphic Keys and Relationships", those of semi-joins from "Comparison
Operators", the others from "GROUP BY", "HAVING", "COUNT()" and "Alias Notation" (SOQL and SOSL Reference).
"""

from __future__ import annotations

from collections.abc import Iterable

from omreceiver.queries.syntax import AGGREGATES, Call, Condition, Item, Path, Place, Query, Typeof, leaves

#: functions of SOQL that are not here → what to do instead
INSTEAD = {
    "FORMAT": "select the field itself and format what comes",
    "TOLABEL": "select the field itself, which holds the API name of the value",
    "CONVERTCURRENCY": "select the field itself, which is in the record's currency",
    "CONVERTTIMEZONE": "select the field itself, which is in UTC",
    "DISTANCE": "select the latitude and the longitude",
    "FIELDS": "name the fields",
    "GROUPING": "send one query for each level of the totals",
    "ROLLUP": "send one query for each level of the totals",
    "CUBE": "send one query for each level of the totals",
}
DATE_FUNCTIONS = ("CALENDAR_", "FISCAL_", "DAY_", "WEEK_", "HOUR_")


def check(query: Query) -> None:
    """Raises SoqlError for the first rule that a query breaks."""
    for expression in query.expressions:
        if isinstance(expression, Typeof):
            _check_typeof(query, expression)
    for expression in _expressions(query):
        if isinstance(expression, Call):
            _check_call(expression)
        elif isinstance(expression, Query):
            raise expression.at.error(
                "a query of children in SELECT is not supported here; send a query of the children, "
                "with their reference IN (SELECT Id …)"
            )
    _check_aliases(query)
    _check_counting(query)
    _check_grouping(query)


def check_semi_join(query: Query) -> Path:
    """The one field of a semi-join's query. Raises SoqlError for the first rule that it breaks."""
    for expression in query.expressions:
        if isinstance(expression, Typeof):
            raise expression.at.error("TYPEOF cannot stand in the SELECT of a semi-join, in the outer SELECT only")
    check(query)
    field = query.items[0].expression
    if len(query.items) > 1 or not isinstance(field, Path):
        raise query.at.error("the query of a semi-join selects one field, which holds IDs")
    if query.groups or query.orders or query.limit or query.offset:
        raise query.at.error("the query of a semi-join has no GROUP BY, ORDER BY, LIMIT and OFFSET")
    return field


def is_grouped(query: Query) -> bool:
    return bool(query.groups or query.aggregates)


def counts_rows(query: Query) -> bool:
    """Whether it is SELECT COUNT(), which gives a number and no records."""
    return any(not call.arguments for call in query.aggregates)


def _check_typeof(query: Query, typeof: Typeof) -> None:
    for field in (*(field for when in typeof.whens for field in when.fields), *typeof.otherwise):
        if isinstance(field, Typeof):
            raise field.at.error("TYPEOF cannot be nested; select a path such as Owner.Name instead")
        if isinstance(field, Call):
            raise field.at.error(f"{field.function}() cannot stand in TYPEOF, which selects fields only")
    for call in (each for each in query.expressions if isinstance(each, Call)):
        if call.is_aggregate:
            raise typeof.at.error(f"TYPEOF cannot stand beside {call.function}(): the query gives no records")
        raise typeof.at.error(f"TYPEOF cannot stand beside a function in SELECT, as {call.function}() is")
    for group in query.groups:
        what = f"GROUP BY {group.function}" if isinstance(group, Call) else "GROUP BY"
        raise typeof.at.error(f"TYPEOF cannot stand in a query with {what}")
    if query.having is not None:
        raise typeof.at.error("TYPEOF cannot stand in a query with HAVING")
    _check_only_once(query, typeof)


def _check_only_once(query: Query, typeof: Typeof) -> None:
    own = _folded(typeof.reference)
    for other in query.expressions:
        if isinstance(other, Path) and _folded(other)[: len(own)] == own:
            raise other.at.error(f"{other} cannot be selected beside TYPEOF {typeof.reference}; put it into the TYPEOF")
        if isinstance(other, Typeof) and other is not typeof and _folded(other.reference) == own:
            raise other.at.error(f"TYPEOF {typeof.reference} stands twice; put all its WHENs into one")


def _folded(path: Path) -> tuple[str, ...]:
    return tuple(name.lower() for name in path.names)


def _expressions(query: Query) -> Iterable[Path | Call | Typeof | Query]:
    """All that is selected, grouped, filtered and sorted by."""
    yield from query.expressions
    yield from query.groups
    for leaf in (*leaves(query.where), *leaves(query.having)):
        yield leaf.left
    yield from (order.expression for order in query.orders)


def _check_call(call: Call) -> None:
    for argument in call.arguments:
        if isinstance(argument, Typeof):
            raise argument.at.error(f"TYPEOF cannot stand in a function, as {call.function}() is")
    if call.is_aggregate:
        if any(not isinstance(argument, Path) for argument in call.arguments) or len(call.arguments) > 1:
            raise call.at.error(f"{call.function} takes one field")
        if not call.arguments and call.function != "COUNT":
            raise call.at.error(f"{call.function} takes a field; write {call.function}(Amount)")
        return
    if call.function in INSTEAD:
        raise call.at.error(f"{call.function}() is not supported here; {INSTEAD[call.function]}")
    if call.function.startswith(DATE_FUNCTIONS):
        instead = "compare the field with dates, or with a date literal such as THIS_YEAR"
        raise call.at.error(f"{call.function}() is not supported here; {instead}")
    raise call.at.error(f"{call.name}() is no function; there are {', '.join(sorted(AGGREGATES))}")


def _check_aliases(query: Query) -> None:
    seen: set[str] = set()
    for item in query.items:
        if item.alias is not None and not is_grouped(query):
            raise item.alias.at.error(
                f"{item.alias} is an alias, and only a query with GROUP BY or aggregates has some"
            )
        if isinstance(item.expression, Call) and item.alias is None:
            continue
        name, at = _label(item)
        if name.lower() in seen:
            raise at.error(f"{name} is selected twice")
        seen.add(name.lower())


def _label(item: Item) -> tuple[str, Place]:
    expression = item.expression
    if item.alias is not None:
        return str(item.alias), item.alias.at
    name = expression.reference if isinstance(expression, Typeof) else expression
    return str(name), expression.at


def _check_counting(query: Query) -> None:
    if not counts_rows(query):
        return
    if len(query.items) > 1 or query.items[0].alias is not None:
        raise query.at.error("COUNT() stands alone in SELECT; write COUNT(Id) beside other fields or with an alias")
    if query.groups or query.having is not None or query.orders:
        raise query.at.error("COUNT() has no GROUP BY, HAVING and ORDER BY; write COUNT(Id)")


def _check_grouping(query: Query) -> None:
    _no_aggregates_in(query.where)
    if query.having is not None and not query.groups:
        raise next(leaves(query.having)).left.at.error("HAVING stands behind GROUP BY only; filter records in WHERE")
    for group in query.groups:
        if isinstance(group, Call):
            raise group.at.error(f"{group} cannot be grouped by; name a field")
    if query.aggregates and not query.groups and not counts_rows(query) and (limit := query.limit or query.offset):
        raise limit.at.error("aggregates without GROUP BY give one row, so that LIMIT and OFFSET have no place here")
    for order in query.orders:
        if isinstance(order.expression, Call) and not is_grouped(query):
            raise order.expression.at.error(f"{order.expression} needs GROUP BY")


def _no_aggregates_in(where: Condition | None) -> None:
    for leaf in leaves(where):
        if isinstance(leaf.left, Call):
            raise leaf.left.at.error(
                f"{leaf.left} cannot stand in WHERE, which filters records; filter groups in HAVING"
            )
