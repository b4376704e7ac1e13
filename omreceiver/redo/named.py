"""What a name means to those who ask for some of what was kept: an sObject, or a mapped class."""

from __future__ import annotations

from dataclasses import dataclass

from omreceiver.records.models import Models
from omreceiver.schema.notification import Notification


@dataclass(frozen=True)
class Named:
    """What a name means: an sObject, or a mapped class with those below it."""

    models: Models
    name: str

    @property
    def sobjects(self) -> frozenset[str]:
        """Those that its records may be of."""
        below = (model.__sobject__ for model in self.models.layouts if self._is_above(model))
        return frozenset({self.name, *filter(None, below)})

    def has(self, notification: Notification) -> bool:
        """Whether a notification is of that sObject, or its record goes to such a class."""
        sobject = notification.sobject
        leaf = self.models.leaf(sobject, notification.fields) if sobject else None
        return sobject == self.name or (leaf is not None and self._is_above(leaf))

    def _is_above(self, model: type) -> bool:
        return self.name in (each.__name__ for each in model.__mro__)
