"""omreceiver show: what arrived, what was compared, what was done, which receivers ran; and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import Engine, delete, text
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field, committed, post_save, pre_save
from omreceiver.admin import finding, held, history, sentences
from omreceiver.app import parts_of
from omreceiver.cli import main
from omreceiver.signals.durable import durable_receivers
from omreceiver.store import quarantine, tables
from omreceiver.testing import compose, new_id
from omreceiver.testing.messages import ACTION, ORGANIZATION
from omreceiver.testing.replay import Case, post, replay
from tests.conftest import MakeApp
from tests.ledgers import at, bury, deliver, settle, tell
from tests.statements import statements

Show = Callable[..., Result]
ANN = "003000000000001AAA"
ONE, TWO, THREE = (f"04l00000000000{n}AAA" for n in (1, 2, 3))


@pytest.fixture
def app(make_app: MakeApp, project: Path, database_url: str) -> Flask:
    return make_app(database_url, wsdl_dir=project / "wsdl")


@pytest.fixture
def show(app: Flask, database_url: str) -> Show:
    """show("04l…", "--json"): run it in this process, on the database of `app`."""

    def invoke(*arguments: str) -> Result:
        return CliRunner(env={"DATABASE_URL": database_url}).invoke(main, ["show", *arguments])

    return invoke


def ann(**fields: Any) -> dict[str, Any]:
    return {"Id": ANN, "Key__c": "C-1", "LastName": "Ann", "SystemModstamp": at(1), **fields}


def send(app: Flask, notification_id: str, **fields: Any) -> str:
    """One message about Ann; gives its outcome."""
    answer = post(app, compose("Contact", ann(**fields), notification_ids=[notification_id]))
    assert answer.ack, answer
    return answer.outcomes[notification_id]


def lines(result: Result) -> list[str]:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout.splitlines()


def facts(result: Result) -> dict[str, str]:
    """label → what it says, of the lines above the first table."""
    above = result.stdout.split("\n\n")[0]
    assert result.exit_code == 0, result.output
    return dict(line.split(": ", 1) for line in above.splitlines())


def table(result: Result) -> list[dict[str, str]]:
    """The rows of the last table."""
    headings, *rows = [line.split("\t") for line in result.stdout.split("\n\n")[-1].splitlines()]
    return [dict(zip(headings, row, strict=True)) for row in rows]


# -- one notification ---------------------------------------------------------------------------------------------


def test_a_notification_tells_what_arrived_what_was_compared_and_what_was_done(app: Flask, show: Show) -> None:
    send(app, ONE)
    assert send(app, TWO, LastName="King", SystemModstamp=at(5)) == "updated"
    told = {"class": "Contact", "key": "c-1", "arrived": at(5).isoformat(), "held": at(1).isoformat()}
    tell(app, TWO, detail={**told, "changed": ["last_name", "email"], "kept": ["Title"], "notes": ["A note."]})
    shown = facts(show(TWO))
    assert shown.pop("arrived").endswith(" UTC, in message 2")
    assert shown == {
        "notification": TWO,
        "outcome": "updated",
        "done": "The record was updated.",
        "sent by": f"action {ACTION} of organization {ORGANIZATION}, to the common URL",
        "record": f"{ANN} (Contact, key c-1)",
        "compared": "2026-07-01 12:00:05 arrived, 2026-07-01 12:00:01 was there: newer",
        "changed": "last_name, email",
        "not applied": "Title: set later by another action",
        "note": "A note.",
    }


@pytest.mark.parametrize(
    ("detail", "compared"),
    [
        ({"arrived": at(5).isoformat(), "held": at(1).isoformat()}, "newer"),
        ({"arrived": at(1).isoformat(), "held": at(5).isoformat()}, "older"),
        ({"arrived": "2026-07-01T12:00:05+00:00", "held": "2026-07-01T14:00:05+02:00"}, "equally new, which is"),
        ({"arrived": at(5).isoformat()}, "2026-07-01 12:00:05 arrived, nothing was there to compare it with"),
        ({"held": at(5).isoformat()}, "no stamp arrived, 2026-07-01 12:00:05 was there"),
        ({"arrived": "some day", "held": "2026"}, "some day arrived, 2026 was there"),
        ({}, ""),
    ],
)
def test_what_was_compared_in_words(
    make_app: MakeApp, sqlite_url: str, project: Path, detail: dict[str, str], compared: str
) -> None:
    app = make_app(sqlite_url, wsdl_dir=project / "wsdl")
    send(app, ONE)
    tell(app, ONE, detail=detail)
    shown = facts(CliRunner(env={"DATABASE_URL": sqlite_url}).invoke(main, ["show", ONE]))
    assert compared in shown.get("compared", "")
    assert ("compared" in shown) is bool(compared)


def test_what_a_later_release_writes_into_the_ledger_does_not_hurt(app: Flask, show: Show) -> None:
    send(app, ONE)
    for detail in (None, {}, {"weather": "fair"}, {"receivers": None, "changed": None, "raised": None, "notes": None}):
        tell(app, ONE, detail=detail)
        assert facts(show(ONE))["outcome"] == "created"
    tell(app, ONE, outcome="enchanted")
    assert facts(show(ONE))["done"] == "It ended as enchanted."


def test_an_id_of_15_characters_is_as_good(app: Flask, show: Show) -> None:
    send(app, ONE)
    assert facts(show(ONE[:15]))["notification"] == ONE
    assert facts(show(f"  {ANN[:15]} "))["record"] == ANN


def test_one_without_an_id_is_known_by_its_hash(app: Flask, show: Show) -> None:
    body = compose("Contact", ann(), notification_ids=["none"])
    [number] = post(app, body).outcomes
    assert number.startswith("#")
    assert facts(show(number))["record"].startswith(ANN)


def test_what_came_again_and_by_a_url_of_its_own_and_as_a_replay(app: Flask, show: Show, project: Path) -> None:
    body = compose("Contact", ann(), notification_ids=[ONE])
    for _ in range(3):
        post(app, body, case=Case(project / "message.xml", wsdl="Contact"), raw=True)
    shown = facts(show(ONE))
    assert shown["came again"] == "2 times; acknowledged, and not applied again"
    assert shown["sent by"].endswith(", to the URL of Contact")
    assert "UTC, a replay of fixtures, in message 1" in shown["arrived"]


def test_which_receivers_ran_and_how_far_durable_ones_are(app: Flask, show: Show) -> None:
    send(app, ONE)
    receivers = {"post_save": ["shop.hooks.index"], "committed": ["shop.hooks.mail", "shop.hooks.log"]}
    tell(app, ONE, detail={"receivers": receivers, "raised": {"shop.hooks.mail": "OSError: no route"}})
    deliver(
        app,
        ONE,
        erp={"delivered_at": at(5)},
        late={"delivered_at": at(9), "attempts": 3},
        search={"due_at": at(7), "attempts": 2, "error": "TimeoutError: slow"},
        billing={"attempts": 20, "error": "ValueError: no such customer"},
        shop={"due_at": at(8), "attempts": 0},
        crm={"due_at": at(8)},
    )
    assert [tuple(row.values()) for row in table(show(ONE))] == [
        ("shop.hooks.index", "post_save", "ran"),
        ("shop.hooks.mail", "committed", "raised OSError: no route"),
        ("shop.hooks.log", "committed", "ran"),
        ("billing", "committed, durable", "given up, tried 20 times: ValueError: no such customer"),
        ("crm", "committed, durable", "is running, or its relay ended (tried once)"),
        ("erp", "committed, durable", "ran at 2026-07-01 12:00:05"),
        ("late", "committed, durable", "ran at 2026-07-01 12:00:09, tried 3 times"),
        (
            *("search", "committed, durable"),
            "raised TimeoutError: slow (tried 2 times); again at 2026-07-01 12:00:07",
        ),
        ("shop", "committed, durable", "waits for omreceiver relay"),
    ]


def test_one_in_quarantine_tells_why_and_what_to_do(app: Flask, show: Show) -> None:
    assert send(app, ONE, Birthdate="31/12/1980") == "quarantined"
    shown = facts(show(ONE))
    reason = "Birthdate holds '31/12/1980', expected a date like 2026-12-31"
    assert shown["quarantine"].startswith("number 1, since ")
    assert shown["quarantine"].endswith(reason)
    assert (shown["see"], shown["then"]) == ("omreceiver quarantine show 1", "omreceiver quarantine retry 1")
    assert f"in quarantine, number 1: {reason}" in table(show(ANN))[0]["compared_and_changed"]


def test_one_that_left_quarantine_tells_of_both(app: Flask, show: Show) -> None:
    send(app, ONE, Birthdate="31/12/1980")
    settle(app, 1, "created", at(30))
    tell(app, ONE, outcome="created", detail={"before": "quarantined"})
    shown = facts(show(ONE))
    assert shown["done"] == "A record that was not here was stored, after it had been in quarantine."
    assert ", until 2026-07-01 12:00:30: created. The reason was: Birthdate holds" in shown["quarantine"]
    assert (shown["see"], "then" in shown) == ("omreceiver quarantine show 1", False)


def test_two_organizations_may_have_one_notification_id(app: Flask, show: Show) -> None:
    for organization in (ORGANIZATION, "00Dxx0000002gPFEAY"):
        body = compose("Contact", ann(), notification_ids=[ONE], organization_id=organization)
        assert post(app, body).ack
    shown = show(ONE).stdout
    assert shown.count(f"notification: {ONE}") == 2
    assert shown.count("00Dxx0000002gPFEAY") == 1


# -- the whole way ------------------------------------------------------------------------------------------------


def index(sender: type, **_: object) -> None:
    """A receiver."""


def mail(sender: type, **_: object) -> None:
    raise OSError("no route")


def keep_out(sender: type, **_: object) -> None:
    raise ValueError("not today")


def test_from_a_message_to_what_is_shown_of_it(app: Flask, show: Show) -> None:
    durable_receivers.connect("erp", index)
    with post_save.connected_to(index), committed.connected_to(mail):
        send(app, ONE)
        send(app, TWO, LastName="King", Title="Countess", SystemModstamp=at(5))
    assert send(app, THREE, SystemModstamp=at(3)) == "stale"
    shown = show(TWO)
    assert (facts(shown)["record"], facts(shown)["changed"]) == (
        f"{ANN} (Contact, key c-1)",
        "last_name, system_modstamp, title",
    )
    assert facts(shown)["compared"] == "2026-07-01 12:00:05 arrived, 2026-07-01 12:00:01 was there: newer"
    assert [tuple(row.values()) for row in table(shown)] == [
        ("tests.test_show.index", "post_save", "ran"),
        ("tests.test_show.mail", "committed", "raised OSError: no route"),
        ("erp", "committed, durable", "waits for omreceiver relay"),
    ]
    assert [(row["outcome"], row["compared_and_changed"]) for row in table(show(ANN))] == [
        ("stale", "2026-07-01 12:00:03 arrived, 2026-07-01 12:00:05 was there: older"),
        ("updated", "last_name, system_modstamp, title"),
        ("created", ""),
    ]


def test_two_actions_that_set_different_fields(app: Flask, show: Show) -> None:
    """An older message still applies to what no newer one has set, and says what it left alone."""
    for number, second, fields in (("1", 1, {"Name": "a", "Rating": "Hot"}), ("2", 9, {"Name": "b"})):
        record: dict[str, Any] = {"Id": "006000000000001AAA", "SystemModstamp": at(second), **fields}
        post(app, compose("Lead", record, action_id=f"04kxx000000000{number}AAA"))
    record |= {"Name": "c", "Rating": "Cold", "SystemModstamp": at(5)}
    post(app, compose("Lead", record, action_id="04kxx0000000001AAA", notification_ids=[ONE]))
    shown = facts(show(ONE))
    assert shown["outcome"] == "updated"
    assert shown["compared"].endswith("12:00:05 arrived, 2026-07-01 12:00:09 was there: older")
    assert "Name" in shown["not applied"]
    assert "Rating" not in shown["not applied"]


def test_a_record_that_was_deleted_in_salesforce(make_app: MakeApp, database_url: str, base: Any) -> None:
    """Removed, or marked where its class says so."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class Lead(base, sobject="Lead", on_delete="mark"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    app = make_app(database_url, base)
    for sobject, record_id in (("Account", "001000000000001AAA"), ("Lead", "00Q000000000001EAA")):
        record = {"Id": record_id, "Name": "Acme"}
        post(app, compose(sobject, {**record, "IsDeleted": "false", "SystemModstamp": at(1)}))
        post(app, compose(sobject, {**record, "IsDeleted": "true", "SystemModstamp": at(5)}))
    parts = parts_of(app)
    with parts.engine.connect() as connection:
        removed, marked = (finding.record(connection, parts.models, each) for each in ("001000000000001", record_id))
    for story in (removed, marked):
        assert [line.outcome for line in story.told.lines] == ["deleted", "created"]
        assert story.told.lines[0].detail["held"] == at(1).isoformat()
    assert sentences.state(removed)[0] == "Not in the tables."
    assert sentences.state(removed)[1].startswith("Deleted in Salesforce at 2026-07-01 12:00:05, told here at 20")
    assert sentences.state(marked)[0].endswith(". Deleted at 2026-07-01 12:00:05; its rows are kept.")


def test_out_of_quarantine_with_a_trace_of_both(app: Flask, show: Show, database_url: str) -> None:
    with pre_save.connected_to(keep_out):
        assert send(app, ONE) == "quarantined"
    assert facts(show(ONE))["quarantine"].endswith("A pre_save receiver raised ValueError: not today")
    retried = CliRunner(env={"DATABASE_URL": database_url}).invoke(main, ["quarantine", "retry", "1"])
    assert retried.exit_code == 0, retried.output
    shown = facts(show(ONE))
    assert shown["done"] == "A record that was not here was stored, after it had been in quarantine."
    assert ": created. The reason was: A pre_save receiver raised ValueError: not today" in shown["quarantine"]
    assert facts(show("2"))["arrived"].endswith("UTC, played again from what was kept here")
    assert "was quarantined before" in table(show(ANN))[0]["compared_and_changed"]


# -- one record ---------------------------------------------------------------------------------------------------


def test_a_record_tells_where_it_is_and_its_history_newest_first(app: Flask, show: Show) -> None:
    send(app, ONE)
    send(app, TWO, LastName="King", SystemModstamp=at(5))
    tell(app, TWO, detail={"changed": ["last_name"]})
    assert send(app, THREE, SystemModstamp=at(3)) == "stale"
    tell(app, THREE, detail={"arrived": at(3).isoformat(), "held": at(5).isoformat()})
    send(app, THREE)
    shown = show(ANN)
    assert facts(shown) == {
        "record": ANN,
        "now": "Contact, key c-1, in contact, saved in Salesforce at 2026-07-01 12:00:05.",
    }
    history = [(row["outcome"], row["message"], row["notification"]) for row in table(shown)]
    assert history == [("stale", "3", THREE), ("updated", "2", TWO), ("created", "1", ONE)]
    older = "2026-07-01 12:00:03 arrived, 2026-07-01 12:00:05 was there: older; came again once"
    assert [row["compared_and_changed"] for row in table(shown)][:2] == [older, "last_name"]


def test_a_leaf_class_and_a_class_of_no_tables_of_its_own(make_app: MakeApp, database_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")

    class PartnerAccount(Account, when={"RecordTypeId": "012000000000001AAA"}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    app = make_app(database_url, base)
    record = {"Id": "001000000000001AAA", "ERP_Id__c": "A-1", "RecordTypeId": "012000000000001AAA"}
    post(app, compose("Account", record))
    parts = parts_of(app)
    with parts.engine.begin() as connection:
        [line] = finding.record(connection, parts.models, "001000000000001").places
        assert (line.name, line.tables, line.key) == ("PartnerAccount", ("account", "partner_account"), "A-1")
        connection.execute(text("UPDATE account SET child_name = 'Gone'"))
        [line] = finding.record(connection, parts.models, "001000000000001").places
    assert (line.name, line.tables, line.sobject) == ("Gone", ("account",), None)


def test_a_deleted_record_has_its_tombstone(app: Flask, show: Show) -> None:
    send(app, ONE)
    with parts_of(app).engine.begin() as connection:
        connection.execute(text("DELETE FROM contact"))
    bury(app, ANN, deleted_at=at(50), told_at=at(52))
    buried = "Deleted in Salesforce at 2026-07-01 12:00:50, told here at 2026-07-01 12:00:52. What is older does not"
    assert lines(show(ANN))[:3] == [f"record: {ANN}", "now: Not in the tables.", f"now: {buried} bring it back."]
    with parts_of(app).engine.begin() as connection:
        connection.execute(delete(tables.notification))
    assert f"now: {buried}" in show(ANN).stdout, "known by its tombstone alone"


def test_a_record_whose_row_became_another_ones(app: Flask, show: Show) -> None:
    bury(app, ANN, displaced_at=at(50), told_at=at(52))
    assert "now: Its row, of 2026-07-01 12:00:50, became another record's, told here at" in show(ANN).stdout


def test_a_record_that_never_reached_the_tables(app: Flask, show: Show) -> None:
    post(app, compose("Opportunity", {"Id": "006000000000001AAA"}))
    shown = show("006000000000001")
    assert facts(shown)["now"] == "Not in the tables."
    assert [row["outcome"] for row in table(shown)] == ["quarantined"]


def test_an_external_id_leads_to_its_record(app: Flask, show: Show) -> None:
    """Folded as the class folds it: Key__c does not tell upper from lower case."""
    send(app, ONE)
    for key in ("c-1", "C-1", " C-1 "):
        assert facts(show(key))["record"] == ANN


def test_an_external_id_that_several_records_have(app: Flask, show: Show) -> None:
    send(app, ONE, Key__c="X-1")
    post(app, compose("Account", {"Id": "001000000000001AAA", "ERP_Id__c": "X-1", "SystemModstamp": at(1)}))
    several = show("X-1")
    assert several.exit_code == 0
    assert {(row["class"], row["salesforce_id"]) for row in table(several)} == {
        ("Contact", ANN),
        ("Account", "001000000000001AAA"),
    }
    assert several.stderr == "Several records have this external ID. Show one by its Salesforce ID.\n"


def test_a_long_history_ends_and_says_how_to_see_more(app: Flask, show: Show) -> None:
    for second in range(5):
        send(app, new_id("04l"), LastName=f"Ann {second}", SystemModstamp=at(second))
    some = show(ANN, "--limit", "3")
    assert len(table(some)) == 3
    assert some.stderr == f"There are older ones: omreceiver show {ANN} --limit 30\n"
    assert len(table(show(ANN, "--limit", "5"))) == 5
    assert show(ANN, "--limit", "5").stderr == ""


# -- messages -----------------------------------------------------------------------------------------------------


def test_without_an_id_the_last_messages_newest_first(app: Flask, show: Show) -> None:
    send(app, ONE)
    send(app, TWO, Birthdate="never")
    send(app, ONE)
    shown = show()
    assert [(row["message"], row["outcomes"]) for row in table(shown)] == [
        ("3", "1 duplicate"),
        ("2", "1 quarantined"),
        ("1", "1 created"),
    ]
    assert table(shown)[1]["reasons"] == "Birthdate holds 'never', expected a date like 2026-12-31"
    assert [row["message"] for row in table(show("--limit", "1"))] == ["3"]


def test_a_number_is_a_message(app: Flask, show: Show, project: Path) -> None:
    replay(app, project / "fixtures" / "contact-wrong-value")
    shown = show("1")
    assert facts(shown)["outcomes"] == "1 quarantined, 1 created"
    assert [row["outcome"] for row in table(shown)] == ["quarantined", "created"]
    assert all(row["record"].startswith("003") for row in table(shown))


def test_a_message_says_where_its_duplicates_are(app: Flask, show: Show) -> None:
    send(app, ONE)
    send(app, ONE)
    shown = show("2")
    assert facts(shown)["note"] == (
        "1 of its notifications had been here before. Each stands with the message it came with first."
    )
    assert "\n\n" not in shown.stdout


def test_a_number_that_is_a_key_too(app: Flask, show: Show) -> None:
    send(app, ONE, Key__c="1")
    both = show("1")
    assert facts(both)["message"] == "1"
    assert both.stderr == f"1 is also the key of a record: omreceiver show {ANN}\n"
    send(app, TWO, Key__c="77", Id="003000000000002AAA")
    assert facts(show("77"))["record"] == "003000000000002AAA", "there is no message of that number"


# -- nothing known ------------------------------------------------------------------------------------------------


def test_of_an_unknown_id_nothing_is_known(app: Flask, show: Show) -> None:
    result = show("04l999999999999AAA")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        'Nothing is known of "04l999999999999AAA". '
        "The ledger knows the notifications of the last 30 days (OMRECEIVER_KEEP_LEDGER).\n"
    )


@pytest.mark.parametrize(
    "odd", ["", " ", "\x00", "a\x00b", "\udcff", "%", "_", "' OR 1=1", "9" * 30, "²", "-1", "x" * 5000, "#", "💶" * 255]
)
def test_no_id_is_too_odd_to_be_asked(app: Flask, show: Show, odd: str) -> None:
    send(app, ONE)
    parts = parts_of(app)
    with parts.engine.connect() as connection:
        assert not finding.find(connection, parts.models, odd)
        assert not finding.record(connection, parts.models, odd).is_known
        assert finding.notifications(connection, odd) == []
    if "\x00" not in odd and "\udcff" not in odd:
        assert show("--", odd).exit_code == 1


# -- as JSON ------------------------------------------------------------------------------------------------------


def test_as_json_everything_that_is_known(app: Flask, show: Show) -> None:
    send(app, ONE, Birthdate="never")
    tell(app, ONE, detail={"arrived": at(1).isoformat(), "weather": "fair"})
    deliver(app, ONE, erp={"delivered_at": at(5)})
    [line] = json.loads(show(ONE, "--json").stdout)["notifications"]
    assert line["detail"] == {"arrived": at(1).isoformat(), "weather": "fair"}, "what is not understood too"
    assert line["message"]["action_id"] == ACTION
    assert line["held"][0]["error"] == "UnreadableValue"
    assert (line["deliveries"][0]["receiver"], line["deliveries"][0]["delivered_at"]) == ("erp", at(5).isoformat())

    send(app, TWO)
    [record] = json.loads(show(ANN, "--json").stdout)["records"]
    assert record["places"][0]["key"] == "c-1"
    assert [told["notification_id"] for told in record["told"]["lines"]] == [TWO, ONE]

    [message] = json.loads(show("1", "--json").stdout)["messages"]
    assert message["outcomes"] == {"quarantined": 1}
    assert [told["notification_id"] for told in message["notifications"]] == [ONE]
    assert [each["number"] for each in json.loads(show("--json").stdout)] == [2, 1]


# -- what it costs ------------------------------------------------------------------------------------------------


def test_lists_cost_the_same_however_long(app: Flask) -> None:
    parts = parts_of(app)
    records = [ann(Id=new_id("003"), Key__c=f"C-{n}", Birthdate="never" if n % 2 else None) for n in range(40)]
    costs = set()
    for some in (records[:2], records[2:]):
        number = post(app, compose("Contact", *some)).receipt.message_id  # type: ignore[union-attr]
        with parts.engine.connect() as connection, statements(parts.engine, only="SELECT") as seen:
            assert len(history.of_message(connection, number, limit=None).lines) == len(some)
            history.messages(connection)
        costs.add(len(seen))
    assert costs == {4}


def test_whatever_is_read_is_found_by_an_index(make_app: MakeApp, sqlite_url: str, project: Path) -> None:
    app = make_app(sqlite_url, wsdl_dir=project / "wsdl")
    send(app, ONE, Birthdate="never")
    parts = parts_of(app)
    with parts.engine.connect() as connection:
        plans = list(_plans(parts.engine, connection, lambda: _read_everything(connection, parts.models)))
    assert len(plans) > 20
    assert [line for line in plans if line.startswith("SCAN")] == []


def _read_everything(connection: Any, models: Any) -> None:
    for each in (ONE, ANN, "C-1", "1", "unknown"):
        finding.find(connection, models, each)
    finding.record(connection, models, ANN, 50, 50)
    history.messages(connection, 50, before=9)
    history.of_message(connection, 1, 50, 50)
    history.deliveries(connection, ONE)
    held.held(connection, settled=False, limit=50, before=9)
    quarantine.count(connection.engine)


def _plans(engine: Engine, connection: Any, act: Callable[[], None]) -> Iterator[str]:
    """What SQLite says of how it reads each SELECT."""
    with statements(engine, only="SELECT") as seen:
        act()
    for statement in list(seen):
        filled = statement.replace("?", "1")
        yield from (row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {filled}"))
