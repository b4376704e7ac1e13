"""Two organizations, such as production and a sandbox: they may hold the same IDs, and neither settles what is the
other's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, text

from omreceiver import committed, pre_save
from omreceiver.app import parts_of
from omreceiver.redo import Selection, entries, rebuild, replay_kept, retry
from omreceiver.store import tables
from omreceiver.store.prune import Limits, prune
from omreceiver.store.quarantine import Wanted, entry
from omreceiver.testing import new_id
from tests.accounts import ONE, TWO, acme, at, send
from tests.conftest import MakeApp, tables_of

SANDBOX = "00Dxx0000009zzzAAA"


@pytest.fixture
def app(make_app: MakeApp, database_url: str, account: Any) -> Flask:
    return make_app(database_url, [account])


@pytest.fixture
def same() -> dict[str, Any]:
    """What makes two messages hold one notification ID."""
    return {"notification_ids": [new_id("04l")]}


def refuse(sender: Any, instance: Any, **_: Any) -> None:
    if instance.name == "Acme":
        raise ValueError("no Acme today")


def lines(app: Flask) -> dict[bool, Any]:
    """Whether it is the sandbox's → the only line of the ledger that each has."""
    with parts_of(app).engine.connect() as connection:
        return {row.organization_id == SANDBOX: row for row in connection.execute(tables.notification.select())}


def test_one_may_send_what_the_other_has_sent(app: Flask, same: dict[str, Any]) -> None:
    assert send(app, acme(), **same) == ["created"]
    assert send(app, acme(Name="Sandbox"), **same, organization_id=SANDBOX) == ["updated"]
    assert send(app, acme(), **same, organization_id=SANDBOX) == ["duplicate"]
    assert {which: line.repeats for which, line in lines(app).items()} == {False: 0, True: 1}


def test_what_waits_of_one_is_not_settled_by_the_other(app: Flask, same: dict[str, Any]) -> None:
    with pre_save.connected_to(refuse):
        send(app, acme(), **same)
        send(app, acme(Id=TWO, ERP_Id__c="A-2"), **same, organization_id=SANDBOX)
    parts = parts_of(app)
    assert [each.outcome for each in retry(parts, entries(parts, Wanted(frozenset({2}))))] == ["created"]
    assert [each.number for each in entries(parts, Wanted())] == [1]
    still = entry(parts.engine, 1)
    assert still is not None
    assert still.attempts == 0
    assert {which: line.outcome for which, line in lines(app).items()} == {False: "quarantined", True: "created"}


def test_what_fails_again_of_both_is_in_quarantine_of_both(app: Flask, same: dict[str, Any]) -> None:
    with pre_save.connected_to(refuse):
        send(app, acme(), **same)
    send(app, acme(Id=TWO, ERP_Id__c="A-2"), **same, organization_id=SANDBOX)
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("DELETE FROM account"))
    with pre_save.connected_to(refuse):
        replay_kept(parts_of(app), Selection())
    assert [each.record_id for each in entries(parts_of(app), Wanted())] == [ONE, TWO]


def test_what_receivers_raise_is_noted_where_it_belongs(app: Flask, same: dict[str, Any]) -> None:
    send(app, acme(), **same)

    def fails(sender: Any, **_: Any) -> None:
        raise ValueError("the mail server is away")

    with committed.connected_to(fails):
        send(app, acme(Name="Sandbox"), **same, organization_id=SANDBOX)
    assert {which: "raised" in line.detail for which, line in lines(app).items()} == {False: False, True: True}


def test_what_one_has_deleted_the_other_may_save(app: Flask) -> None:
    send(app, acme(SystemModstamp=at(5), IsDeleted="true"), organization_id=SANDBOX)
    assert send(app, acme(SystemModstamp=at(4))) == ["created"]
    send(app, acme(SystemModstamp=at(6), IsDeleted="true"))
    assert send(app, acme(SystemModstamp=at(7))) == ["created"]
    with parts_of(app).engine.connect() as connection:
        assert connection.scalars(select(tables.tombstone.c.organization_id)).all() == [SANDBOX]


def test_a_rebuild_deletes_nothing_for_the_other(app: Flask) -> None:
    send(app, acme(SystemModstamp=at(9), IsDeleted="true"), organization_id=SANDBOX)
    send(app, acme())
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("UPDATE om_message SET body = NULL WHERE id = 2"))
    assert rebuild(parts_of(app), write=True).differences == []
    assert [row["salesforce_id"] for row in tables_of(app)["account"]] == [ONE]


def test_tombstones_of_one_id_go_each_in_its_own_time(app: Flask) -> None:
    parts, now = parts_of(app), datetime.now(UTC)
    told = {"00D": now - timedelta(days=31), SANDBOX: now}
    stones = [{"salesforce_id": ONE, "organization_id": o, "told_at": t, "deleted_at": now} for o, t in told.items()]
    with parts.engine.begin() as connection:
        connection.execute(insert(tables.tombstone), stones)
    assert sum(gone["tombstones"] for gone in prune(parts.engine, Limits.of(parts.settings, now))) == 1
    with parts.engine.connect() as connection:
        assert connection.scalars(select(tables.tombstone.c.organization_id)).all() == [SANDBOX]
