"""Plays stories to a receiver through its door, and looks after every message whether all is well."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session

from omreceiver import ExternalId, Field, Tombstone, committed, post_delete, post_save, pre_delete, pre_save
from omreceiver.app import parts_of
from omreceiver.store import tables
from omreceiver.testing import compose
from omreceiver.testing.replay import Case, Replayed, post
from tests.conftest import tables_of
from tests.convergence import (
    ARRIVED,
    FIELDS,
    GONE,
    PARTNER,
    RECORDS,
    START,
    TOMBSTONE,
    Note,
    Step,
    Story,
    Tables,
    World,
    data_of,
    told,
)
from tests.wsdls import wsdl_text

ACTIONS = {"Sales": "04kxx000000sal1AAA", "Support": "04kxx000000sup1AAA", TOMBSTONE: "04kxx000000tom1AAA"}
DELETED = Tombstone("Deleted_Object__c", record_id="Object_Id__c", sobject="Object_Type__c")
KINDS = {"IsDeleted": "xsd:boolean", "SystemModstamp": "xsd:dateTime", "RecordTypeId": "ent:ID"}
#: what the store keeps of messages
BOOKS = (tables.message, tables.notification, tables.quarantine, tables.action, tables.tombstone)
WRITTEN = {"created", "updated", "retyped", "rekeyed", "deleted"}
VERBS = ("created", "sets", "blanks", "partner", "plain", "rekeyed", "deleted", "entombed", "undeleted")
#: nobody tells of a deletion but notifications that are sent after it
EMPTIED = ("created", "sets", "blanks", "partner", "plain", "vanishes")
NOT_RECEIVED = {"organization_id", "action_stamps"}
#: what receivers in the transaction write
HEARD = Table("heard", MetaData(), Column("id", Integer, primary_key=True), Column("told", String(40)))

#: no story lasts so long; what is later is the clock of this machine
LATER = START + timedelta(hours=1)
Rows = dict[str, list[dict[str, Any]]]
#: ("within" the transaction or "committed", "saved" or "deleted", Salesforce ID)
Heard = tuple[str, str, str]


def declare(base: Any, on_delete: str) -> list[Any]:
    """Account, and PartnerAccount below it. Nothing but the caller holds them."""

    class Account(base, sobject="Account", on_delete=on_delete):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")
        name: Mapped[str | None] = Field("Name")
        rating: Mapped[str | None] = Field("Rating")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    return [Account, PartnerAccount]


def write_wsdls(folder: Path) -> None:
    """One for each action, which sends to the URL of its own."""
    told = ("Object_Id__c", "Object_Type__c", "SystemModstamp")
    for action, names in {**FIELDS, TOMBSTONE: told}.items():
        fields = {name: KINDS.get(name, "xsd:string") for name in names}
        sobject = DELETED.name if action == TOMBSTONE else "Account"
        (folder / f"{action}.wsdl").write_text(wsdl_text(sobject, fields), encoding="utf-8")


class Player:
    """A receiver that hears one story after the other, each with empty tables."""

    def __init__(self, app: Flask, is_marking: bool) -> None:
        self.app, self.is_marking = app, is_marking
        self.engine = parts_of(app).engine
        self.played: Counter[str] = Counter()
        HEARD.create(self.engine)

    def check(self, story: Story) -> None:
        """The messages of a story end in the tables of its changes in order; so does the receiver when it hears them in
        order, and then it follows them second by second.
        """
        wanted = self.wanted(story)
        self.hear(story.in_order(), wanted)
        found, end = self.hear(story), wanted[-1][1] if wanted else self.tables()
        assert found == end, f"{story.messages} ended in {found} instead of {end}"

    def wanted(self, story: Story) -> list[tuple[datetime, Rows]]:
        """For each message of the story in order the second that it tells of, and the tables after what it tells."""
        tables, wanted = Tables(self.is_marking), list[tuple[datetime, Rows]]()
        for step in story.steps:
            told = story.told(step)
            tables.apply(step, [note.action for note in told])
            wanted += [(step.stamp, tables.rows())] * len(told)
        return wanted

    def check_blurred(self, story: Story) -> None:
        """The record of a story is as it was at some moment of its last second; a deletion in it wins. Told in order
        it is as in the last moment: equal stamps are applied.
        """
        assert self.hear(story.in_order(is_blurred=True)) == self.wanted(story)[-1][1]
        found, last = self.hear(story)["account"], story.steps[-1]
        newest = max(step.stamp for step in story.steps if step.told_by == "actions")
        possible = [step.fields for step in story.steps if step.stamp == newest and step.told_by == "actions"]
        if last.is_deleted and not self.is_marking:
            assert found == []
            return
        [row] = found
        assert row["modstamp"] == newest
        assert row["external_id"] in [fields["ERP_Id__c"] for fields in possible]
        assert row["name"] in [fields["Name"] for fields in possible]
        sends_rating = any(message.startswith("Support") for message in story.messages)
        assert not sends_rating or row["rating"] in [fields["Rating"] for fields in possible]
        assert row["child_name"] in [
            "PartnerAccount" if fields["RecordTypeId"] == PARTNER else "Account" for fields in possible
        ]
        assert row.get("deleted_at") == (last.stamp if last.is_deleted else None)

    def hear(self, story: Story, wanted: Sequence[tuple[datetime, Rows]] = ()) -> Rows:
        """Take the messages of a story; gives the tables in the end. `wanted`: what they must be after each second."""
        self.empty()
        self.played.update(stories=1, messages=len(story.notes), notifications=sum(map(len, story.notes)))
        seen, found = Seen(story), self.tables()
        for number, notes in enumerate(story.notes):
            with self.listening() as committed_of:
                answer = self.take(story, notes)
            found = self.tables()
            seen.look(number, answer, found, [*committed_of, *self.written_by_receivers()])
            if wanted and wanted[number][0] < (wanted[number + 1][0] if number + 1 < len(wanted) else LATER):
                rows = wanted[number][1]
                assert found == rows, f"{story.messages[: number + 1]} made {found} instead of {rows}"
        self.look_into_the_ledger(story)
        return found

    def empty(self) -> None:
        parts_of(self.app).field_lists.known.clear()
        with self.engine.begin() as connection:
            for table in (*reversed(parts_of(self.app).models.tables()), *BOOKS):
                connection.execute(delete(table))

    def take(self, story: Story, notes: Sequence[Note]) -> Replayed:
        """One message, through the door of its action."""
        action = notes[0].action
        sobject = DELETED.name if action == TOMBSTONE else "Account"
        records = [_fields(note, story.steps[(note.filled or note.step) - 1]) for note in notes]
        ids = [notification_id(note) for note in notes]
        body = compose(sobject, *records, action_id=ACTIONS[action], notification_ids=ids)
        return post(self.app, body, case=Case(Path("message.xml"), wsdl=action))

    def tables(self) -> Rows:
        return {name: [_received(row) for row in rows] for name, rows in tables_of(self.app).items()}

    @contextmanager
    def listening(self) -> Iterator[list[Heard]]:
        """Receivers that want an instance and write what they hear: in the transaction to a table, else to a list."""
        done: list[Heard] = []

        def before(sender: type, instance: Any, **_: Any) -> None:
            assert instance.salesforce_id

        def within(sender: type, session: Session, **sent: Any) -> None:
            session.execute(insert(HEARD), {"told": " ".join(_heard(**sent))})

        def after(sender: type, **sent: Any) -> None:
            done.append(("committed", *_heard(**sent)))

        with ExitStack() as stack:
            for signal in (pre_save, pre_delete):
                stack.enter_context(signal.connected_to(before))
            for signal in (post_save, post_delete):
                stack.enter_context(signal.connected_to(within))
            stack.enter_context(committed.connected_to(after))
            yield done

    def written_by_receivers(self) -> list[Heard]:
        with self.engine.begin() as connection:
            found = [str(told).split() for told in connection.scalars(select(HEARD.c.told))]
            if found:
                connection.execute(delete(HEARD))
        return [("within", kind, record) for kind, record in found]

    def look_into_the_ledger(self, story: Story) -> None:
        """Each notification stands in it once, and nothing is in quarantine."""
        with self.engine.connect() as connection:
            known = sorted(connection.scalars(select(tables.notification.c.notification_id)))
            assert connection.scalar(select(func.count()).select_from(tables.quarantine)) == 0
        assert known == sorted({notification_id(note) for notes in story.notes for note in notes})


def _received(row: Mapping[str, Any]) -> dict[str, Any]:
    received = {name: value for name, value in row.items() if name not in NOT_RECEIVED}
    return received | ({"deleted_at": ARRIVED} if (row.get("deleted_at") or START) > LATER else {})


def _heard(instance: Any, deleted: bool, **_: Any) -> tuple[str, str]:
    return ("deleted" if deleted else "saved", instance.salesforce_id)


class Seen:
    """What was seen of a story so far, and what must hold after each message."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.here: set[str] = set()
        self.stamps: dict[str, datetime] = {}
        self.values: dict[tuple[str, str], Step] = {}
        self.told: Counter[tuple[str, int, str]] = Counter()

    def look(self, number: int, answer: Replayed, rows: Rows, heard: list[Heard]) -> None:
        where = f"after message {number + 1}, {self.story.messages[number]!r},"
        assert answer.ack, f"{where} no ack: {answer}"
        assert "quarantined" not in answer.outcomes.values(), f"{where} in quarantine: {answer.receipt}"
        leaves = [row["external_id"] for row in rows["account"] if row["child_name"] == "PartnerAccount"]
        assert [row["external_id"] for row in rows["partner_account"]] == leaves, f"{where} {rows}"
        tiers = {row["external_id"]: row["tier"] for row in rows["partner_account"]}
        for row in rows["account"]:
            self._look_at_time(row, tiers.get(row["external_id"]), where)
        here = {row["salesforce_id"] for row in rows["account"]}
        self._count(self.story.notes[number], answer, heard, self.here - here, where)
        self.here = here
        self.values = {(record, name): step for (record, name), step in self.values.items() if record in here}

    def _look_at_time(self, row: Mapping[str, Any], tier: str | None, where: str) -> None:
        """Neither a row's stamp nor a text of it is older than one that it had before, though it was gone between."""
        record = row["salesforce_id"]
        assert row["modstamp"] >= self.stamps.get(record, row["modstamp"]), f"{where} {record} went back in time"
        self.stamps[record] = row["modstamp"]
        for name, number in _numbered(row["name"], row["rating"], tier, *row["extra"].values()):
            step = self.story.steps[number - 1]
            # a row that was taken over has texts of the record before, until each action has sent its own
            if RECORDS[step.record] == record:
                before = self.values.get((record, name), step)
                is_new = self._until(step, name) >= before.stamp
                assert is_new, f"{where} {record} has {name} {number} after {before.number}"
                self.values[record, name] = step

    def _until(self, step: Step, name: str) -> datetime:
        """When the text that a step has set was no more."""
        later = (each for each in self.story.steps[step.number :] if each.record == step.record)
        changed = (each.stamp for each in later if each.fields[name] != step.fields[name])
        return next(changed, self.story.steps[-1].stamp)

    def _count(self, notes: list[Note], answer: Replayed, heard: list[Heard], left: set[str], where: str) -> None:
        """One change, one action, at most one signal; who leaves its place to a deleted record is told as deleted."""
        written = {note for note in notes if answer.outcomes[notification_id(note)] in WRITTEN}
        records = {RECORDS[self.story.steps[note.step - 1].record]: note for note in written}
        assert all(times == 1 for times in Counter(heard).values()), f"{where} {heard}"
        told = {record for _, _, record in heard}
        assert told <= records.keys() | left, f"{where} {heard} of {written}"
        for record, note in records.items():
            change = (record, note.filled, note.action)
            self.told[change] += record in told
            assert self.told[change] <= 1 or self._is_blurred(note), f"{where} {note} was told twice"

    def _is_blurred(self, note: Note) -> bool:
        """Whether the record had other data within the same second: then nobody knows which were the last."""
        here = self.story.steps[(note.filled or note.step) - 1]
        return any(s.stamp == here.stamp and s.record == here.record and s is not here for s in self.story.steps)


def _numbered(*texts: str | None) -> list[tuple[str, int]]:
    found = [re.fullmatch(r"(\w+) (\d+)", text or "") for text in texts]
    return [(each[1], int(each[2])) for each in found if each]


def notification_id(note: Note) -> str:
    return f"04l00000{list(ACTIONS).index(note.action)}{note.step:06}AAA"


def _fields(note: Note, step: Step) -> dict[str, Any]:
    """The sObject of a notification."""
    if note.action == TOMBSTONE:
        tomb = {"Id": f"a0D000000{step.number:06}AAA", "SystemModstamp": step.stamp}
        return {**tomb, "Object_Id__c": RECORDS[step.record], "Object_Type__c": "Account"}
    fields = {} if note.filled == GONE else {name: step.fields.get(name) for name in FIELDS[note.action]}
    return {"Id": RECORDS[step.record], **fields}


#: which actions tell of a story's changes
TELLERS = (["Sales"], ["Sales", "Support"], ["Support"])
#: step → the actions that tell of it
Tells = Mapping[int, Collection[str]]


def draw_blurred(draw: st.DrawFn) -> Story:
    """One record that changes several times a second, seen in between: its messages carry the data of any moment."""
    world, moves, seconds = World(), list[str](), list[int]()
    for _ in range(draw(st.integers(1, 6))):
        possible = [move for each in world.moves(VERBS).values() for move in each if move.startswith("A ")]
        moves.append(draw(st.sampled_from(possible)))
        seconds.append(1 if "undeleted" in moves[-1] else draw(st.sampled_from([0, 0, 1])))
        world.play(moves[-1], seconds[-1])
    tells = all_told(world.steps, draw(st.sampled_from(TELLERS)))
    return Story(moves, draw_delivery(draw, world.steps, tells, is_blurred=True), seconds)


def draw_story(draw: st.DrawFn, verbs: Sequence[str], heirs_keep: bool = False) -> Story:
    """A history of some moves, and a delivery of everything that is told of it."""
    # nobody tells that a record vanishes: its heir of the same second could not be told from it
    world, moves, seconds = draw_history(draw, verbs, heirs_keep, hurry="vanishes" not in verbs)
    tells = all_told(world.steps, draw(st.sampled_from(TELLERS)))
    return Story(moves, draw_delivery(draw, world.steps, tells), seconds if 0 in seconds else ())


def draw_rarely_told(draw: st.DrawFn, heirs_keep: bool = False) -> Story:
    """Each action tells of some changes only, as its rule says. Who is new, comes back or goes is told by both, and so
    is a new key: the next owner of the old one takes the row over, and what a silent action had sent of it is lost.
    """
    world, moves, _ = draw_history(draw, VERBS, heirs_keep, hurry=False)
    kinds = {number: move.split()[1] for number, move in enumerate(moves, 1)}
    all_tell = ("created", "rekeyed", "deleted", "undeleted")
    tells = {n: TELLERS[1] if kind in all_tell else draw(st.sampled_from(TELLERS)) for n, kind in kinds.items()}
    return Story(moves, draw_delivery(draw, world.steps, tells))


def draw_emptied(draw: st.DrawFn) -> Story:
    """Records vanish, and notifications that are sent afterwards, one at least of each, carry no data."""
    world, moves, _ = draw_history(draw, EMPTIED, hurry=False)
    actions = draw(st.sampled_from(TELLERS))
    emptied = set[tuple[int, str]]()
    for record in (step.record for step in world.steps if step.told_by == "nobody"):
        told = [s.number for s in world.steps if s.record == record and s.told_by != "nobody"]
        late = [(number, action) for number in told for action in actions]
        emptied |= draw(st.sets(st.sampled_from(late), min_size=1))
    return Story(moves, draw_delivery(draw, world.steps, all_told(world.steps, actions), emptied=emptied))


def draw_history(
    draw: st.DrawFn, verbs: Sequence[str], heirs_keep: bool = False, *, hurry: bool
) -> tuple[World, list[str], list[int]]:
    """Some moves, with the seconds before each: none for some, in a hurry."""
    world, moves, seconds = World(), list[str](), list[int]()
    for _ in range(draw(st.integers(1, 8))):
        possible = world.moves(verbs, heirs_keep)
        if not possible:
            break
        moves.append(draw(st.sampled_from(possible[draw(st.sampled_from(list(possible)))])))
        seconds.append(draw(st.sampled_from([1, 1, 0])) if hurry and world.can_be_at_once(moves[-1]) else 1)
        world.play(moves[-1], seconds[-1])
    return world, moves, seconds


def all_told(steps: Sequence[Step], actions: Collection[str]) -> Tells:
    return {step.number: actions for step in steps}


def draw_delivery(
    draw: st.DrawFn,
    steps: Sequence[Step],
    tells: Tells,
    *,
    is_blurred: bool = False,
    emptied: Collection[tuple[int, str]] = (),
) -> list[str]:
    """Every notification of the steps once or more, in any order, alone or together with others of its action; of some
    (step, action) without data.
    """
    notes = [note for step in steps for note in told(step, tells[step.number], steps)]
    again = draw(st.lists(st.sampled_from(notes), max_size=4)) if notes else []
    messages: list[list[Note]] = []
    last: dict[str, list[Note]] = {}
    for note in draw(st.permutations(notes + again)):
        # a message is filled in one moment: a record is there or not
        is_gone, record = (note.step, note.action) in emptied, steps[note.step - 1].record
        mine = [other for other in last.get(note.action, ()) if steps[other.step - 1].record == record]
        is_mixed = any((other.filled == GONE) != is_gone for other in mine)
        if note.action not in last or is_mixed or not draw(st.booleans()):
            last[note.action] = []
            messages.append(last[note.action])
        same = [other.filled for other in last[note.action] if other.step == note.step]
        possible = data_of(steps[note.step - 1], steps, is_blurred=is_blurred)
        full = [n for n in possible if n == note.step or (note.action in tells[n] and (n, note.action) not in emptied)]
        filled = GONE if is_gone else draw(st.sampled_from(same or full))
        last[note.action].append(note._replace(filled=filled))
    return [" ".join([message[0].action, *map(str, message)]) for message in messages]


stories = st.composite(draw_story)
blurred_lives = st.composite(draw_blurred)
rarely_told = st.composite(draw_rarely_told)
emptied = st.composite(draw_emptied)
