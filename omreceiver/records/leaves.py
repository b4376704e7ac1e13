"""Which leaf class a record belongs to: by its fields, as `when` says, and by the class it is in already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from omreceiver.records.ids import ID
from omreceiver.records.layout import Model
from omreceiver.schema.catalog import Catalog

When = Mapping[str, str]
#: the key prefix of record types in every organization; a developer name may be as long as an ID
RECORD_TYPE = "012"


class Leaves:
    """The classes of each sObject and what each takes of it. The class with most conditions wins."""

    def __init__(self, models: Iterable[Model], catalog: Catalog) -> None:
        self.models = list(models)
        self.when: dict[Model, When] = {model: _resolved(model, catalog) for model in self.models}
        self._by_sobject: dict[str, list[Model]] = {}
        for model in sorted(self.models, key=lambda model: len(self.when[model])):
            if model.__sobject__:
                self._by_sobject.setdefault(model.__sobject__, []).append(model)

        self._discriminators = {
            sobject: frozenset(name for model in models for name in self.when[model])
            for sobject, models in self._by_sobject.items()
        }

    @property
    def sobjects(self) -> list[str]:
        return sorted(self._by_sobject)

    def of(self, sobject: str) -> list[Model]:
        """The classes that take records of an sObject by their fields, the one without `when` first."""
        return [model for model in self._by_sobject.get(sobject, ()) if not model.__extends__]

    def fitting(self, sobject: str, fields: Mapping[str, str | None]) -> list[Model]:
        """The classes of an sObject whose every condition holds, those with most conditions last."""
        return [
            model
            for model in self.of(sobject)
            if all(same(fields.get(name), value) for name, value in self.when[model].items())
        ]

    def leaf(self, sobject: str, fields: Mapping[str, str | None]) -> Model | None:
        """The class of a record with these fields, or None."""
        fitting = self.fitting(sobject, fields)
        return self._local(fitting[-1]) if fitting else None

    def kept(self, leaf: Model | None, present: Model) -> Model:
        """The class of a record that is in `present` and whose fields say `leaf`, or None when they do not tell.

        A record is not taken out of a class of yours, but for another class that takes it, or for a local one below.
        """
        leaf = self._local(taker(present)) if leaf is None else leaf
        own = present.__extends__ and taker(present) is taker(leaf) and not issubclass(leaf, present)
        return self._local(present) if own else leaf

    def discriminators(self, sobject: str | None) -> frozenset[str]:
        """The fields that decide between the classes of an sObject."""
        return self._discriminators.get(sobject or "", frozenset())

    def locals_below(self, model: Model) -> list[Model]:
        """The classes that every record of a class shall have a row in."""
        return [below for below in self.models if below.__local__ and model is _mapped_above(below)]

    def _local(self, model: Model) -> Model:
        below = self.locals_below(model)
        return self._local(below[0]) if below else model


def taker(model: Model) -> Model:
    """The class that takes the records: `model` itself, or for one of yours the nearest above that does."""
    above = _mapped_above(model)
    return taker(above) if model.__extends__ and above is not None else model


def _mapped_above(model: Model) -> Model | None:
    return next((above for above in model.__mro__[1:] if "__mapper__" in above.__dict__), None)


def _resolved(model: Model, catalog: Catalog) -> When:
    """`when` with the developer names of record types replaced by their IDs."""
    described = catalog.describes.get(model.__sobject__ or "")
    ids = {t.developer_name: t.record_type_id for t in described.record_types} if described else {}
    return {name: ids.get(value, value) if name == "RecordTypeId" else value for name, value in model.__when__.items()}


def unresolved(when: When) -> str | None:
    """A RecordTypeId that is no ID of a record type: a developer name that no describe knows."""
    value = when.get("RecordTypeId")
    is_id = value is None or (value.startswith(RECORD_TYPE) and ID.fullmatch(value))
    return None if is_id else value


def same(text: str | None, wanted: str) -> bool:
    """Equal, or the same Salesforce ID in 15 and in 18 characters."""
    if text is None or text == wanted:
        return text == wanted
    return {len(text), len(wanted)} == {15, 18} and text[:15] == wanted[:15]
