"""A model of Salesforce for the convergence machine: records that change in steps, what is told of each step, and the
tables that must be the end of it. Nothing here knows the store.

A story is text, so that one that hypothesis finds can be read, and pasted as an example:

    Story(["A created K1", "A rekeyed K2", "B created K1"], ["Sales 3 1>2", "Sales 2"])

are three changes, a second apart, and two messages of the action Sales. In the first one stand a notification of change
3, and one of change 1 that was filled after change 2: Salesforce sends the latest data. 1>gone would be one without
data: the record was deleted before. What is named twice came twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

RECORDS = {name: f"00100000000000{at}AAA" for at, name in enumerate("ABCD", 1)}
KEYS = ("K1", "K2", "K3")
PLAIN, PARTNER = "012000000000002AAA", "012000000000001AAA"
#: both actions select these; what no class maps is kept in `extra`
COMMON = ("ERP_Id__c", "IsDeleted", "Name", "Phone", "RecordTypeId", "SystemModstamp")
FIELDS = {"Sales": (*COMMON, "Tier__c"), "Support": (*COMMON, "Rating")}
#: the action of the object that an Apex trigger writes when a record is deleted
TOMBSTONE = "Tombstone"
#: the data of a notification whose record was deleted before it was sent
GONE = 0
#: what a user edits
EDITED = ("Name", "Rating", "Tier__c", "Phone")
#: when a notification without data came, which has no stamp of its own
ARRIVED = "when it came"
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Step(NamedTuple):
    """One change of one record: how the record is afterwards, and who tells of it."""

    number: int
    record: str
    fields: Mapping[str, str | None]
    stamp: datetime
    #: "actions", TOMBSTONE, or "nobody"
    told_by: str = "actions"
    is_deleted: bool = False

    @property
    def key(self) -> str:
        return str(self.fields["ERP_Id__c"])


class Note(NamedTuple):
    """One notification: of a step, by an action, with the data of the same step or a later one."""

    step: int
    action: str
    filled: int

    def __str__(self) -> str:
        filled = "" if self.step == self.filled else f">{self.filled or 'gone'}"
        return f"{self.step}{filled}"


class World:
    """Records as Salesforce holds them. External IDs are unique among living records."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.now: dict[str, Step] = {}
        #: those that have, or had, the key of one that was deleted
        self.heirs: set[str] = set()

    def moves(self, verbs: Iterable[str], heirs_keep: bool = False) -> dict[str, list[str]]:
        """Verb → every move of it that is possible now. `heirs_keep`: the key of a deleted record is not given up again
        by the record that takes it.
        """
        new = next((name for name in RECORDS if name not in self.now), None)
        living = [name for name, step in self.now.items() if not step.is_deleted]
        taken = {self.now[name].key for name in living}
        free = [key for key in KEYS if key not in taken]
        bound = self.heirs if heirs_keep else set[str]()
        dead = [(name, step.key) for name, step in self.now.items() if step.is_deleted]
        partners = [name for name in living if self.now[name].fields["RecordTypeId"] == PARTNER]
        edits = [(name, each) for name in living for each in EDITED]
        possible = {
            "created": [f"{new} created {key}" for key in free if new],
            "sets": [f"{name} sets {each}" for name, each in edits],
            "blanks": [f"{name} blanks {each}" for name, each in edits if self.now[name].fields[each]],
            "partner": [f"{name} partner" for name in living if name not in partners],
            "plain": [f"{name} plain" for name in partners],
            "rekeyed": [f"{name} rekeyed {key}" for name in living if name not in bound for key in free],
            "deleted": [f"{name} deleted" for name in living],
            "entombed": [f"{name} entombed" for name in living],
            "vanishes": [f"{name} vanishes" for name in living],
            "undeleted": [f"{n} undeleted {key}" for n, had in dead for key in free if n not in bound or key == had],
        }
        return {verb: possible[verb] for verb in verbs if possible[verb]}

    def can_be_at_once(self, move: str) -> bool:
        """Whether a move may be in the second of the one before. A record is not deleted, or brought back, in a second
        in which it changed otherwise: nothing would tell which was the last.
        """
        record, verb = move.split()[:2]
        before = self.now.get(record)
        is_alone = before is None or before.stamp < self.steps[-1].stamp
        return bool(self.steps) and (is_alone or verb not in ("deleted", "entombed", "undeleted"))

    def play(self, move: str, seconds: int = 1) -> None:
        """Change one record, `seconds` after the change before."""
        record, verb, what = (*move.split(), "")[:3]
        number = len(self.steps) + 1
        stamp = (self.steps[-1].stamp if self.steps else START) + timedelta(seconds=seconds)
        before = self.now[record].fields if record in self.now else dict.fromkeys(EDITED)
        fields = {**before, **_changed(verb, what, number), "SystemModstamp": stamp.isoformat()}
        told_by = {"entombed": TOMBSTONE, "vanishes": "nobody"}.get(verb, "actions")
        step = Step(number, record, fields, stamp, told_by, verb in ("deleted", "entombed", "vanishes"))
        inherits = any(s.is_deleted and s.key == step.key for name, s in self.now.items() if name != record)
        if inherits and verb in ("created", "rekeyed", "undeleted"):
            self.heirs.add(record)
        self.now[record] = step
        self.steps.append(step)


def _changed(verb: str, what: str, number: int) -> Mapping[str, str | None]:
    """The fields that a change sets. A text has the number of its change, so that a row shows how old it is."""
    changes: dict[str, dict[str, str | None]] = {
        "created": {"ERP_Id__c": what, "RecordTypeId": PLAIN, "Name": f"Name {number}", "IsDeleted": "false"},
        "sets": {what: f"{what} {number}"},
        "blanks": {what: None},
        "partner": {"RecordTypeId": PARTNER},
        "plain": {"RecordTypeId": PLAIN},
        "rekeyed": {"ERP_Id__c": what},
        "deleted": {"IsDeleted": "true"},
        "undeleted": {"ERP_Id__c": what, "IsDeleted": "false"},
    }
    return changes.get(verb, {})


@dataclass(frozen=True)
class Story:
    """What happens to some records, and which messages come of it, in which order."""

    moves: Sequence[str]
    messages: Sequence[str]
    #: between each change and the one before; one each when it is left out
    seconds: Sequence[int] = ()

    @cached_property
    def steps(self) -> list[Step]:
        world = World()
        for at, move in enumerate(self.moves):
            world.play(move, self.seconds[at] if self.seconds else 1)
        return world.steps

    @cached_property
    def notes(self) -> list[list[Note]]:
        return [_notes(message) for message in self.messages]

    def told(self, step: Step) -> list[Note]:
        """The notifications that the messages hold of a step, as they would be sent at once. Of a deletion that nobody
        tells of those without data do.
        """
        sent = {(note.step, note.action): note for notes in self.notes for note in notes}
        if step.told_by == "nobody":
            return [n for n in sent.values() if n.filled == GONE and self.steps[n.step - 1].record == step.record]
        full = {place for place, note in sent.items() if note.filled != GONE}
        return [note for note in told(step, FIELDS, self.steps) if (note.step, note.action) in full]

    def in_order(self, *, is_blurred: bool = False) -> Story:
        """The same changes, told one by one as they happen; with `is_blurred` each with the data of its very moment."""
        notes = [note for step in self.steps for note in self.told(step)]
        own = [note._replace(filled=note.filled and note.step) for note in notes]
        return replace(self, messages=[f"{note.action} {note}" for note in (own if is_blurred else notes)])


def _notes(message: str) -> list[Note]:
    action, *notes = message.split()
    found = [note.partition(">") for note in notes]
    return [Note(int(s), action, GONE if filled == "gone" else int(filled or s)) for s, _, filled in found]


def told(step: Step, actions: Iterable[str], steps: Sequence[Step]) -> list[Note]:
    """The notifications of a step as they would be sent at once: with what was committed in its second."""
    senders = {"actions": list(actions), TOMBSTONE: [TOMBSTONE], "nobody": []}[step.told_by]
    return [Note(step.number, action, data_of(step, steps)[0]) for action in senders]


def data_of(step: Step, steps: Sequence[Step], *, is_blurred: bool = False) -> list[int]:
    """The steps whose data a notification of a step may carry: its own or a later one of the record; the last one of
    each second, as a change within a transaction is seen by nobody, or any one with `is_blurred`.
    """
    if step.told_by != "actions":
        return [step.number]
    mine = [s for s in steps[step.number - 1 :] if s.record == step.record and s.told_by == "actions"]
    last = {s.number if is_blurred else s.stamp: s.number for s in mine}
    return list(last.values())


@dataclass
class Tables:
    """The class tables after some steps, each applied in its turn: record → what is known of it."""

    is_marking: bool
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def apply(self, step: Step, actions: Collection[str]) -> None:
        """A step that these actions tell of."""
        if not actions:
            return
        if step.is_deleted and not self.is_marking:
            self.records.pop(step.record, None)
        elif step.told_by == "actions":
            self._save(step, actions)
        elif step.record in self.records:
            self.records[step.record]["deleted_at"] = step.stamp if step.told_by == TOMBSTONE else ARRIVED

    def _save(self, step: Step, actions: Iterable[str]) -> None:
        """A key is for one record: who has had it is gone in Salesforce, and its place is the newer one's."""
        for name, known in list(self.records.items()):
            if name != step.record and known["ERP_Id__c"] == step.key:
                del self.records[name]
        selected = {name for action in actions for name in FIELDS[action]}
        known = self.records.setdefault(step.record, {})
        known |= {name: text for name, text in step.fields.items() if name in selected}
        known |= {"modstamp": step.stamp, "deleted_at": step.stamp if step.is_deleted else None}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Table → its rows in order of the key, with every column that is received."""
        ordered = sorted(self.records.items(), key=lambda pair: str(pair[1]["ERP_Id__c"]))
        leaves = [known for _, known in ordered if known["RecordTypeId"] == PARTNER]
        return {
            "account": [self._root_row(name, known) for name, known in ordered],
            "partner_account": [{"external_id": k["ERP_Id__c"], "tier": k.get("Tier__c")} for k in leaves],
        }

    def _root_row(self, name: str, known: Mapping[str, Any]) -> dict[str, Any]:
        is_partner = known["RecordTypeId"] == PARTNER
        unmapped = ("RecordTypeId", "IsDeleted", "Phone", *(() if is_partner else ("Tier__c",)))
        marked = {"deleted_at": known["deleted_at"]} if self.is_marking else {}
        return {
            "external_id": known["ERP_Id__c"],
            "child_name": "PartnerAccount" if is_partner else "Account",
            "salesforce_id": RECORDS[name],
            "name": known.get("Name"),
            "rating": known.get("Rating"),
            "modstamp": known["modstamp"],
            "extra": {name: known[name] for name in unmapped if known.get(name) is not None},
            **marked,
        }
