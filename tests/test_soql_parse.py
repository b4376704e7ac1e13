"""SOQL texts into trees, and what is said of texts that are no SOQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omreceiver.errors import SoqlError
from omreceiver.queries import syntax
from omreceiver.queries.parse import parse
from omreceiver.queries.syntax import Call, Comparison, Joined, Membership, Not, Path, Query, Typeof

VALUES: list[tuple[str, object]] = [
    ("'Acme'", "Acme"),
    ("''", ""),
    (r"'O\'Brien'", "O'Brien"),
    (r"'a\\b'", r"a\b"),
    (r"'\n\t\r\b\f\"'", '\n\t\r\b\f"'),
    (r"'50\% \_x'", "50% _x"),
    (r"'\u00e4\u0041'", "äA"),
    (r"'\ud83d\ude00'", "😀"),
    ("'two\nlines'", "two\nlines"),
    ("'-- ;DROP'", "-- ;DROP"),
    ("12", Decimal(12)),
    ("-1.50", Decimal("-1.50")),
    ("+.5", Decimal("0.5")),
    ("1e3", Decimal(1000)),
    ("true", True),
    ("FALSE", False),
    ("2026-01-31", date(2026, 1, 31)),
    ("2026-01-31T10:20:30Z", datetime(2026, 1, 31, 10, 20, 30, tzinfo=UTC)),
    ("2026-01-31t10:20:30.500z", datetime(2026, 1, 31, 10, 20, 30, 500_000, tzinfo=UTC)),
    ("2026-01-31T00:20:30+01:00", datetime(2026, 1, 30, 23, 20, 30, tzinfo=UTC)),
    ("23:59:59.000Z", time(23, 59, 59)),
]

#: text, line, column, what the sentence holds
ERRORS = [
    ("", 1, 1, "the query ends here; expected SELECT"),
    ("SELECT", 1, 7, "the query ends here; expected a field, TYPEOF or ("),
    ("SELECT Id\n", 1, 10, "the query ends here; expected an alias, a comma or FROM"),
    ("DELETE FROM Account", 1, 1, "found DELETE, expected SELECT"),
    ("SELECT FROM Account", 1, 8, "found FROM, expected a field, TYPEOF or ("),
    ("SELECT Id,\n  FROM Account", 2, 3, "found FROM, expected a field, TYPEOF or ("),
    ("SELECT Id FROM", 1, 15, "the query ends here; expected the name of an sObject"),
    ("SELECT Id FROM Account, Contact", 1, 23, "found ,, expected an alias, WHERE, GROUP BY"),
    ("SELECT Id FROM Account USING SCOPE Mine", 1, 24, "found USING, expected an alias, WHERE"),
    ("SELECT Id FROM Account WHERE", 1, 29, "the query ends here; expected a field, NOT or ("),
    (
        "SELECT Id FROM Account WHERE Name",
        1,
        34,
        "expected a comparison such as =, LIKE, IN, NOT, INCLUDES or EXCLUDES",
    ),
    ("SELECT Id FROM Account WHERE Name == 'x'", 1, 36, "found =, expected a value or a bind variable such as :name"),
    ("SELECT Id FROM Account WHERE Name = 'x' Id", 1, 41, "found Id, expected AND, OR, GROUP BY, HAVING, ORDER BY"),
    ("SELECT Id FROM Account WHERE Name =\n'x", 2, 1, "this text has no end; close it with another '"),
    ('SELECT Id FROM Account WHERE Name = "x"', 1, 37, "A text stands in single quotes, 'like this'"),
    ("SELECT Id FROM Account WHERE (A = 1", 1, 36, "the query ends here; expected )"),
    ("SELECT Id FROM Account WHERE A = 1 AND B = 2 OR C = 3", 1, 46, "OR stands beside AND; put one of the two into"),
    ("SELECT Id FROM Account WHERE A = 1 OR B = 2 AND C = 3", 1, 45, "AND stands beside OR; put one of the two into"),
    ("SELECT Id FROM Account WHERE Name IN 'x'", 1, 38, "found 'x', expected a bind variable such as :name or ("),
    ("SELECT Id FROM Account WHERE A = 5abc", 1, 34, "found 5, expected a value"),
    ("SELECT Id FROM Account WHERE A = 2026-02-30", 1, 34, "2026-02-30 is no day"),
    ("SELECT Id FROM Account WHERE A = 2026-01-01T25:00:00Z", 1, 34, "2026-01-01T25:00:00Z is no date and time"),
    ("SELECT Id FROM Account WHERE A = 25:00:00Z", 1, 34, "25:00:00Z is no time of day"),
    (r"SELECT Id FROM Account WHERE A = 'ab\qc'", 1, 37, r"\q is no escape; there are \n \r"),
    ("SELECT Id FROM Account WHERE A = 'a\nb\\qc'", 2, 2, r"\q is no escape"),
    (r"SELECT Id FROM Account WHERE A = '\ud83d'", 1, 34, r"this text has a \u that is no letter"),
    (r"SELECT Id FROM Account WHERE A = '\u0000'", 1, 34, r"this text has a \u that is no letter"),
    ("SELECT Id FROM Account LIMIT 5.5", 1, 30, "expected a whole number or a bind variable such as :name"),
    ("SELECT Id FROM Account LIMIT -1", 1, 30, "found -1, expected a whole number"),
    ("SELECT Id FROM Account ORDER Name", 1, 24, "found ORDER, expected an alias, WHERE"),
    ("SELECT Id FROM Account ORDER BY Name UP", 1, 38, "expected a comma, ASC, DESC, NULLS FIRST, NULLS LAST, LIMIT"),
    ("SELECT TYPEOF What ELSE Name END FROM Event", 1, 20, "found ELSE, expected WHEN"),
    ("SELECT TYPEOF What WHEN Account THEN Phone FROM Event", 1, 44, "found FROM, expected a comma, WHEN, ELSE or END"),
    ("SELECT Id FROM Event WHERE TYPEOF What = 'x'", 1, 28, "TYPEOF stands in the SELECT clause only"),
    ("SELECT Id FROM Event ORDER BY TYPEOF What", 1, 31, "TYPEOF stands in the SELECT clause only"),
    ("SELECT Id FROM Event GROUP BY TYPEOF What", 1, 31, "TYPEOF stands in the SELECT clause only"),
]


def condition(text: str) -> Any:
    return parse(f"SELECT Id FROM Account WHERE {text}").where


def paths(*items: object) -> list[str]:
    return [str(item) for item in items]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values(text: str, value: object) -> None:
    found = condition(f"A = {text}").value
    assert (type(found.value), found.value) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [(r"'a%'", "a%"), (r"'a\%_'", r"a\%_"), (r"'a\\%'", r"a\\%"), (r"'\u0025\u005f'", r"\%\_")],
)
def test_an_escaped_wildcard_is_none_in_a_pattern(text: str, pattern: str) -> None:
    assert condition(f"A LIKE {text}").value.pattern == pattern


def test_words_that_are_values() -> None:
    assert isinstance(condition("A = NULL").value, syntax.Null)
    assert condition("A = today").value.name == "TODAY"
    literal = condition("A > Last_N_Days:30").value
    assert (literal.name, literal.number) == ("LAST_N_DAYS", 30)
    assert condition("A = :some_Name").value.name == "some_Name"
    assert condition("A = : name").value.name == "name"


def test_all_clauses_in_any_case_over_several_lines() -> None:
    query = parse(
        """select Id, Account.Owner.Name, count(Id) total
        from Contact c
        where Name != 'x' group  by Name, Account.Name having count(Id) >= 2
        order by Name desc nulls last, Id asc, Account.Name limit 10 offset :start"""
    )
    assert paths(*query.expressions) == ["Id", "Account.Owner.Name", "count(Id)"]
    assert [str(item.alias) for item in query.items] == ["None", "None", "total"]
    assert (str(query.sobject), str(query.alias)) == ("Contact", "c")
    assert paths(*query.groups) == ["Name", "Account.Name"]
    assert [(str(order.expression), order.descending, order.nulls_first) for order in query.orders] == [
        ("Name", True, False),
        ("Id", False, True),
        ("Account.Name", False, True),
    ]
    assert isinstance(query.having, Comparison)
    assert isinstance(query.limit, syntax.Constant)
    assert isinstance(query.offset, syntax.Bind)
    assert (query.limit.value, query.offset.name) == (10, "start")


def test_without_nulls_the_nulls_are_the_smallest() -> None:
    [up, down, first] = parse("SELECT Id FROM A ORDER BY X, Y DESC, Z DESC NULLS FIRST").orders
    assert (up.nulls_first, down.nulls_first, first.nulls_first) == (True, False, True)


def test_typeof() -> None:
    [item] = parse(
        "SELECT TYPEOF What WHEN Account THEN Phone, Owner.Name WHEN Lead THEN Company ELSE Name, Type END FROM Event"
    ).items
    typeof = item.expression
    assert isinstance(typeof, Typeof)
    assert str(typeof.reference) == "What"
    assert [(str(when.sobject), paths(*when.fields)) for when in typeof.whens] == [
        ("Account", ["Phone", "Owner.Name"]),
        ("Lead", ["Company"]),
    ]
    assert paths(*typeof.otherwise) == ["Name", "Type"]


def test_what_a_rule_refuses_is_read_first() -> None:
    """So that the rule is told and not the word that would fit."""
    nested, within, child = parse(
        "SELECT TYPEOF A WHEN B THEN TYPEOF C WHEN D THEN E END END, "
        "FORMAT(TYPEOF A WHEN B THEN C END), (SELECT Id FROM Contacts) FROM X GROUP BY CUBE(A, B)"
    ).expressions
    assert isinstance(nested, Typeof)
    assert isinstance(nested.whens[0].fields[0], Typeof)
    assert isinstance(within, Call)
    assert isinstance(within.arguments[0], Typeof)
    assert isinstance(child, Query)


def test_conditions() -> None:
    found = condition("(A = 1 AND NOT B = 2) OR C NOT IN ('x', null) OR D IN :ids OR E IN (SELECT F FROM G)")
    assert isinstance(found, Joined)
    both, exclusion, bound, semi_join = found.conditions
    assert (found.operator, isinstance(both, Joined) and both.operator) == ("OR", "AND")
    assert isinstance(both, Joined)
    assert isinstance(both.conditions[1], Not)
    for each, operator in ((exclusion, "NOT IN"), (bound, "IN"), (semi_join, "IN")):
        assert isinstance(each, Membership)
        assert each.operator == operator
    assert isinstance(semi_join, Membership)
    assert isinstance(semi_join.values, Query)
    assert [str(leaf.left) for leaf in syntax.leaves(found)] == ["A", "B", "C", "D", "E"]


@pytest.mark.parametrize("text", ["NOT A = 1 AND B = 2", "(NOT A = 1) AND B = 2", "(NOT (A = 1)) AND (B = 2)"])
def test_not_binds_more_than_and(text: str) -> None:
    found = condition(text)
    assert (found.operator, type(found.conditions[0]), type(found.conditions[1])) == ("AND", Not, Comparison)


@pytest.mark.parametrize(("text", "operator"), [("<>", "!="), ("!=", "!="), ("like", "LIKE"), ("<=", "<="), (">", ">")])
def test_operators(text: str, operator: str) -> None:
    assert condition(f"A {text} 'x'").operator == operator


@pytest.mark.parametrize("name", ["Order", "Group", "Case", "Event", "Limit", "acme__Invoice__c", "End"])
def test_words_of_soql_are_names_of_sobjects_too(name: str) -> None:
    query = parse(f"SELECT {name}.Id FROM {name} ORDER BY {name}.Id")
    assert (str(query.sobject), *paths(*query.expressions)) == (name, f"{name}.Id")


def test_every_part_knows_where_it_stands() -> None:
    query = parse("SELECT Id,\n\tAccount.Owner.Name\nFROM Contact WHERE\n  Name = 'x'")
    path = list(query.expressions)[1]
    assert isinstance(path, Path)
    assert (path.at.line, path.at.column) == (2, 2)
    assert [path.place(index).column for index in range(3)] == [2, 10, 16]
    [leaf] = syntax.leaves(query.where)
    assert isinstance(leaf, Comparison)
    assert (leaf.at.line, leaf.at.column, leaf.value.at.column) == (4, 8, 10)


@pytest.mark.parametrize(("text", "line", "column", "sentence"), ERRORS)
def test_errors_point_at_the_place_and_say_what_was_expected(text: str, line: int, column: int, sentence: str) -> None:
    with pytest.raises(SoqlError) as raised:
        parse(text)
    error = raised.value
    assert sentence in error.sentence
    assert (error.line, error.column, error.text) == (line, column, text)


def test_an_error_shows_the_line_and_a_caret_below_the_place() -> None:
    with pytest.raises(SoqlError) as raised:
        parse("SELECT Id\n\tFROM Account\n\tWHER Name = 'x'\n")
    assert str(raised.value).splitlines() == [
        "line 3, column 7: found Name, expected WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET "
        "or the end of the query",
        "  \tWHER Name = 'x'",
        "  \t     ^",
    ]


def test_no_depth_of_parentheses_ends_in_a_traceback() -> None:
    deep = 20_000
    with pytest.raises(SoqlError, match="nested too deeply"):
        condition("(" * deep + "A = 1" + ")" * deep)


WORDS = (
    "SELECT Id FROM WHERE ( ) , = 'x' :b AND OR NOT IN TYPEOF WHEN THEN END COUNT GROUP BY LIMIT 1 . ' \\ 2026-01-01"
)
PIECES = st.sampled_from([*WORDS.split(), "\n"])


@given(st.lists(PIECES, max_size=30).map(" ".join) | st.text(max_size=40))
def test_every_text_is_a_query_or_a_soql_error(text: str) -> None:
    line, column = 1, 1
    try:
        assert isinstance(parse(text), Query)
    except SoqlError as error:
        line, column = error.line, error.column
    lines = text.split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_every_text_can_be_quoted(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    assert condition(f"A = '{quoted}'").value.value == text
