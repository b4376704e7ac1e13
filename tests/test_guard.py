"""Who and what may enter: organizations, tokens, sizes, types, actions."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from omreceiver import Settings
from omreceiver.door import guard
from omreceiver.door.endpoint import visit as visit_of_request
from omreceiver.door.guard import Visit
from omreceiver.errors import BodyTooLarge, NotAdmitted, Refusal, WrongContentType
from omreceiver.schema.notification import Message

OURS, THEIRS = "00Dxx0000001gPFEAY", "00Dxx0000001gPGEAY"
ACTION, OTHER_ACTION = "04kxx00000000blBAA", "04kxx00000000bmBAA"
SALESFORCE = "136.146.0.1"
OPEN = Settings(organizations=(OURS,))


def visit(remote_address: str = SALESFORCE, content_length: int = 1000, **known: Any) -> Visit:
    return Visit(remote_address, content_length, **{"content_type": "text/xml", "charset": "utf-8", **known})


def message(organization_id: str = OURS, action_id: str = ACTION) -> Message:
    return Message(organization_id, action_id, ())


def refused(call: Any, *args: object) -> NotAdmitted:
    with pytest.raises(NotAdmitted) as caught:
        call(*args)
    return caught.value


# -- organizations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [OURS, OURS[:15], f"{THEIRS},{OURS}", f"{THEIRS[:15]}, {OURS[:15]}"])
@pytest.mark.parametrize("sent", [OURS, OURS[:15], OURS[:15] + "XXX"])
def test_an_organization_is_known_by_its_first_15_characters(known: str, sent: str) -> None:
    guard.vet(message(sent), Settings.from_mapping({"OMRECEIVER_ORGANIZATIONS": known}))


@pytest.mark.parametrize("sent", [THEIRS, OURS.lower(), OURS[:14], "", "00D"])
def test_another_organization_is_refused(sent: str) -> None:
    error = refused(guard.vet, message(sent), OPEN)

    assert (error.check, error.status) == ("organizations", 403)
    assert "OMRECEIVER_ORGANIZATIONS" in str(error)
    assert sent not in error.public or not sent


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_without_organizations_this_machine_is_let_in(address: str) -> None:
    guard.know(visit(address), Settings())
    guard.admit(visit(address), Settings())


@pytest.mark.parametrize(
    "visitor",
    [
        visit(SALESFORCE),
        visit("10.0.0.1"),
        visit("0.0.0.0"),
        visit("::"),
        visit("fe80::1"),
        visit(""),
        visit("localhost"),
        visit("127.0.0.1 "),
        visit("127.0.0.1", forwarded=True),
        visit("::1", forwarded=True),
    ],
    ids=repr,
)
def test_without_organizations_nobody_else_is(visitor: Visit) -> None:
    error = refused(guard.know, visitor, Settings())

    assert (error.check, error.status) == ("organizations", 403)
    assert "OMRECEIVER_ORGANIZATIONS is empty" in str(error)


def test_without_organizations_any_organization_of_this_machine_is_taken() -> None:
    guard.vet(message(THEIRS), Settings())


def test_with_organizations_anybody_may_knock() -> None:
    guard.know(visit(SALESFORCE), OPEN)
    guard.know(visit("127.0.0.1", forwarded=True), OPEN)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP"])
def test_what_a_proxy_forwards_is_not_of_this_machine(header: str) -> None:
    """A tunnel or a proxy on this machine brings the whole internet from 127.0.0.1."""
    loopback = {"REMOTE_ADDR": "127.0.0.1"}
    with Flask("shop").test_request_context("/", environ_base=loopback, headers={header: SALESFORCE}):
        assert not visit_of_request(request).is_local
    with Flask("shop").test_request_context("/", environ_base=loopback):
        assert visit_of_request(request).is_local


# -- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["new", "old", "ölig"])
def test_any_token_of_the_list_opens(token: str) -> None:
    guard.know(visit(token=token), Settings(organizations=(OURS,), tokens=("new", "old", "ölig")))


@pytest.mark.parametrize("token", ["", "ne", "newer", "NEW", "new,old", "new ", "nëw"])
def test_no_other_token_does(token: str) -> None:
    error = refused(guard.know, visit(token=token), Settings(organizations=(OURS,), tokens=("new", "old")))

    assert (error.check, error.status) == ("token", 401)


def test_this_machine_needs_the_token_too() -> None:
    assert refused(guard.know, visit("127.0.0.1"), Settings(tokens=("new",))).check == "token"


def test_without_tokens_none_is_asked_for() -> None:
    guard.know(visit(token=""), OPEN)
    guard.know(visit(token="anything"), OPEN)


@given(st.text(), st.lists(st.text(min_size=1), min_size=1))
def test_a_token_opens_if_and_only_if_it_is_in_the_list(token: str, tokens: list[str]) -> None:
    settings = Settings(organizations=(OURS,), tokens=tuple(tokens))
    opened = True
    try:
        guard.know(visit(token=token), settings)
    except NotAdmitted:
        opened = False

    assert opened == (token in tokens)


def test_a_token_is_in_no_repr_and_in_no_error() -> None:
    visitor = visit(token="s3cret")

    assert "s3cret" not in repr(visitor)
    assert "s3cret" not in str(refused(guard.know, visitor, Settings(organizations=(OURS,), tokens=("new",))))


# -- size and type ----------------------------------------------------------------------------------------------------


def test_a_body_may_be_as_large_as_the_setting_says() -> None:
    guard.admit(visit(content_length=1000), Settings(organizations=(OURS,), max_body=1000))
    with pytest.raises(BodyTooLarge, match=r"1001 bytes, OMRECEIVER_MAX_BODY is 1000"):
        guard.admit(visit(content_length=1001), Settings(organizations=(OURS,), max_body=1000))


@pytest.mark.parametrize("content_type", ["text/xml", "TEXT/XML", "application/xml", ""])
@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", ""])
def test_xml_in_utf_8_is_let_in(content_type: str, charset: str) -> None:
    guard.admit(visit(content_type=content_type, charset=charset), OPEN)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("application/json", ""),
        ("text/html", ""),
        ("text/plain", "utf-8"),
        ("application/x-www-form-urlencoded", ""),
        ("multipart/form-data", ""),
        ("application/soap+xml", "utf-8"),
        ("text/xml", "iso-8859-1"),
        ("application/xml", "utf-16"),
        ("text/xml", "utf-7"),
    ],
)
def test_anything_else_is_refused(content_type: str, charset: str) -> None:
    with pytest.raises(WrongContentType):
        guard.admit(visit(content_type=content_type, charset=charset), OPEN)


def test_a_stranger_learns_nothing_of_size_and_type() -> None:
    """The first check that fails answers; who may not enter is told only that."""
    with pytest.raises(NotAdmitted):
        guard.admit(visit(content_length=10**12, content_type="image/png"), Settings())


@pytest.mark.parametrize(
    ("visitor", "status"),
    [
        (visit(), None),
        (visit(content_length=33 * 1024 * 1024), 413),
        (visit(content_type="application/json"), 415),
    ],
)
def test_a_refusal_knows_its_http_status(visitor: Visit, status: int | None) -> None:
    found: int | None = None
    try:
        guard.admit(visitor, OPEN)
    except Refusal as refusal:
        found = refusal.status

    assert found == status


# -- actions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [ACTION, ACTION[:15]])
@pytest.mark.parametrize("sent", [ACTION, ACTION[:15]])
def test_an_action_is_known_by_its_first_15_characters(known: str, sent: str) -> None:
    guard.vet(message(action_id=sent), Settings(organizations=(OURS,), actions={known: "Account"}, actions_only=True))


@pytest.mark.parametrize("actions", [{ACTION: "Account"}, {}])
def test_with_actions_only_another_action_is_refused(actions: dict[str, str]) -> None:
    settings = Settings(organizations=(OURS,), actions=actions, actions_only=True)

    error = refused(guard.vet, message(action_id=OTHER_ACTION), settings)

    assert (error.check, error.status) == ("actions", 403)
    assert "OMRECEIVER_ACTIONS" in str(error)


def test_without_it_any_action_is_let_in() -> None:
    guard.vet(message(action_id=OTHER_ACTION), Settings(organizations=(OURS,), actions={ACTION: "Account"}))


def test_a_known_action_of_another_organization_is_refused() -> None:
    settings = Settings(organizations=(OURS,), actions={ACTION: "Account"}, actions_only=True)

    assert refused(guard.vet, message(THEIRS), settings).check == "organizations"
