"""A record that somebody else inserts in the very moment is no bad record, however often that happens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import create_engine, event

from omreceiver.app import parts_of
from omreceiver.testing import compose
from omreceiver.testing.messages import ORGANIZATION
from omreceiver.testing.replay import post
from tests.conftest import MakeApp, tables_of
from tests.storm_records import Account, StormBase

OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_records_that_others_insert_meanwhile_are_updated(server_url: str, make_app: MakeApp) -> None:
    app = make_app(server_url, StormBase)
    engine = parts_of(app).engine
    table: Any = Account.__table__
    other, ids = create_engine(engine.url), [f"00100000000000{n}AAA" for n in range(6)]
    left = list(ids)

    def meanwhile(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO account" in statement and left:
            key = left.pop(0)
            system = {"child_name": "Account", "organization_id": ORGANIZATION, "modstamp": OLD}
            with other.begin() as connection:
                connection.execute(table.insert(), {"external_id": key, "salesforce_id": key, **system})

    event.listen(engine, "before_cursor_execute", meanwhile)
    records: list[dict[str, Any]] = [
        {"Id": key, "ERP_Id__c": key, "Name": "newest", "SystemModstamp": NEW} for key in ids
    ]
    answer = post(app, compose("Account", *records))
    other.dispose()

    assert left == []
    assert (answer.status, sorted(answer.outcomes.values())) == (200, ["updated"] * 6)
    assert {row["name"] for row in tables_of(app)["account"]} == {"newest"}
