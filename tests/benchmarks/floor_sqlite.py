"""The floor on SQLite: the least Python that honestly does the job. lxml and sqlite3, and nothing of the product.

One transaction a message: ledger, two class tables, guard of the stamp, ack. Opened as the product opens SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from typing import Any

from lxml import etree

OM = "{http://soap.sforce.com/2005/09/outbound}"
SF = "{urn:sobject.enterprise.soap.sforce.com}"
TEXTS = [f"Field_{number}__c" for number in range(14)]
KEY = SF + "External_ID__c"
ACK = (
    b'<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
    b"</notificationsResponse></e:Body></e:Envelope>"
)
COLUMNS = ["close_date", "amount", "is_won", *(f"f{number}" for number in range(14))]
DDL = f"""
drop table if exists floor_ledger; drop table if exists floor_opportunity; drop table if exists floor_record;
create table floor_ledger(id text primary key, at text default current_timestamp);
create table floor_record(external_id text primary key, child_name text, sfid text unique, modstamp text);
create table floor_opportunity(external_id text primary key references floor_record on delete cascade,
  close_date text, amount real, is_won integer, {", ".join(f"f{number} text" for number in range(14))});
"""
LEDGER = "insert into floor_ledger(id) values (?) on conflict do nothing"
ROOT = (
    "insert into floor_record values (?,?,?,?) on conflict(external_id) do update set "
    "sfid=excluded.sfid, modstamp=excluded.modstamp where excluded.modstamp >= floor_record.modstamp"
)
LEAF = (
    f"insert into floor_opportunity values (?{',?' * len(COLUMNS)}) on conflict(external_id) do update set "
    + ", ".join(f"{name}=excluded.{name}" for name in COLUMNS)
)
local = threading.local()


def connection() -> sqlite3.Connection:
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(os.environ["FLOOR_DSN"], timeout=30, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            local.connection.execute(f"PRAGMA {pragma}")
    opened: sqlite3.Connection = local.connection
    return opened


def receive(body: bytes) -> None:
    rows, ids = {}, []
    for note in etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True)).iter(
        OM + "Notification"
    ):
        ids.append((note.findtext(OM + "Id"),))
        row = {child.tag: child.text for child in note.find(OM + "sObject")}  # type: ignore[union-attr]  # every notification of the benchmark has one
        rows[row[KEY]] = row
    found = [rows[key] for key in sorted(rows, key=str)]
    database = connection()
    database.execute("BEGIN IMMEDIATE")
    with database:
        database.executemany(LEDGER, ids)
        database.executemany(ROOT, [(r[KEY], "Opportunity", r[SF + "Id"], r[SF + "SystemModstamp"]) for r in found])
        database.executemany(LEAF, [_leaf(r) for r in found])


def _leaf(row: dict[str, str | None]) -> list[Any]:
    known = [row.get(KEY), row.get(SF + "CloseDate"), row.get(SF + "Amount"), row.get(SF + "IsWon") == "true"]
    return [*known, *(row.get(SF + name) for name in TEXTS)]


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    receive(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", str(len(ACK)))])
    return [ACK]


if __name__ == "__main__":
    connection().executescript(DDL)
