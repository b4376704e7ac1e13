"""Records of three hundred fields, for OMRECEIVER_MODELS."""

from __future__ import annotations

from tests.things import Things

THINGS = Things(fields=300, tables=2)
Thing = THINGS.model
