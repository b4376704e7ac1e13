"""Salesforce IDs: fifteen characters become eighteen, eighteen stay, and nothing else passes."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omreceiver.records.ids import to18

LETTERS = string.ascii_letters + string.digits
FIFTEEN = st.text(LETTERS, min_size=15, max_size=15)


@pytest.mark.parametrize(
    ("fifteen", "check"),
    [
        # published vectors
        ("a01M00000062mPg", "IAI"),
        ("001M000000qfPyS", "IAU"),
        ("a0FE000000D6r3F", "MAR"),
        ("0F9E000000092w2", "KAA"),
        ("AbCdEfGhIjKlMnO", "VKV"),
        ("aBcDEfgHIJKLMNO", "025"),
        # the ends of the alphabet of check characters
        ("000000000000000", "AAA"),
        ("aaaaaaaaaaaaaaa", "AAA"),
        ("AAAAAAAAAAAAAAA", "555"),
        ("A0000A0000A0000", "BBB"),
        ("0000A0000A0000A", "QQQ"),
    ],
)
def test_three_characters_tell_which_of_the_fifteen_are_upper_case(fifteen: str, check: str) -> None:
    assert to18(fifteen) == fifteen + check


@pytest.mark.parametrize(
    "eighteen",
    [
        "001M000000qfPySIAU",
        # anonymised fixtures have wrong check characters
        "001M000000qfPySXXX",
    ],
)
def test_eighteen_characters_are_taken_as_they_are(eighteen: str) -> None:
    assert to18(eighteen) == eighteen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "001",
        "001M000000qfPy",
        "001M000000qfPySI",
        "001M000000qfPySIA",
        "001M000000qfPySIAUX",
        "001M000000qfPy ",
        " 01M000000qfPyS",
        "001M000000qfPyS\n",
        "001M-00000qfPyS",
        "001M_00000qfPyS",
        "001M000000qfPyÄ",
        "\N{ARABIC-INDIC DIGIT ONE}01M000000qfPy",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^15 or 18 letters and digits$"):
        to18(text)


@given(FIFTEEN)
def test_the_first_fifteen_characters_stay(fifteen: str) -> None:
    assert to18(fifteen)[:15] == fifteen
    assert len(to18(fifteen)) == 18


@given(FIFTEEN)
def test_once_is_enough(fifteen: str) -> None:
    assert to18(to18(fifteen)) == to18(fifteen)


@given(FIFTEEN, FIFTEEN)
def test_ids_that_differ_in_case_only_differ_in_any_case_afterwards(one: str, other: str) -> None:
    """The purpose of the eighteen characters: what compares without case still tells them apart."""
    assert (to18(one).lower() == to18(other).lower()) == (one == other)


@given(FIFTEEN, st.data())
def test_the_same_letters_in_another_case_are_another_id(fifteen: str, data: st.DataObject) -> None:
    other = "".join(data.draw(st.sampled_from([letter.upper(), letter.lower()])) for letter in fifteen)

    assert (to18(fifteen).lower() == to18(other).lower()) == (fifteen == other)
