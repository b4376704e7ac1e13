"""Who hears what: conditions, names of classes, signatures, async receivers, slow ones, and what a test asserts."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.orm import Mapped, Session

from omreceiver import (
    Address,
    Compound,
    ExternalId,
    Field,
    committed,
    message_received,
    message_refused,
    notification_quarantined,
    post_delete,
    post_save,
    pre_delete,
    pre_save,
    receiver,
    reference_resolved,
)
from omreceiver.app import parts_of
from omreceiver.errors import DeclarationError, NotAdmitted, NotSoap, Refusal
from omreceiver.relays import delivery
from omreceiver.relays.backlog import backlogs
from omreceiver.signals import OF_MESSAGES, OF_RECORDS, Sent, Signal, named, recording
from omreceiver.signals.running import call
from omreceiver.store import tables
from omreceiver.testing import Recorder, compose
from omreceiver.testing.replay import post
from tests.conftest import MakeApp, tables_of

PARTNER = "012000000000001AAA"


@pytest.fixture
def account(base: Any) -> Any:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        rating: Mapped[str | None] = Field("Rating")
        billing: Mapped[Address | None] = Compound("BillingAddress")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    return Account


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str, account: Any) -> Flask:
    return make_app(sqlite_url, [account, *account.__subclasses__()])


@pytest.fixture(autouse=True)
def only_our_receivers() -> Iterator[None]:
    """Receivers are held strongly, so a test lets go of its own."""
    before = {each: list(each.receivers) for each in (*OF_RECORDS, *OF_MESSAGES)}
    yield
    for each, known in before.items():
        for identity in [i for i in each.receivers if i not in known]:
            each.disconnect(each.receivers[identity])


def send(app: Flask, **fields: str) -> None:
    answer = post(app, compose("Account", {"Id": "001000000000001AAA", "ERP_Id__c": "A-1", **fields}))
    assert answer.ack, answer


def heard(into: list[str], name: str = "heard") -> Any:
    def hear(sender: Any, **_: Any) -> None:
        into.append(name)

    return hear


# -- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"Rating"}, {"rating"}, ["Rating", "Nothing__c"], {"BillingAddress"}, {"billing"}])
def test_only_when_one_of_these_fields_changed(app: Flask, account: Any, fields: Any) -> None:
    told: list[str] = []
    receiver(post_save, sender=account, fields=fields)(heard(told))
    send(app, Name="Acme")
    assert told == []
    send(app, Name="Acme", Rating="Hot", BillingCity="Basel")
    assert told == ["heard"]
    send(app, Name="Acme Ltd", Rating="Hot", BillingCity="Basel")
    assert told == ["heard"]


def test_a_field_of_a_class_below_is_heard_by_its_parents_receiver(app: Flask, account: Any) -> None:
    told: list[str] = []
    receiver(post_save, sender=account, fields={"Tier__c"})(heard(told))
    send(app, Name="Acme", RecordTypeId=PARTNER, Tier__c="Gold")
    send(app, Name="Acme Ltd", RecordTypeId=PARTNER, Tier__c="Gold")
    assert told == ["heard"]


@pytest.mark.parametrize("signal", [pre_save, post_save, committed], ids=lambda signal: str(signal.name))
def test_only_when_a_function_says_so(app: Flask, account: Any, signal: Signal) -> None:
    asked: list[tuple[bool, Any, Any]] = []

    def is_hot(sent: Sent) -> bool:
        asked.append((sent.created, sent.instance.rating, sent.sender))
        return bool(sent.changed["rating"].new == "Hot")

    told: list[str] = []
    receiver(signal, sender=account, fields={"Rating"}, when=is_hot)(heard(told))
    send(app, Name="Acme")
    send(app, Name="Acme", Rating="Cold")
    send(app, Name="Acme", Rating="Hot")
    assert (told, asked) == (["heard"], [(False, "Cold", account), (False, "Hot", account)])


def test_a_condition_that_raises_is_a_receiver_that_raises(app: Flask, account: Any) -> None:
    receiver(post_save, sender=account, when=lambda sent: sent.changed["nothing"].new is None)(heard([]))
    answer = post(app, compose("Account", {"ERP_Id__c": "A-1"}))
    assert list(answer.outcomes.values()) == ["quarantined"]


def test_no_instance_is_loaded_for_a_field_that_has_not_changed(app: Flask, account: Any) -> None:
    loaded: list[Any] = []
    event.listen(account, "load", lambda target, _: loaded.append(target), propagate=True)
    receiver([post_save, committed], sender=account, fields={"Rating"})(heard([]))
    send(app, Name="Acme")
    assert loaded == []
    send(app, Name="Acme", Rating="Hot")
    assert len(loaded) == 1


def test_the_ledger_names_those_that_ran(app: Flask, account: Any) -> None:
    receiver(post_save, sender=account, fields={"Rating"})(heard([]))
    receiver(post_save, sender=account, when=lambda sent: False)(heard([]))
    receiver(committed, sender=account, fields={"Rating"})(heard([]))
    receiver(committed, sender=account, when=lambda sent: False)(heard([]))
    send(app, Name="Acme")
    send(app, Name="Acme", Rating="Hot")
    with parts_of(app).engine.connect() as connection:
        n = tables.notification.c
        details = connection.scalars(select(n.detail).order_by(n.message_id)).all()
    name = "tests.test_listening.heard.<locals>.hear"
    assert [detail.get("receivers") for detail in details] == [
        {"committed": [f"{name}, if it applies"]},
        {"post_save": [name], "committed": [name, f"{name}, if it applies"]},
    ]


def test_a_conditional_receiver_is_disconnected_by_its_function(account: Any) -> None:
    function = heard([])
    receiver(post_save, sender=account, fields={"Name"})(function)
    assert post_save.has_receivers_for(account)
    post_save.disconnect(function)
    assert not post_save.has_receivers_for(account)


def test_fields_that_are_one_text_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"write fields=\{'Name'\}"):
        receiver(post_save, fields="Name")


def test_durable_receivers_have_conditions_too(app: Flask, account: Any) -> None:
    """No event is written for a field that has not changed; `when` is asked by the relay."""
    told: list[str] = []
    receiver(committed, sender=account, durable="erp", fields={"Rating"}, when=lambda sent: not sent.raw)(heard(told))
    send(app, Name="Acme")
    assert delivery.deliver_next(parts_of(app).engine, parts_of(app).models) is None
    send(app, Name="Acme", Rating="Hot")
    assert delivery.deliver_next(parts_of(app).engine, parts_of(app).models) is delivery.Fate.DELIVERED
    assert told == ["heard"]


# -- senders ----------------------------------------------------------------------------------------------------------


def test_a_sender_may_be_a_name_before_the_class_is_there(base: Any, make_app: MakeApp, sqlite_url: str) -> None:
    told: list[str] = []
    receiver(post_save, sender=["Account", "somewhere.Else"])(heard(told, "by its name"))
    receiver(post_save, sender=f"{__name__}.{__name__.rpartition('.')[2]}_of_nobody")(heard(told, "never"))

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")

    receiver(post_save, sender=f"{Account.__module__}.{Account.__qualname__}")(heard(told, "by its whole name"))
    send(make_app(sqlite_url, [Account]), Name="Acme")
    assert told == ["by its name", "by its whole name"]


def test_the_name_of_a_parent_hears_its_subclasses(app: Flask) -> None:
    told: list[str] = []
    receiver(post_save, sender="Account")(heard(told))
    receiver(committed, sender="Account", durable="erp")(heard(told))
    send(app, RecordTypeId=PARTNER)
    assert told == ["heard"]
    with parts_of(app).engine.connect() as connection:
        assert [(line.receiver, line.waiting) for line in backlogs(connection)] == [("erp", 1)]


def test_a_name_that_no_class_has_is_told_at_the_start(
    account: Any, make_app: MakeApp, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver(post_save, sender="Acount")(heard([]))
    with caplog.at_level(logging.WARNING, "omreceiver.app"):
        make_app(sqlite_url, [account])
    told = [record.getMessage() for record in caplog.records if "'Acount'" in record.getMessage()]
    assert told == ["a post_save receiver hears 'Acount', and no mapped class has that name. Did you mean 'Account'?"]


def test_other_names_that_nothing_has_are_told_at_the_start_too(
    make_app: MakeApp, sqlite_url: str, account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver(post_save, sender="Account", fields={"Name", "nmae", "Rating"})(heard([]))
    receiver(committed, sender="Acount", durable="erp", fields={"Nmae"})(heard([]))
    receiver(notification_quarantined, sender="Acount")(heard([]))
    with caplog.at_level(logging.WARNING, "omreceiver.app"):
        make_app(sqlite_url, [account])
    told = {record.getMessage() for record in caplog.records}
    assert {
        "a post_save receiver is about 'nmae', and no field of a mapped class has that name. Did you mean 'name'?",
        "a durable receiver hears 'Acount', and no mapped class has that name. Did you mean 'Account'?",
        "a durable receiver is about 'Nmae', and no field of a mapped class has that name. Did you mean 'Name'?",
        "a notification_quarantined receiver hears 'Acount', and no sObject of a mapped class has that name. "
        "Did you mean 'Account'?",
    } <= told
    assert not any("'Name'," in each or "'Rating'" in each for each in told)


def test_several_signals_and_several_senders(app: Flask, account: Any) -> None:
    told: list[str] = []
    receiver((pre_save, post_save), sender=(account, *account.__subclasses__()), fields={"Name"})(heard(told))
    send(app, Name="Acme", RecordTypeId=PARTNER)
    assert told == ["heard", "heard"], "once for each signal, though it hears the class and its parent"


# -- signatures -------------------------------------------------------------------------------------------------------


def no_keywords(sender: Any) -> None: ...


def a_few(sender: Any, instance: Any, created: bool) -> None: ...


def all_of_today(
    sender: Any,
    instance: Any,
    created: bool,
    deleted: bool,
    changed: Any,
    update_fields: Any,
    raw: bool,
    message: Any,
    session: Any,
) -> None: ...


def one_too_many(sender: Any, instance: Any, using: str, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (no_keywords, "unexpected keyword argument"),
        (a_few, "unexpected keyword argument"),
        (all_of_today, r"it takes no \*\*kwargs"),
        (one_too_many, "missing a required argument: 'using'"),
    ],
)
def test_a_wrong_signature_is_refused_when_it_is_connected(function: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why) as raised:
        receiver(post_save)(function)
    assert str(raised.value).startswith(f"tests.test_listening.{function.__name__}(sender")
    assert str(raised.value).endswith(f"Write it as `def {function.__name__}(sender, instance, **kwargs)`.")
    with pytest.raises(DeclarationError):
        receiver(committed, durable="erp")(function)
    assert not [each for each in post_save.receivers.values() if each is function]


def test_a_method_a_partial_and_what_is_written_in_c_are_taken(account: Any) -> None:
    class Listener:
        def hear(self, sender: Any, **_: Any) -> None: ...

        def __call__(self, sender: Any, **_: Any) -> None: ...

    for function in (Listener().hear, Listener(), dict):
        post_save.connect(function, account)
        assert post_save.has_receivers_for(account)
        post_save.disconnect(function)


# -- async, slow ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_in_a_loop", [False, True], ids=["", "in a loop"])
def test_async_receivers_run_to_their_end_in_order(app: Flask, account: Any, is_in_a_loop: bool) -> None:
    told: list[str] = []

    @receiver([pre_save, post_save, committed], sender=account)
    async def slowly(sender: Any, **_: Any) -> None:
        await asyncio.sleep(0.01)
        told.append("async")

    receiver([pre_save, post_save, committed], sender=account)(heard(told, "plain"))

    async def send_within() -> None:
        send(app, Name="Acme")

    if is_in_a_loop:
        asyncio.run(send_within())
    else:
        send(app, Name="Acme")
    assert told == ["async", "plain"] * 3


def test_an_async_receiver_raises_and_writes_like_any_other(app: Flask, account: Any) -> None:
    @receiver(committed, sender=account)
    async def rates(sender: Any, instance: Any, session: Session, **_: Any) -> None:
        await asyncio.sleep(0)
        session.get_one(account, instance.external_id).rating = "seen"

    @receiver(post_save, sender=account, fields={"Rating"})
    async def refuses(sender: Any, **_: Any) -> None:
        raise ValueError("no rating, please")

    send(app, Name="Acme")
    assert tables_of(app)["account"][0]["rating"] == "seen"
    answer = post(app, compose("Account", {"ERP_Id__c": "A-2", "Rating": "Hot"}))
    assert list(answer.outcomes.values()) == ["quarantined"]


def test_a_name_is_heard_beside_a_class(account: Any) -> None:
    signal, told = Signal("test", "A signal of this test."), list[str]()
    signal.connect(heard(told, "by its name"), "Account")
    signal.connect(heard(told, "by its class"), account)
    signal.send(account)
    assert told == ["by its name", "by its class"]


def test_one_that_is_connected_twice_keeps_its_place(account: Any) -> None:
    signal, told = Signal("test", "A signal of this test."), list[str]()
    first, second = heard(told, "first"), heard(told, "second")
    for function in (first, second, first):
        signal.connect(function, account)
    signal.send(account)
    assert told == ["first", "second"]


def test_an_async_receiver_in_a_loop_keeps_its_context() -> None:
    """A request ID, or a tenant."""
    request_id = ContextVar("request_id", default="none")

    async def tells(sender: Any, **_: Any) -> str:
        return request_id.get()

    async def serve() -> object:
        request_id.set("r-1")
        return call("committed", tells, None, {}, None)

    assert asyncio.run(serve()) == "r-1"


def test_a_recording_ends_with_an_exception() -> None:
    signal = Signal("test", "A signal of this test.")
    with pytest.raises(KeyError), recording(signal):
        raise KeyError
    assert not signal.receivers


def test_a_durable_receiver_is_of_one_class_or_of_all() -> None:
    with pytest.raises(DeclarationError, match="of one class or of all"):
        receiver(committed, durable="erp", sender=["Account", "Contact"])(heard([]))


def test_the_ack_stands_though_what_a_receiver_raised_cannot_be_noted(
    make_app: MakeApp, sqlite_url: str, account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(sqlite_url, [account, *account.__subclasses__()])

    def breaks(sender: Any, **_: Any) -> None:
        with parts_of(app).engine.begin() as connection:
            connection.execute(text("ALTER TABLE om_notification RENAME TO elsewhere"))
        raise ValueError("nobody minds")

    receiver(committed, sender=account)(breaks)
    send(app, Name="Acme")
    assert "what a receiver raised is not in the ledger" in caplog.text


def test_a_slow_receiver_is_named_with_its_time(
    account: Any, make_app: MakeApp, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(sqlite_url, [account, *account.__subclasses__()], OMRECEIVER_SLOW_RECEIVER="500ms")

    @receiver([post_save, committed], sender=account)
    def sleeps(sender: Any, **_: Any) -> None:
        time.sleep(0.6)

    receiver([post_save, committed], sender=account)(heard([]))
    with caplog.at_level(logging.WARNING, "omreceiver.signals"):
        send(app, Name="Acme")
    named = "tests.test_listening.test_a_slow_receiver_is_named_with_its_time.<locals>.sleeps"
    lines = [record.getMessage() for record in caplog.records]
    for line, signal in zip(lines, ("post_save", "committed"), strict=True):
        told = re.fullmatch(rf"the {signal} receiver {re.escape(named)} took (\d+\.\d) s", line)
        assert told is not None
        assert 0.6 <= float(told[1]) < 60


# -- what a test asserts ----------------------------------------------------------------------------------------------


def test_what_was_sent_is_asserted_in_a_line(app: Flask, account: Any, signals: Recorder) -> None:
    send(app, Name="Acme")
    send(app, Name="Acme", Rating="Hot")
    signals.assert_sent(post_save, account, created=True, changed={"name": (None, "Acme")})
    [sent] = signals.assert_sent(committed, account, times=1, update_fields={"rating"}, instance={"external_id": "A-1"})
    assert sent.instance.rating == "Hot"
    signals.assert_not_sent(post_delete, account)
    signals.assert_not_sent(post_save, *account.__subclasses__())


def test_the_nearest_is_shown_where_nothing_fits(app: Flask, account: Any, signals: Recorder) -> None:
    send(app, Name="Acme")
    send(app, Name="Acme Ltd", Rating="Hot")
    with pytest.raises(AssertionError) as raised:
        signals.assert_sent(post_save, account, created=False, changed={"name": (None, "Acme")}, raw=False)
    assert str(raised.value).splitlines() == [
        "post_save of Account with created=False, changed={'name': (None, 'Acme')}, raw=False was not sent.",
        "Nearest came post_save of Account A-1:",
        "  created: True, expected False",
    ]
    with pytest.raises(AssertionError) as raised:
        signals.assert_sent(post_save, account, times=3, instance={"name": "Acme Ltd", "owner": "me"})
    assert "  instance.owner: nothing, expected 'me'" in str(raised.value)


def test_what_was_sent_at_all_is_shown_where_nothing_was_of_that_kind(
    app: Flask, account: Any, signals: Recorder
) -> None:
    with pytest.raises(AssertionError, match=r"pre_delete of Account was not sent\.\nNothing was sent\."):
        signals.assert_sent(pre_delete, account)
    send(app, Name="Acme")
    with pytest.raises(AssertionError, match=r"Sent were:\n  pre_save of Account\n  post_save of Account"):
        signals.assert_sent(reference_resolved)
    with pytest.raises(AssertionError, match=r"post_save of any class was sent 1 times; expected 0\."):
        signals.assert_not_sent(post_save)


# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_message_is_told_before_anything_of_it_is_stored(app: Flask, signals: Recorder) -> None:
    counted: list[int] = []

    @receiver(message_received, sender="Account")
    def count(sender: str, message: Any, **_: Any) -> None:
        counted.append(len(tables_of(app)["account"]))
        raise ValueError("nobody minds")

    send(app, Name="Acme")
    assert (counted, len(tables_of(app)["account"])) == ([0], 1)
    [sent] = signals.assert_sent(message_received, "Account", times=1, raw=False)
    assert sent.arguments["message"].sobject == "Account"


def test_a_refusal_is_told_with_its_reason(app: Flask, signals: Recorder) -> None:
    told: list[str] = []
    receiver(message_refused, sender=Refusal)(heard(told))
    receiver(message_refused, sender=NotAdmitted)(heard(told, "never"))
    assert post(app, b"<not-soap/>").status == 400
    [sent] = signals.assert_sent(message_refused, NotSoap, times=1)
    assert (told, str(sent.arguments["error"])) == (["heard"], str(NotSoap()))
    signals.assert_not_sent(message_received)


def test_what_goes_to_quarantine_is_told_after_the_commit(app: Flask, account: Any, signals: Recorder) -> None:
    @receiver(post_save, sender=account, when=lambda sent: sent.instance.external_id == "A-2")
    def refuses(sender: Any, **_: Any) -> None:
        raise ValueError("not this one")

    @receiver(notification_quarantined, sender="Account")
    def writes(sender: str, session: Session, error: Any, **_: Any) -> None:
        session.get_one(account, "A-1").rating = f"beside: {error.__cause__}"

    records = [{"Id": f"00100000000000{n}AAA", "ERP_Id__c": f"A-{n}"} for n in (1, 2)]
    post(app, compose("Account", *records))
    [sent] = signals.assert_sent(notification_quarantined, "Account", times=1)
    assert sent.arguments["notification"].fields["ERP_Id__c"] == "A-2"
    assert [row["rating"] for row in tables_of(app)["account"]] == ["beside: not this one"]


def test_signals_of_messages_tell_of_no_fields() -> None:
    with pytest.raises(DeclarationError, match="message_received tells of no fields"):
        receiver(message_received, fields={"Name"})


# -- connected and let go ---------------------------------------------------------------------------------------------


def test_nothing_is_held_of_a_receiver_that_was_let_go(account: Any) -> None:
    signal, function = Signal("test", "A signal of this test."), heard([])
    with signal.connected_to(function, account):
        pass
    signal.connect(function, dispatch_uid="once")
    signal.disconnect(function)
    assert [len(held) for held in (signal.receivers, signal._order, signal._uids)] == [0, 0, 0]


def test_one_that_is_connected_again_is_the_last(account: Any) -> None:
    signal, told = Signal("test", "A signal of this test."), list[str]()
    first, second = heard(told, "first"), heard(told, "second")
    for function in (first, second):
        signal.connect(function, account)
    signal.disconnect(first, account)
    signal.connect(first, account)
    signal.send(account)
    assert told == ["second", "first"]


def test_a_uid_that_is_replaced_leaves_the_other_connections_of_its_receiver(account: Any) -> None:
    signal, told = Signal("test", "A signal of this test."), list[str]()
    before = heard(told, "before")
    signal.connect(before, account)
    signal.connect(before, dispatch_uid="all")
    signal.connect(heard(told, "after"), dispatch_uid="all")
    signal.send(account)
    signal.send(Signal)
    assert told == ["before", "after", "after"]


def test_what_a_decorator_of_yours_wraps_is_not_disconnected_with_it(account: Any) -> None:
    signal, told = Signal("test", "A signal of this test."), list[str]()
    inner = heard(told)
    outer = wraps(inner)(lambda sender, **sent: inner(sender, **sent))
    signal.connect(outer, account)
    signal.disconnect(inner)
    signal.send(account)
    assert told == ["heard"]


def test_names_of_receivers_are_those_of_their_code() -> None:
    class Listener:
        def __call__(self, sender: Any, **_: Any) -> None: ...

    where = f"{__name__}.test_names_of_receivers_are_those_of_their_code.<locals>.Listener"
    assert (named(Listener()), named(partial(no_keywords))) == (where, f"{__name__}.no_keywords")


def test_two_durable_receivers_of_one_name_are_refused(account: Any) -> None:
    receiver(committed, durable="sync")(heard([]))
    receiver(committed, durable="sync")(heard([]))  # the same function of a module that was loaded again
    with pytest.raises(DeclarationError, match=r"Two durable receivers are named 'sync', tests\.test_listening\.heard"):
        receiver(committed, durable="sync")(dict)


@pytest.mark.parametrize("name", ["", "n" * 81])
def test_a_name_that_no_column_takes_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="is no name for a durable receiver: it must have 1 to 80 letters"):
        receiver(committed, durable=name)(heard([]))


def test_a_condition_must_answer_at_once_and_a_sender_be_of_its_kind(account: Any) -> None:
    async def later(sent: Sent) -> bool:
        return True

    with pytest.raises(DeclarationError, match=r"later is async; `when` is asked before each call"):
        receiver(post_save, when=later)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(DeclarationError, match="The sender of notification_quarantined is the name of an sObject"):
        receiver(notification_quarantined, sender=account)


def test_no_instance_is_made_for_pre_save_of_a_field_that_has_not_changed(app: Flask, account: Any) -> None:
    made: list[Any] = []
    event.listen(account, "init", lambda target, *_: made.append(target), propagate=True)
    receiver(pre_save, sender=account, fields={"Rating"})(heard([]))
    send(app, Name="Acme")
    assert made == []


@pytest.mark.parametrize("signal", [post_save, committed], ids=lambda signal: str(signal.name))
def test_what_one_receiver_rolls_back_leaves_the_instance_to_the_others(
    app: Flask, account: Any, signal: Signal
) -> None:
    told: list[str] = []

    @receiver(signal, sender=account)
    def undoes(sender: Any, instance: Any, session: Session, **_: Any) -> None:
        if signal is post_save:
            session.rollback()
            return
        session.add(instance)
        raise ValueError("nobody minds")

    @receiver(committed, sender=account)
    def reads(sender: Any, instance: Any, **_: Any) -> None:
        told.append(instance.name)

    send(app, Name="Acme")
    assert told == ["Acme"]
