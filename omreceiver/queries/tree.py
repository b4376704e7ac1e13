"""Builds the tree of a query out of what the grammar found: names, values, escapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any

from lark import Token, Transformer, v_args

from omreceiver.queries import syntax
from omreceiver.queries.syntax import Bind, Condition, Constant, Name, Path, Place, Query
from omreceiver.records.values import read_datetime

#: "Quoted String Escape Sequences", SOQL and SOSL Reference
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "_": "_", "%": "%"}
KNOWN = r"\n \r \t \b \f \" \' \\ \_ \% and \u0041"
PIECE = re.compile(r"\\u(?P<code>[0-9A-Fa-f]{4})|\\(?P<escaped>.)|(?P<plain>[^\\])", re.DOTALL)
OPERATORS = {"<>": "!="}
WORDS = {"TRUE": True, "FALSE": False}


@v_args(inline=True)
class Tree(Transformer[Token, Query]):
    """One method for each rule of grammar.lark."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    def _place(self, token: Token) -> Place:
        return Place(self.source, token.line or 1, token.column or 1)

    def _name(self, token: Token | None) -> Name | None:
        return Name(self._place(token), str(token)) if token is not None else None

    def query(self, select: Token, items: tuple[syntax.Item, ...], sobject: Token, *clauses: Any) -> Query:
        alias, where, groups, having, orders, limit, offset = clauses
        name = Name(self._place(sobject), str(sobject))
        clauses = (self._name(alias), where, groups or (), having, orders or (), limit, offset)
        return Query(self._place(select), items, name, *clauses)

    def items(self, *items: syntax.Item) -> tuple[syntax.Item, ...]:
        return items

    def item(self, expression: Any, alias: Token | None) -> syntax.Item:
        return syntax.Item(expression, self._name(alias))

    def child(self, query: Query) -> Query:
        return query

    def path(self, token: Token) -> Path:
        return Path(self._place(token), tuple(token.split(".")))

    def call(self, name: Token, arguments: tuple[Any, ...] | None) -> syntax.Call:
        return syntax.Call(self._place(name), str(name), arguments or ())

    def arguments(self, *arguments: Any) -> tuple[Any, ...]:
        return arguments

    fields = whens = values = groups = orders = arguments

    def typeof(self, token: Token, reference: Path, whens: Any, otherwise: Any) -> syntax.Typeof:
        return syntax.Typeof(self._place(token), reference, whens, otherwise or ())

    def when(self, sobject: Token, fields: tuple[Any, ...]) -> syntax.When:
        return syntax.When(Name(self._place(sobject), str(sobject)), fields)

    def otherwise(self, fields: tuple[Any, ...]) -> tuple[Any, ...]:
        return fields

    def where(self, condition: Condition) -> Condition:
        return condition

    having = where

    def condition(self, first: Condition, *more: Any) -> Condition:
        """Raises SoqlError for AND beside OR: Salesforce takes no guess at which binds more."""
        joiners, terms = more[::2], more[1::2]
        if not joiners:
            return first
        for joiner in joiners:
            if joiner.upper() != joiners[0].upper():
                rule = f"{joiner.upper()} stands beside {joiners[0].upper()}; put one of the two into parentheses."
                raise self._place(joiner).error(rule)
        return syntax.Joined("AND" if joiners[0].upper() == "AND" else "OR", (first, *terms))

    def negation(self, condition: Condition) -> Condition:
        return syntax.Not(condition)

    def comparison(self, left: Any, operator: Token, value: Any) -> syntax.Comparison:
        name: Any = OPERATORS.get(operator, operator.upper())
        return syntax.Comparison(self._place(operator), left, name, value)

    def membership(self, left: Any, operator: Token, values: Any) -> syntax.Membership:
        name: Any = operator.upper()
        return syntax.Membership(self._place(operator), left, name, values)

    def exclusion(self, left: Any, operator: Token, values: Any) -> syntax.Membership:
        return syntax.Membership(self._place(operator), left, "NOT IN", values)

    def subquery(self, query: Query) -> Query:
        return query

    def order(self, expression: Any, direction: Token | None, nulls: Token | None) -> syntax.Order:
        descending = direction is not None and direction.upper() == "DESC"
        first = nulls.upper().endswith("FIRST") if nulls is not None else not descending
        return syntax.Order(expression, descending, first)

    def limit(self, count: Constant | Bind) -> Constant | Bind:
        return count

    offset = limit

    def text(self, token: Token) -> syntax.Text:
        value, pattern = ("".join(letters) for letters in zip(("", ""), *self._pieces(token), strict=True))
        try:
            return syntax.Text(self._place(token), _joined(value), _joined(pattern))
        except ValueError as error:
            raise self._place(token).error("this text has a \\u that is no letter") from error

    def _pieces(self, token: Token) -> Iterator[tuple[str, str]]:
        """Each character of a text, and the same in a pattern for LIKE. Raises SoqlError for an unknown escape."""
        for found in PIECE.finditer(token, 1, len(token) - 1):
            code, escaped, plain = found["code"], found["escaped"], found["plain"]
            if plain is not None:
                yield plain, plain
            elif code is None and escaped not in ESCAPES:
                place = self._inside(token, found.start())
                raise place.error(f"\\{escaped} is no escape; there are {KNOWN}")
            else:
                letter = chr(int(code, 16)) if code else ESCAPES[escaped]
                yield letter, f"\\{letter}" if letter in "\\%_" else letter

    def _inside(self, token: Token, offset: int) -> Place:
        *lines, last = token[:offset].split("\n")
        start = self._place(token)
        return Place(self.source, start.line + len(lines), len(last) + (1 if lines else start.column))

    def number(self, token: Token) -> Constant:
        return Constant(self._place(token), Decimal(token))

    whole = number

    def date(self, token: Token) -> Constant:
        return self._read(token, date.fromisoformat, "day")

    def datetime(self, token: Token) -> Constant:
        return self._read(token, read_datetime, "date and time")

    def time(self, token: Token) -> Constant:
        return self._read(token, lambda text: time.fromisoformat(text[:-1]), "time of day")

    def _read(self, token: Token, read: Any, what: str) -> Constant:
        try:
            return Constant(self._place(token), read(token.upper()))
        except (ValueError, OverflowError) as error:
            raise self._place(token).error(f"{token} is no {what}") from error

    def word(self, token: Token) -> syntax.Value:
        place, word = self._place(token), token.upper()
        if word == "NULL":
            return syntax.Null(place)
        if word in WORDS:
            return Constant(place, WORDS[word])
        name, _, number = word.partition(":")
        return syntax.DateLiteral(place, name, int(number) if number else None)

    def bind(self, token: Token) -> Bind:
        return Bind(self._place(token), token[1:].strip())


def _joined(letters: str) -> str:
    """With what \\u wrote in two halves made one letter. Raises ValueError for half a letter, and for NUL."""
    if "\x00" in letters:
        raise ValueError("NUL")
    return letters.encode("utf-16", "surrogatepass").decode("utf-16")
