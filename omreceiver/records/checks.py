"""System checks: what a declaration can get wrong, each with a number, a sentence and the cure. Run at every start.

E008, a child that redefines a column, is told when the class is defined: records/inheritance.py.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import combinations

from omreceiver.records.fields import Key
from omreceiver.records.layout import Layout, Model
from omreceiver.records.leaves import Leaves, unresolved
from omreceiver.records.tombstones import Tombstone
from omreceiver.schema.catalog import Catalog


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the declared classes."""

    number: str
    sentence: str
    cure: str

    def __str__(self) -> str:
        return f"{self.number} {self.sentence} {self.cure}"


@dataclass(frozen=True)
class Declared:
    """What the checks look at."""

    layouts: Mapping[Model, Layout]
    leaves: Leaves
    catalog: Catalog
    tombstones: Mapping[str, Tombstone]

    def below(self, model: Model) -> list[Model]:
        """A class and those that derive from it."""
        return [each for each in self.layouts if issubclass(each, model)]


Check = Callable[[Declared], Iterator[Finding]]


def check(
    layouts: Mapping[Model, Layout], leaves: Leaves, catalog: Catalog, tombstones: Mapping[str, Tombstone]
) -> list[Finding]:
    """Everything that is wrong, by number."""
    declared = Declared(layouts, leaves, catalog, tombstones)
    return [finding for number in CHECKS for finding in CHECKS[number](declared)]


def _no_sobject(declared: Declared) -> Iterator[Finding]:
    for model in declared.layouts:
        if not any(below.__sobject__ for below in declared.below(model)):
            cure = f'Write class {model.__name__}(…, sobject="…"), with the API name, or mark it __abstract__ = True.'
            yield Finding("E001", f"{model.__name__} has no sObject, so that no message fills it.", cure)


def _field_twice(declared: Declared) -> Iterator[Finding]:
    for layout in declared.layouts.values():
        attributes: dict[str, list[str]] = {}
        for attribute, mark in layout.marks():
            if not mark.external_id:
                attributes.setdefault(mark.name, []).append(attribute)
        for name, twice in attributes.items():
            if len(twice) > 1:
                both = " and ".join(twice)
                yield Finding("E002", f"{layout.name} maps {name} twice, as {both}.", "Remove one of the two.")


def _two_external_ids(declared: Declared) -> Iterator[Finding]:
    for layout in declared.layouts.values():
        keys = [attribute for attribute, mark in layout.marks() if mark.external_id]
        if len(keys) > 1 or keys not in ([], ["external_id"]):
            cure = "Keep one, on the attribute external_id of the root, and declare the others with Field."
            yield Finding("E003", f"{layout.name} has the external IDs {', '.join(keys)}.", cure)
        elif not isinstance(layout.root.c.external_id.type, Key):
            cure = "Declare it with ExternalId(...), or leave it out: then the Salesforce ID is the key."
            yield Finding("E003", f"{layout.name}.external_id is not declared with ExternalId.", cure)


def _mapped_twice(declared: Declared) -> Iterator[Finding]:
    for sobject in declared.leaves.sobjects:
        models = declared.leaves.of(sobject)
        general = [model.__name__ for model in models if not declared.leaves.when[model]]
        if len(general) > 1:
            cure = "Give all but one a when=, or leave out the sobject= of a class that is below another."
            yield Finding("E004", f"{', '.join(general)} all take {sobject}.", cure)
        roots = {declared.layouts[model].root for model in models}
        if len(roots) > 1 and len(general) < 2:
            names = ", ".join(model.__name__ for model in models)
            yield Finding("E004", f"{sobject} goes to several roots: {names}.", "Derive them from one class.")


def _constrained_reference(declared: Declared) -> Iterator[Finding]:
    for model, layout in declared.layouts.items():
        for attribute, mark in layout.marks():
            column = layout.by_attribute[attribute]
            if column.foreign_keys and not mark.external_id and column.table is layout.tables[-1]:
                cure = "Remove it: messages come in any order, and what a record refers to may never come."
                sentence = f"{model.__name__}.{attribute} ({mark.name}) has a foreign-key constraint."
                yield Finding("E005", sentence, cure)


def _unknown_field(declared: Declared) -> Iterator[Finding]:
    for model, layout in declared.layouts.items():
        sobjects = {below.__sobject__ for below in declared.below(model)} - {None}
        known = [declared.catalog.known_fields(sobject or "") for sobject in sobjects]
        if not known or not all(known):
            continue  # nothing is known of one of them, which may have the field
        everything = frozenset().union(*known)
        of = " or ".join(sorted(filter(None, sobjects)))
        for field, attribute in sorted(_unknown(layout, everything).items()):
            sentence = f"{model.__name__}.{attribute} maps {field}, which no WSDL and no describe of {of} knows."
            cure = "Select it in the outbound message and download its WSDL again, or put a describe beside it."
            cure = " ".join(filter(None, (_suggested(field, everything), cure)))
            yield Finding("E006", sentence, cure)


def _unknown(layout: Layout, known: Set[str]) -> dict[str, str]:
    """Field → attribute, of the class's own table. A compound is known when one of its parts is: few are selected."""
    own = {n: mark for n, mark in layout.marks() if layout.by_attribute[n].table is layout.tables[-1]}
    whole = {mark.compound for mark in own.values() if mark.compound in known or mark.name in known}
    unknown = {name: mark for name, mark in own.items() if mark.name not in known and mark.compound not in whole - {""}}
    return {mark.name: name for name, mark in unknown.items() if mark.name != "Id"}


def _discriminator_twice(declared: Declared) -> Iterator[Finding]:
    for sobject in declared.leaves.sobjects:
        for one, two in combinations(declared.leaves.of(sobject), 2):
            when = declared.leaves.when[one]
            if when and when == declared.leaves.when[two]:
                sentence = f"{one.__name__} and {two.__name__} both take {sobject} when {_words(when)}."
                yield Finding("E007", sentence, "Change one of the two, or remove it.")
    names = Counter((layout.root, layout.name) for layout in declared.layouts.values())
    for (root, name), times in names.items():
        if times > 1:
            cure = "Rename one of them: the root's child_name tells classes by their names."
            yield Finding("E007", f"{times} classes below {root.name} are named {name}.", cure)


def _ambiguous(declared: Declared) -> Iterator[Finding]:
    leaves = declared.leaves
    for sobject in leaves.sobjects:
        for one, two in combinations(leaves.of(sobject), 2):
            first, second = leaves.when[one], leaves.when[two]
            both = {**first, **second}
            fitting = leaves.fitting(sobject, both)
            most = max((len(leaves.when[model]) for model in fitting), default=0)
            if first != second and {one, two} <= set(fitting) and len(first) == len(second) == most:
                cure = f"Declare a class with when={both!r}, or make the two exclude each other."
                sentence = f"A record of {sobject} with {_words(both)} fits {one.__name__} and {two.__name__} alike."
                yield Finding("E009", sentence, cure)


def _unknown_record_type(declared: Declared) -> Iterator[Finding]:
    for model, when in declared.leaves.when.items():
        if name := unresolved(when):
            sentence = (
                f"{model.__name__} asks for the record type {name}, which no describe of {model.__sobject__} has."
            )
            cure = f"Put {model.__sobject__}.describe.json beside the WSDL, or write the record type's ID."
            yield Finding("E010", sentence, cure)


def _local(declared: Declared) -> Iterator[Finding]:
    for model in declared.layouts:
        if model.__local__ and not model.__extends__:
            sentence = f"{model.__name__} is declared local=True and takes records of its own."
            yield Finding("E011", sentence, "Remove local=True, or its sobject= and when=.")
        below = [each.__name__ for each in declared.leaves.locals_below(model)]
        if len(below) > 1:
            cure = "A record is in one of them: remove local=True from the others, or derive one from the other."
            yield Finding("E011", f"{', '.join(below)} below {model.__name__} are all local=True.", cure)


def _unfillable(declared: Declared) -> Iterator[Finding]:
    for model, layout in declared.layouts.items():
        for column in layout.tables[-1].columns if model.__local__ else ():
            filled = column.nullable or column.primary_key or column.default or column.server_default
            if not filled:
                sentence = f"{model.__name__} is declared local=True, and its column {column.name} cannot be empty."
                yield Finding("E012", sentence, "Give it a default, or allow None: Mapped[… | None].")


def _tombstones(declared: Declared) -> Iterator[Finding]:
    for name, tombstone in declared.tombstones.items():
        if name in declared.leaves.sobjects:
            yield Finding("E013", f"{name} is a tombstone and mapped by a class.", "Remove one of the two.")
        known = declared.catalog.known_fields(name)
        for field in filter(None, (tombstone.record_id, tombstone.sobject)):
            if known and field not in known:
                cure = _suggested(field, known) or "Select it in the outbound message."
                yield Finding("E013", f"The tombstone {name} names {field}, which no WSDL and no describe knows.", cure)


def _suggested(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else ""


def _words(when: Mapping[str, str]) -> str:
    return " and ".join(f"{name} is {value}" for name, value in when.items())


CHECKS: dict[str, Check] = {
    "E001": _no_sobject,
    "E002": _field_twice,
    "E003": _two_external_ids,
    "E004": _mapped_twice,
    "E005": _constrained_reference,
    "E006": _unknown_field,
    "E007": _discriminator_twice,
    "E009": _ambiguous,
    "E010": _unknown_record_type,
    "E011": _local,
    "E012": _unfillable,
    "E013": _tombstones,
}
