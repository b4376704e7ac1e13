"""Kept messages: played again as a whole or in part, in their order; and pruned when their time is over."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, text, update
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field, committed, post_save, pre_save, receiver
from omreceiver.app import parts_of
from omreceiver.config import Settings
from omreceiver.redo import Redone, Selection, choose, entries, replay_kept, retry
from omreceiver.relays import delivery, outbox
from omreceiver.store import quarantine, tables
from omreceiver.store.prune import KINDS, Limits, due, prune
from omreceiver.store.quarantine import Wanted
from omreceiver.testing import Recorder, compose, new_id
from omreceiver.testing.replay import post
from tests.accounts import ONE, PARTNER, THREE, TWO, acme, at, send
from tests.conftest import ROOT, MakeApp, tables_of

OTHER = "04kxx00000000zzBAA"
M = tables.message.c


@pytest.fixture
def app(make_app: MakeApp, database_url: str, base: Any) -> Flask:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    class Contact(base, sobject="Contact"):  # type: ignore[call-arg]
        last_name: Mapped[str | None] = Field("LastName")

    return make_app(database_url, base)


def replayed(app: Flask, **selected: Any) -> list[tuple[int, list[str]]]:
    """(message, outcomes) of what a selection replays."""
    return [_shown(each) for each in replay_kept(parts_of(app), Selection(**selected))]


def _shown(each: Redone) -> tuple[int, list[str]]:
    assert each.receipt is not None, each.refusal
    return each.kept.number, [each.outcomes[n.id] for n in each.receipt.message.notifications]


def empty(app: Flask) -> None:
    """Lose the records, as a restored backup or a wrong statement does."""
    with parts_of(app).engine.begin() as connection:
        for table in reversed(parts_of(app).models.tables()):
            connection.execute(table.delete())


def names(app: Flask) -> list[str]:
    return [row["name"] for row in tables_of(app)["account"]]


def count(app: Flask, table: str, condition: str = "1 = 1") -> int:
    with parts_of(app).engine.connect() as connection:
        return connection.scalar(text(f"SELECT COUNT(*) FROM {table} WHERE {condition}")) or 0


# -- replay -----------------------------------------------------------------------------------------------------------


def test_lost_records_come_back_in_the_order_in_which_they_came(app: Flask, signals: Recorder) -> None:
    send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2", RecordTypeId=PARTNER, Tier__c="Gold"))
    send(app, acme(Name="Acme Ltd", SystemModstamp=at(2)))
    send(app, {"Id": "003000000000001AAA", "LastName": "Muster"}, sobject="Contact")
    before = tables_of(app)
    empty(app)
    signals.clear()
    assert replayed(app) == [(1, ["created", "created"]), (2, ["updated"]), (3, ["created"])]
    assert tables_of(app) == before
    saves = [(s.sender.__name__, s.created, s.arguments["raw"]) for s in signals.of(post_save)]
    assert sorted(saves[:2]) == [("Account", True, True), ("PartnerAccount", True, True)]
    assert saves[2:] == [("Account", False, True), ("Contact", True, True)]


def test_where_nothing_was_lost_nothing_changes(app: Flask, signals: Recorder) -> None:
    """What is fresher stays; what is equal is unchanged and sends nothing."""
    send(app, acme())
    send(app, acme(Name="Acme Ltd", SystemModstamp=at(2)))
    before = tables_of(app)
    signals.clear()
    assert replayed(app) == [(1, ["stale"]), (2, ["unchanged"])]
    assert tables_of(app) == before
    assert not list(signals)


def test_a_delete_without_a_stamp_counts_from_when_it_came(app: Flask) -> None:
    """Played again later, it must not take what was restored in Salesforce since."""
    first, deleted, restored = (datetime.now(UTC) - timedelta(hours=ago) for ago in (3, 2, 1))
    send(app, acme(SystemModstamp=first))
    assert send(app, {"Id": ONE, "IsDeleted": "true"}, action_id=OTHER) == ["deleted"]
    with parts_of(app).engine.begin() as connection:
        connection.execute(update(tables.message).where(M.id == 2).values(received_at=deleted))
        connection.execute(update(tables.tombstone).values(deleted_at=deleted))
    assert send(app, acme(Name="restored", SystemModstamp=restored)) == ["created"]
    before = tables_of(app)
    # on PostgreSQL the third has another number: it was tried twice, as the record was remembered as deleted
    assert [outcomes for _, outcomes in replayed(app)] == [["stale"], ["stale"], ["unchanged"]]
    assert tables_of(app) == before
    empty(app)
    assert [outcomes for _, outcomes in replayed(app)] == [["created"], ["deleted"], ["created"]]


def test_live_is_said_when_receivers_shall_not_know(app: Flask, signals: Recorder) -> None:
    send(app, acme())
    empty(app)
    signals.clear()
    replay_kept(parts_of(app), raw=False)
    assert [sent.arguments["raw"] for sent in signals.of(post_save)] == [False]


def test_the_ledger_keeps_its_lines_and_no_body_is_kept_twice(app: Flask) -> None:
    send(app, acme())
    replay_kept(parts_of(app))
    assert replayed(app) == [(1, ["unchanged"])]
    assert count(app, "om_message", "body IS NOT NULL") == 1
    assert count(app, "om_message") == 3
    assert count(app, "om_notification", "message_id = 1 AND outcome = 'created' AND repeats = 0") == 1
    assert count(app, "om_notification") == 1


def test_each_goes_by_the_url_that_it_came_to(make_app: MakeApp, database_url: str, signals: Recorder) -> None:
    app = make_app(database_url, wsdl_dir=ROOT / "wsdl")
    case = ROOT / "fixtures" / "contact-created" / "message.xml"
    with app.test_client() as client:
        client.post(parts_of(app).settings.path + "/Contact", data=case.read_bytes(), content_type="text/xml")
    empty(app)
    signals.clear()
    [redone] = replay_kept(parts_of(app))
    assert (redone.kept.wsdl, list(redone.outcomes.values())) == ("Contact", ["created"])
    assert [sent.arguments["message"].wsdl for sent in signals.of(post_save)] == ["Contact"]


def test_a_message_that_may_not_enter_any_more_is_told_with_the_reason(
    make_app: MakeApp, database_url: str, base: Any
) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    send(make_app(database_url, base), acme())
    closed = make_app(database_url, base, OMRECEIVER_ORGANIZATIONS="00D000000000001AAA")
    [redone] = replay_kept(parts_of(closed))
    assert redone.receipt is None
    assert "is not among OMRECEIVER_ORGANIZATIONS" in str(redone.refusal)


# -- which ------------------------------------------------------------------------------------------------------------

NOTIFICATIONS = [new_id("04l") for _ in range(5)]


@pytest.fixture
def three(app: Flask) -> Flask:
    """Three messages, a day, an hour and a moment ago, of two actions and two sObjects; the records are lost."""
    partner = acme(Id=TWO, ERP_Id__c="A-2", RecordTypeId=PARTNER)
    send(app, acme(), partner, notification_ids=NOTIFICATIONS[:2])
    other = acme(Name="Acme Ltd", SystemModstamp=at(2))
    send(app, other, acme(Id=THREE, ERP_Id__c="A-3"), action_id=OTHER, notification_ids=NOTIFICATIONS[2:4])
    send(app, {"Id": "003000000000001AAA", "LastName": "M"}, sobject="Contact", notification_ids=NOTIFICATIONS[4:])
    with parts_of(app).engine.begin() as connection:
        for number, ago in ((1, timedelta(days=1)), (2, timedelta(hours=1))):
            connection.execute(update(tables.message).where(M.id == number).values(received_at=datetime.now(UTC) - ago))
    empty(app)
    return app


#: what is selected, and message → how many of its notifications are meant
SELECTIONS: list[tuple[dict[str, Any], dict[int, int]]] = [
    ({}, {1: 2, 2: 2, 3: 1}),
    ({"ids": ("2",)}, {2: 2}),
    ({"ids": ("2", "1")}, {1: 2, 2: 2}),
    ({"ids": (NOTIFICATIONS[1],)}, {1: 1}),
    ({"ids": (NOTIFICATIONS[1][:15], NOTIFICATIONS[4])}, {1: 1, 3: 1}),
    ({"ids": (ONE,)}, {1: 1, 2: 1}),
    ({"ids": (ONE[:15],)}, {1: 1, 2: 1}),
    ({"ids": (ONE, "2")}, {1: 1, 2: 2}),
    ({"ids": (ONE,), "actions": (OTHER,)}, {2: 1}),
    ({"actions": (OTHER[:15],)}, {2: 2}),
    ({"classes": ("Contact",)}, {3: 1}),
    ({"classes": ("Account",)}, {1: 2, 2: 2}),
    ({"classes": ("PartnerAccount",)}, {1: 1}),
    ({"classes": ("PartnerAccount", "Contact")}, {1: 1, 3: 1}),
    ({"classes": ("Nothing",)}, {}),
    ({"since": datetime.now(UTC) - timedelta(hours=2)}, {2: 2, 3: 1}),
    ({"until": datetime.now(UTC) - timedelta(hours=2)}, {1: 2}),
    ({"since": datetime.now(UTC) - timedelta(hours=2), "classes": ("Account",)}, {2: 2}),
]


def test_a_selection_takes_what_meets_every_condition(three: Flask) -> None:
    for selected, expected in SELECTIONS:
        found = {number: len(outcomes) for number, outcomes in replayed(three, **selected)}
        assert found == expected, selected


def test_of_a_message_only_the_notifications_that_are_meant(three: Flask) -> None:
    [redone] = replay_kept(parts_of(three), Selection(ids=(NOTIFICATIONS[1],)))
    assert list(redone.outcomes) == [NOTIFICATIONS[1]]
    assert [row["external_id"] for row in tables_of(three)["account"]] == ["A-2"]


def test_ids_that_no_kept_message_has_are_told(three: Flask) -> None:
    missing = (new_id("04l"), "17")
    chosen = choose(parts_of(three), Selection(ids=(ONE, *missing)))
    assert chosen.unknown == missing
    beyond = choose(parts_of(three), Selection(ids=("1",), since=datetime.now(UTC) - timedelta(hours=2)))
    assert (beyond.numbers, beyond.unknown) == ((), ("1",))


def test_what_is_no_id_is_a_mistake(three: Flask) -> None:
    for wrong in (Selection(ids=("no ID at all..",)), Selection(ids=("001-00000000001",)), Selection(actions=("04k",))):
        with pytest.raises(ValueError, match="15 or 18 letters and digits"):
            replay_kept(parts_of(three), wrong)


# -- and the quarantine -----------------------------------------------------------------------------------------------


def refusing(name: str) -> AbstractContextManager[Any]:
    """While this lasts, a receiver of ours refuses accounts of this name."""

    def refuse(sender: Any, instance: Any, **_: Any) -> None:
        if instance.name == name:
            raise ValueError(f"no {name} today")

    return pre_save.connected_to(refuse)


def test_what_is_in_quarantine_leaves_it_when_its_message_is_played(app: Flask) -> None:
    with refusing("Acme"):
        send(app, acme())
    assert replayed(app) == [(1, ["created"])]
    settled = quarantine.entry(parts_of(app).engine, 1)
    assert settled is not None
    assert (settled.outcome, settled.attempts) == ("created", 1)


def test_what_was_dropped_stays_out(app: Flask) -> None:
    bad = new_id("04l")
    with refusing("Acme"):
        send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2", Name="good"), notification_ids=[bad])
        send(app, acme(), acme(Id=THREE, ERP_Id__c="A-3", Name="better"), notification_ids=[bad])
    quarantine.drop(parts_of(app).engine, [1])
    empty(app)
    assert replayed(app) == [(1, ["created"]), (2, ["created"])]
    assert names(app) == ["good", "better"]


def test_what_was_stored_and_fails_now_is_in_quarantine(app: Flask) -> None:
    """The ledger says what became of it first; it must not get lost now."""
    send(app, acme())
    empty(app)
    parts = parts_of(app)
    with refusing("Acme"):
        assert replayed(app) == [(1, ["quarantined"])]
        assert replayed(app) == [(1, ["quarantined"])]
    [entry] = entries(parts, Wanted())
    assert (entry.record_id, entry.attempts) == (ONE, 1)
    assert [result.outcome for result in retry(parts, [entry])] == ["created"]
    assert names(app) == ["Acme"]
    assert count(app, "om_notification", "outcome = 'created'") == 1


def test_what_was_mended_and_fails_again_has_an_entry_of_its_own(app: Flask) -> None:
    with refusing("Acme"):
        send(app, acme())
    assert replayed(app) == [(1, ["created"])]
    settled = quarantine.entry(parts_of(app).engine, 1)
    empty(app)
    with refusing("Acme"):
        assert replayed(app) == replayed(app) == [(1, ["quarantined"])]
    assert [each.number for each in entries(parts_of(app), Wanted())] == [2]
    assert quarantine.entry(parts_of(app).engine, 1) == settled


# -- prune ------------------------------------------------------------------------------------------------------------


def pruned(app: Flask, **settings: str) -> dict[str, int]:
    """What a prune removes, each kind in a figure."""
    limits = Limits.of(Settings.from_mapping({**settings}), datetime.now(UTC))
    expected, removed = due(parts_of(app).engine, limits), Counter[str]()
    for step in prune(parts_of(app).engine, limits):
        removed.update(step)
    assert expected == removed.total() - removed["notifications"] - removed["deliveries"]
    assert due(parts_of(app).engine, limits) == 0
    return {kind: removed[kind] for kind in KINDS if removed[kind]}


def age(app: Flask, days: float, *messages: int) -> None:
    """Let messages have come some days ago."""
    then = datetime.now(UTC) - timedelta(days=days)
    with parts_of(app).engine.begin() as connection:
        connection.execute(update(tables.message).where(M.id.in_(messages)).values(received_at=then))


def test_bodies_go_after_their_time_and_the_ledger_stays(app: Flask) -> None:
    once = new_id("04l")
    send(app, acme(), notification_ids=[once])
    send(app, acme(SystemModstamp=at(2)))
    age(app, 7.01, 1)
    age(app, 6.99, 2)
    assert pruned(app) == {"bodies": 1}
    assert replayed(app) == [(2, ["unchanged"])]
    assert send(app, acme(), notification_ids=[once]) == ["duplicate"]


def test_the_ledger_goes_after_its_time_with_its_messages(app: Flask) -> None:
    send(app, acme(), acme(Id=TWO, ERP_Id__c="A-2"))
    send(app, acme(SystemModstamp=at(2)))
    age(app, 30.01, 1)
    age(app, 29.99, 2)
    assert pruned(app) == {"bodies": 2, "messages": 1, "notifications": 2}
    assert count(app, "om_message") == count(app, "om_notification") == 1
    assert len(tables_of(app)["account"]) == 2, "records are no book-keeping"
    assert pruned(app) == {}


def test_the_times_are_settings(app: Flask) -> None:
    send(app, acme())
    age(app, 8, 1)
    assert pruned(app, OMRECEIVER_KEEP_MESSAGES="9d") == {}
    assert pruned(app, OMRECEIVER_KEEP_LEDGER="7d") == {"bodies": 1, "messages": 1, "notifications": 1}


def test_what_is_open_in_quarantine_stays_with_its_message_and_what_is_settled_goes(app: Flask) -> None:
    with refusing("Acme"):
        for record in (ONE, TWO, THREE):
            send(app, acme(Id=record, ERP_Id__c=record))
    parts = parts_of(app)
    list(retry(parts, entries(parts, Wanted(frozenset({2})))))
    quarantine.drop(parts.engine, [3])
    age(app, 31, 1, 2, 3)
    assert pruned(app) == {"bodies": 3, "messages": 2, "notifications": 2}
    with parts.engine.begin() as connection:
        settled = tables.quarantine.c.settled_at
        then = datetime.now(UTC) - timedelta(days=31)
        connection.execute(update(tables.quarantine).where(settled.is_not(None)).values(settled_at=then))
    assert pruned(app) == {"quarantined": 2}
    assert count(app, "om_message", "id = 1") == count(app, "om_notification", "message_id = 1") == 1
    assert [result.outcome for result in retry(parts, entries(parts, Wanted()))] == ["created"]
    assert pruned(app) == {"messages": 1, "notifications": 1}


def test_tombstones_go_by_when_they_were_told(app: Flask) -> None:
    """Not by when the record was deleted: the tombstone of an old record may have come a moment ago."""
    now = datetime.now(UTC)
    stones = [
        {"salesforce_id": ONE, "told_at": now - timedelta(days=31), "deleted_at": now - timedelta(days=31)},
        {"salesforce_id": TWO, "told_at": now - timedelta(days=1), "deleted_at": now - timedelta(days=99)},
    ]
    with parts_of(app).engine.begin() as connection:
        connection.execute(insert(tables.tombstone), [{"organization_id": "00D", **stone} for stone in stones])
    assert pruned(app) == {"tombstones": 1}
    assert count(app, "om_tombstone", f"salesforce_id = '{TWO}'") == 1


def test_events_go_when_every_receiver_has_had_them(app: Flask) -> None:
    @receiver(committed, durable="erp")
    def erp(sender: Any, **_: Any) -> None: ...

    send(app, acme())
    send(app, acme(Name="Acme Ltd", SystemModstamp=at(2)))
    parts = parts_of(app)
    assert delivery.deliver_next(parts.engine, parts.models) == "delivered"
    with parts.engine.begin() as connection:
        connection.execute(update(tables.event).values(created_at=datetime.now(UTC) - timedelta(days=31)))
    assert pruned(app) == {"events": 1}
    assert count(app, "om_event") == count(app, "om_delivery", "delivered_at IS NULL") == count(app, "om_delivery") == 1


def test_events_that_are_given_up_or_were_delivered_just_now_stay(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    @receiver(committed, durable="erp")
    def erp(sender: Any, instance: Any, **_: Any) -> None:
        if instance.name == "Bad":
            raise ConnectionError("the ERP is away")

    monkeypatch.setattr(outbox, "ATTEMPTS", 1)
    send(app, acme(Name="Bad"))
    parts = parts_of(app)
    assert delivery.deliver_next(parts.engine, parts.models) == "parked"
    with parts.engine.begin() as connection:
        connection.execute(update(tables.event).values(created_at=datetime.now(UTC) - timedelta(days=31)))
    send(app, acme(Id=TWO, ERP_Id__c="A-2"))
    assert delivery.deliver_next(parts.engine, parts.models) == "delivered"
    assert pruned(app) == {}
    assert outbox.unpark(parts.engine, "erp") == 1


def test_a_prune_of_many_takes_several_transactions(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omreceiver.store.prune.BATCH", 3)
    for second in range(7):
        send(app, acme(SystemModstamp=at(second)))
    age(app, 31, *range(1, 8))
    limits = Limits.of(Settings(), datetime.now(UTC))
    steps = list(prune(parts_of(app).engine, limits))
    assert [step["messages"] for step in steps if step["messages"]] == [3, 3, 1]
    assert [step["bodies"] for step in steps if step["bodies"]] == [3, 3, 1]


def test_receiving_goes_on_beside_a_prune(app: Flask) -> None:
    """Even one that removes each message as soon as it is there."""
    engine, later = parts_of(app).engine, datetime.now(UTC) + timedelta(hours=1)
    bodies = [
        compose("Account", *(acme(Id=new_id("001"), ERP_Id__c=f"A-{turn}-{at}") for at in range(10)))
        for turn in range(30)
    ]
    removed = Counter[str]()
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(post, app, body) for body in bodies]
        while not all(answer.done() for answer in answers):
            for step in prune(engine, Limits(later, later)):
                removed.update(step)
    for step in prune(engine, Limits(later, later)):
        removed.update(step)
    assert all(answer.result().ack for answer in answers)
    assert (removed["messages"], removed["notifications"]) == (30, 300)
    assert len(tables_of(app)["account"]) == 300
