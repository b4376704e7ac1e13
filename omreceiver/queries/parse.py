"""Reads a SOQL text into its tree. What it cannot read it points at, and says what could stand there."""

from __future__ import annotations

from functools import cache

from lark import Lark, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from omreceiver.errors import SoqlError
from omreceiver.queries.syntax import Place, Query
from omreceiver.queries.tree import Tree

#: what stands at a place, in the words and the order of an error
WORDS = {
    "SELECT": "SELECT",
    "PATH": "a field",
    "TYPEOF": "TYPEOF",
    "SOBJECT": "the name of an sObject",
    "TEXT": "a value",
    "WHOLE": "a whole number",
    "BIND": "a bind variable such as :name",
    "ALIAS": "an alias",
    "COMPARISON": "a comparison such as =",
    "LIKE": "LIKE",
    "IN": "IN",
    "_NOT": "NOT",
    "INCLUDES": "INCLUDES",
    "EXCLUDES": "EXCLUDES",
    "LPAR": "(",
    "COMMA": "a comma",
    "RPAR": ")",
    "_WHEN": "WHEN",
    "_THEN": "THEN",
    "_ELSE": "ELSE",
    "_END": "END",
    "_FROM": "FROM",
    "AND": "AND",
    "OR": "OR",
    "DIRECTION": "ASC, DESC",
    "NULLS": "NULLS FIRST, NULLS LAST",
    "_WHERE": "WHERE",
    "_GROUP_BY": "GROUP BY",
    "_HAVING": "HAVING",
    "_ORDER_BY": "ORDER BY",
    "_LIMIT": "LIMIT",
    "_OFFSET": "OFFSET",
    "$END": "the end of the query",
}
END = "$END"


def parse(text: str) -> Query:
    """The tree of a query. Raises SoqlError, with the place and what was expected there."""
    try:
        query: Query = Tree(text).transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise _complaint(text, error) from error
    except VisitError as error:
        raise error.orig_exc from error
    except RecursionError as error:
        raise Place(text, 1, 1).error("The conditions are nested too deeply.") from error
    return query


@cache
def _parser() -> Lark:
    return Lark.open_from_package(__package__, "grammar.lark", parser="lalr", start="query")


def _complaint(text: str, error: UnexpectedInput) -> SoqlError:
    if isinstance(error, UnexpectedToken) and error.token.type == END:
        return _end(text).error(f"the query ends here; expected {_expected(error)}")
    place = Place(text, error.line, error.column)
    letter = text.split("\n")[error.line - 1][error.column - 1]
    found = error.token if isinstance(error, UnexpectedToken) else letter
    if found.upper() == "TYPEOF":
        return place.error("TYPEOF stands in the SELECT clause only.")
    if found == "'":
        return place.error("this text has no end; close it with another '")
    hint = ". A text stands in single quotes, 'like this'" if found == '"' else ""
    return place.error(f"found {found}, expected {_expected(error)}{hint}")


def _end(text: str) -> Place:
    """Behind the last word."""
    *before, last = text.rstrip().split("\n")
    return Place(text, len(before) + 1, len(last) + 1)


def _expected(error: UnexpectedInput) -> str:
    """What fits there, of all that the parser would take next."""
    fitting: set[str] = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]
    words = [word for terminal, word in WORDS.items() if terminal in fitting]
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
