"""Signals: who hears, in which order, with what, and what happens when a receiver raises."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select
from sqlalchemy.orm import Mapped, Session, object_session

from omreceiver import Change, ExternalId, Field, committed, post_save, pre_save, receiver
from omreceiver.app import parts_of
from omreceiver.signals import Signal
from omreceiver.store import tables
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import Replayed, post
from tests.conftest import MakeApp, tables_of

PARTNER = "012000000000001AAA"
ARGUMENTS = {"instance", "created", "deleted", "changed", "update_fields", "raw", "message", "session"}


class Thing:
    """A sender."""


class Part(Thing):
    """A sender below it."""


@pytest.fixture
def signal() -> Signal:
    return Signal("test", "A signal of this test.")


@pytest.fixture
def account(base: Any) -> Any:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        rating: Mapped[str | None] = Field("Rating")
        notes: Mapped[str | None]

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    return Account


@pytest.fixture
def app(make_app: MakeApp, database_url: str, account: Any, base: Any) -> Flask:
    return make_app(database_url, base)


@pytest.fixture(autouse=True)
def only_our_receivers() -> Iterator[None]:
    """Receivers are held strongly, so a test lets go of its own."""
    before = {each: list(each.receivers) for each in (pre_save, post_save, committed)}
    yield
    for each, known in before.items():
        for identity in [i for i in each.receivers if i not in known]:
            each.disconnect(each.receivers[identity])


def send(app: Flask, *records: dict[str, Any], raw: bool = False) -> Replayed:
    answer = post(
        app, compose("Account", *({"Id": "001000000000001AAA", "ERP_Id__c": "A-1", **r} for r in records)), raw=raw
    )
    assert answer.ack, answer
    return answer


def other(number: int) -> dict[str, Any]:
    return {"Id": f"00100000000000{number}AAA", "ERP_Id__c": f"A-{number}"}


def test_receivers_run_in_the_order_of_their_connection(signal: Signal) -> None:
    called: list[int] = []
    for number in range(20):
        signal.connect(lambda sender, number=number: called.append(number))
    signal.send(Thing)
    assert called == list(range(20))


def test_a_receiver_of_a_class_hears_its_subclasses(signal: Signal) -> None:
    called: list[str] = []
    receiver(signal, sender=Thing)(lambda sender: called.append(f"thing {sender.__name__}"))
    receiver(signal, sender=Part)(lambda sender: called.append(f"part {sender.__name__}"))
    receiver(signal)(lambda sender: called.append(f"all {sender.__name__}"))
    signal.send(Part)
    signal.send(Thing)
    assert called == ["thing Part", "part Part", "all Part", "thing Thing", "all Thing"]


def test_one_that_hears_a_class_twice_is_called_once(signal: Signal) -> None:
    called: list[type] = []
    receiver(signal, sender=[Thing, Part])(called.append)
    signal.send(Part)
    assert called == [Part]


def test_a_lambda_and_a_bound_method_stay_connected(signal: Signal) -> None:
    called: list[str] = []

    class Listener:
        def hear(self, sender: type) -> None:
            called.append("method")

    signal.connect(Listener().hear)
    signal.connect(lambda sender: called.append("lambda"))
    gc.collect()
    signal.send(Thing)
    assert called == ["method", "lambda"]


def test_a_dispatch_uid_replaces_the_receiver_before_it(signal: Signal) -> None:
    called: list[str] = []
    for name in ("before a reload", "after a reload"):
        receiver(signal, sender=Thing, dispatch_uid="once")(lambda sender, name=name: called.append(name))
    signal.send(Thing)
    assert called == ["after a reload"]


def test_who_comes_and_goes_is_heard_from_the_next_send(signal: Signal) -> None:
    called: list[str] = []

    def later(sender: type) -> None:
        called.append("later")

    signal.connect(lambda sender: called.append("always"))
    signal.send(Part)
    signal.connect(later, Thing)
    signal.send(Part)
    signal.disconnect(later, Thing)
    signal.send(Part)
    assert called == ["always", "always", "later", "always"]


def test_who_is_replaced_between_two_sends_is_not_heard(signal: Signal) -> None:
    called: list[str] = []
    signal.connect(lambda sender: called.append("first"), Thing, dispatch_uid="one")
    signal.connect(lambda sender: called.append("always"))
    signal.send(Part)
    signal.connect(lambda sender: called.append("second"), Thing, dispatch_uid="one")
    signal.send(Part)
    assert called == ["first", "always", "always", "second"]


def test_disconnected_muted_and_connected_to(signal: Signal) -> None:
    called: list[type] = []

    def hear(sender: type) -> None:
        called.append(sender)

    signal.connect(hear, Thing)
    signal.disconnect(hear, Thing)
    signal.send(Thing)
    with signal.connected_to(hear, Thing):
        signal.send(Part)
        with signal.muted():
            assert not signal.has_receivers_for(Part)
            signal.send(Part)
    signal.send(Part)
    assert called == [Part]


def test_send_lets_an_exception_through_and_send_robust_goes_on(
    signal: Signal, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("no")

    def fails(sender: type) -> None:
        raise error

    def works(sender: type) -> str:
        return "done"

    signal.connect(fails)
    signal.connect(works)
    with pytest.raises(ValueError, match="no"):
        signal.send(Thing)
    assert signal.send_robust(Thing) == [(fails, error), (works, "done")]
    assert "fails raised" in caplog.text


def test_the_arguments_are_the_same_for_all_three(app: Flask, account: Any, signals: Recorder) -> None:
    send(app, {"Name": "Acme", "Rating": "Hot"}, raw=True)
    assert signals.names() == [("pre_save", "Account"), ("post_save", "Account"), ("committed", "Account")]
    for sent in signals:
        assert set(sent.arguments) == ARGUMENTS
        assert sent.sender is account
        assert sent.created is True
        assert sent.changed == {"name": Change(None, "Acme"), "rating": Change(None, "Hot")}
        assert sent.arguments["update_fields"] == {"name", "rating"}
        assert sent.arguments["raw"] is True
        assert sent.arguments["message"].organization_id == "00Dxx0000001gPFEAY"
        assert isinstance(sent.arguments["session"], Session)
        assert (sent.instance.external_id, sent.instance.name) == ("A-1", "Acme")


def test_an_update_tells_what_changed(app: Flask, signals: Recorder) -> None:
    send(app, {"Name": "Acme", "Rating": "Hot"})
    signals.clear()
    send(app, {"Name": "Acme Ltd"})
    assert [(sent.created, sent.changed) for sent in signals.of(post_save)] == [
        (False, {"name": Change("Acme", "Acme Ltd"), "rating": Change("Hot", None)})
    ]


def test_a_retyped_record_tells_its_old_and_new_class(app: Flask, signals: Recorder) -> None:
    send(app, {"Name": "Acme", "RecordTypeId": "012000000000002AAA"})
    signals.clear()
    send(app, {"Name": "Acme", "RecordTypeId": PARTNER, "Tier__c": "Gold"})
    [sent] = signals.of(post_save)
    assert sent.sender.__name__ == "PartnerAccount"
    assert sent.created is False
    assert sent.changed["child_name"] == Change("Account", "PartnerAccount")
    assert sent.changed["tier"] == Change(None, "Gold")


def test_unchanged_stale_and_duplicate_records_send_nothing(app: Flask, signals: Recorder) -> None:
    body = compose("Account", {"ERP_Id__c": "A-1", "Name": "Acme", "SystemModstamp": "2026-01-01T00:00:02.000Z"})
    older = compose("Account", {"ERP_Id__c": "A-1", "Name": "Old", "SystemModstamp": "2026-01-01T00:00:01.000Z"})
    post(app, body)
    signals.clear()
    assert [list(post(app, each).outcomes.values()) for each in (body, older)] == [["duplicate"], ["stale"]]
    assert not list(signals)


def test_what_pre_save_sets_is_written(app: Flask, account: Any) -> None:
    @receiver(pre_save, sender=account)
    def tidy(sender: type, instance: Any, changed: Any, **kwargs: object) -> None:
        assert inspect(instance).transient
        instance.name = instance.name.strip().title()
        instance.notes = f"was {changed['name'].old}"

    send(app, {"Name": "  acme "})
    assert (tables_of(app)["account"][0]["name"], tables_of(app)["account"][0]["notes"]) == ("Acme", "was None")
    send(app, {"Name": "beta"})
    assert (tables_of(app)["account"][0]["name"], tables_of(app)["account"][0]["notes"]) == ("Beta", "was Acme")


def test_what_post_save_does_in_its_session_commits_with_the_record(app: Flask, account: Any) -> None:
    @receiver(post_save, sender=account)
    def note(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        assert object_session(instance) is session
        assert session.scalars(select(account)).all() == [instance]
        instance.notes = "seen"

    send(app, {"Name": "Acme"})
    assert tables_of(app)["account"][0]["notes"] == "seen"


@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
def test_one_that_raises_quarantines_its_notification_only(app: Flask, signal: Signal, signals: Recorder) -> None:
    @receiver(signal)
    def refuse(sender: type, instance: Any, **kwargs: object) -> None:
        if instance.external_id == "A-2":
            raise RuntimeError("A-2 is not welcome")

    answer = send(app, other(1), other(2), other(3))
    assert list(answer.outcomes.values()).count("created") == 2
    assert [row["external_id"] for row in tables_of(app)["account"]] == ["A-1", "A-3"]
    with parts_of(app).engine.connect() as connection:
        [entry] = connection.execute(tables.quarantine.select()).mappings()
    assert entry["error"] == "ReceiverRaised"
    assert entry["reason"] == f"A {signal.name} receiver raised RuntimeError: A-2 is not welcome"
    assert "in refuse" in entry["traceback"]
    assert [sent.instance.external_id for sent in signals.of(committed)] == ["A-1", "A-3"]


def test_what_a_raising_receiver_wrote_is_rolled_back(app: Flask, account: Any) -> None:
    @receiver(post_save)
    def writes_then_raises(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        session.add(account(external_id="by hand", salesforce_id="001000000000009AAA", organization_id="00D"))
        session.flush()
        raise RuntimeError("too late")

    send(app, {"Name": "Acme"})
    assert tables_of(app)["account"] == []


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_receiver_that_ends_its_session_ends_nothing_else(app: Flask, end: str) -> None:
    @receiver(post_save)
    def ends(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        instance.notes = "in the session"
        session.flush()
        getattr(session, end)()

    send(app, {"Name": "Acme"}, other(2))
    assert [row["notes"] for row in tables_of(app)["account"]] == ["in the session" if end == "commit" else None] * 2


def test_committed_is_robust_and_after_the_commit(app: Flask, account: Any, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    @receiver(committed)
    def fails(sender: type, **kwargs: object) -> None:
        raise RuntimeError("nobody minds")

    @receiver(committed)
    def looks(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        assert inspect(instance).detached
        stored = session.get_one(account, instance.external_id)
        stored.notes = "written by committed"
        seen.append(instance.name)

    send(app, {"Name": "Acme"})
    assert seen == ["Acme"]
    assert tables_of(app)["account"][0]["notes"] == "written by committed"
    assert "nobody minds" in caplog.text


def test_a_commit_that_fails_after_committed_does_not_undo_the_ack(app: Flask, account: Any) -> None:
    @receiver(committed)
    def breaks(sender: type, session: Session, **kwargs: object) -> None:
        session.add(account(external_id="A-1", salesforce_id="001000000000009AAA", organization_id="00D"))

    send(app, {"Name": "Acme"})
    assert [row["name"] for row in tables_of(app)["account"]] == ["Acme"]


def test_nothing_is_loaded_when_nobody_listens(app: Flask, account: Any) -> None:
    loaded: list[Any] = []
    from sqlalchemy import event

    event.listen(account, "load", lambda target, _: loaded.append(target), propagate=True)
    send(app, {"Name": "Acme"}, other(2))
    assert loaded == []
    with committed.connected_to(lambda sender, **kwargs: None, account):
        send(app, {"Name": "Beta"}, {**other(2), "Name": "two"})
    assert len(loaded) == 2


def test_each_committed_receiver_has_a_session_of_its_own(app: Flask, account: Any) -> None:
    @receiver(committed)
    def half(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        session.get_one(account, instance.external_id).notes = "half done"
        session.flush()
        raise RuntimeError("and then this")

    @receiver(committed)
    def whole(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        session.get_one(account, instance.external_id).rating = "set by the other"

    send(app, {"Name": "Acme"})
    [row] = tables_of(app)["account"]
    assert (row["notes"], row["rating"]) == (None, "set by the other")


def test_what_pre_save_loaded_is_fresh_in_post_save(app: Flask, account: Any) -> None:
    held: list[Any] = []
    names: list[str] = []

    @receiver(pre_save)
    def load(sender: type, instance: Any, session: Session, **kwargs: object) -> None:
        held.append(session.get(account, instance.external_id))

    @receiver(post_save)
    def look(sender: type, instance: Any, **kwargs: object) -> None:
        names.append(instance.name)

    send(app, {"Name": "old"})
    send(app, {"Name": "new"})
    assert names == ["old", "new"]


@pytest.mark.parametrize("text", ["a \x00 in it", "no NUL"])
def test_the_words_of_an_exception_are_kept_whatever_they_hold(app: Flask, text: str) -> None:
    @receiver(post_save)
    def fails(sender: type, **kwargs: object) -> None:
        raise RuntimeError(text)

    assert list(send(app, {"Name": "Acme"}).outcomes.values()) == ["quarantined"]


def test_a_value_that_a_column_will_not_take_costs_its_record_only(app: Flask) -> None:
    """What a receiver sets is bound by the column's type, which may refuse it."""

    @receiver(pre_save)
    def set_naive(sender: type, instance: Any, **kwargs: object) -> None:
        if instance.external_id == "A-2":
            instance.modstamp = datetime(2026, 1, 1)

    answer = send(app, other(1), other(2), other(3))
    assert sorted(answer.outcomes.values()) == ["created", "created", "quarantined"]


def test_the_ledger_tells_which_receivers_ran_and_what_they_raised(app: Flask) -> None:
    def fails(sender: Any, **_: Any) -> None:
        raise ValueError("the mail server is away")

    def listens(sender: Any, **_: Any) -> None: ...

    with committed.connected_to(fails), post_save.connected_to(listens):
        send(app, {"Name": "Acme"})
    with parts_of(app).engine.connect() as connection:
        [detail] = connection.scalars(select(tables.notification.c.detail))
    name = "tests.test_signals.test_the_ledger_tells_which_receivers_ran_and_what_they_raised.<locals>"
    assert detail["receivers"] == {"post_save": [f"{name}.listens"], "committed": [f"{name}.fails"]}
    assert detail["raised"] == {f"{name}.fails": "ValueError: the mail server is away"}
