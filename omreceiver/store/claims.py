"""Who has a key: the record that claimed it last. Whoever had it before is kept under its Salesforce ID until its own
newer message tells where it went; but a record that is deleted, in a class that marks, does not stay without its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from omreceiver.config import USE_SALESFORCE_ID
from omreceiver.errors import ConstraintViolated
from omreceiver.store import freshness
from omreceiver.store.freshness import Lists
from omreceiver.store.present import Present
from omreceiver.store.saves import Save
from omreceiver.store.situation import Situation
from omreceiver.store.tombstones import Gone


@dataclass(frozen=True)
class Move:
    """A record that must leave its key to another one."""

    present: Present
    new_key: str


@dataclass
class Claims:
    """Who makes room for the saves of a message."""

    moves: list[Move] = field(default_factory=list)
    #: deleted records whose key is another's: their rows go
    drops: list[Present] = field(default_factory=list)
    gone: dict[str, Gone] = field(default_factory=dict)


def settle(saves: Sequence[Save], situation: Situation) -> Claims:
    """Give each key to the save that claims it, or leave it to a record that claimed it later. Raises
    ConstraintViolated when two saves claim one key.
    """
    wanted = [(save.layout.root, save.key) for save in saves]
    if len(set(wanted)) < len(wanted):
        raise ConstraintViolated("Two records of the message claim one key.")
    claims = Claims()
    moving = {id(save.present) for save in saves if save.present is not None}
    for save in saves:
        holder = situation.found.by_key.get((save.layout.root, save.key))
        if holder is None or holder is save.present:
            continue
        if id(holder) not in moving:
            _settle(save, holder, claims, situation.lists)
    if situation.plan.reading.settings.missing_external_id != USE_SALESFORCE_ID:
        for save in saves:
            _drop_if_dead(save, claims)
    return claims


def is_late(save: Save, holder: Present, lists: Lists) -> bool:
    """Whether the record that has a save's key has claimed it later. In the same second one that is deleted loses: the
    new record is made when the old one has gone.
    """
    stamps = freshness.stamps_of(holder.attributes(save.layout))
    since, stamp = freshness.key_stamp(stamps, save.layout.key_field, lists), save.row.modstamp
    if since is None or stamp is None:
        return False
    return stamp < since or (stamp == since and save.deleted_at is not None)


def _settle(save: Save, holder: Present, claims: Claims, lists: Lists) -> None:
    deleted_at = holder.deleted_at(save.layout)
    if is_late(save, holder, lists):
        save.notes.append(f"Its key {save.key} is that of {holder.salesforce_id} since later.")
        save.values["external_id"] = save.layout.key.stored(save.salesforce_id)
        save.compare()
    elif deleted_at is not None:
        save.notes.append(f"Its key {save.key} was that of {holder.salesforce_id}, which is deleted.")
        claims.drops.append(holder)
        claims.gone[holder.salesforce_id] = Gone(deleted_at, holder.modstamp)
    else:
        save.notes.append(f"Its key {save.key} was that of {holder.salesforce_id}, which is kept under its ID.")
        claims.moves.append(Move(holder, save.layout.key.stored(holder.salesforce_id)))


def _drop_if_dead(save: Save, claims: Claims) -> None:
    """A record that is marked as deleted and kept under its ID: its key is another's, so that its rows go."""
    is_aside = save.layout.key_field is not None and save.key == save.layout.key.stored(save.salesforce_id)
    if not is_aside or save.deleted_at is None:
        return
    save.is_dropped = True
    save.compare()
    claims.gone[save.salesforce_id] = Gone(save.deleted_at, save.values["modstamp"])
    if save.present is not None:
        claims.drops.append(save.present)
