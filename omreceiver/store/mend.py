"""Brings the class tables to what was found to differ, set-based, on a transaction that holds these records."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from omreceiver.records.models import Models
from omreceiver.schema.notification import Notification
from omreceiver.store import removals, write
from omreceiver.store.batch import batch
from omreceiver.store.differences import Difference, What
from omreceiver.store.plan import Outcome
from omreceiver.store.reading import Row
from omreceiver.store.saves import Save
from omreceiver.store.statements import in_parts

#: records that are written at once
BATCH = 500
#: a save wants one to be of; this one came with many
NOBODY = Notification("", None, None, {}, str)


def mend(connection: Connection, found: Sequence[Difference], models: Models) -> None:
    """Delete, then move keys all at once, then write the rest: so that no key is taken while somebody has it."""
    gone = [each.present for each in found if each.what is What.DELETED and each.present is not None]
    for leaving in in_parts(gone, BATCH):
        removals.remove(connection, leaving, models)
    for root in models.roots():
        mine = [each for each in found if each.layout.root is root]
        moving = [each for each in mine if each.present is not None and "external_id" in each.values]
        there = {id(each) for each in moving}
        rest = [each for each in mine if each.what is not What.DELETED and id(each) not in there]
        for part in (moving, *in_parts(rest, BATCH)):
            written = batch(connection)
            write.write(written, [_save(each) for each in part], [], models.tables_below(root))
            written.send()


def _save(each: Difference) -> Save:
    row = Row(NOBODY, each.layout, None, each.salesforce_id, None, {}, {})
    save = Save(row, each.present, dict(each.before), {"external_id": each.key, **each.values})
    save.compare()
    if each.rows and not save.is_written:
        # nothing differs but that a row is missing
        save.outcome = Outcome.UPDATED
    return save
