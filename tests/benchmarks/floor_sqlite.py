"""The floor on SQLite: the least Python that honestly does the job. lxml and sqlite3, and nothing of the product.

One transaction a message: ledger, two class tables, guard of the stamp, ack. Opened as the product opens SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import threading

from tests.benchmarks.floors import COLUMNS, KEY, SF, leaf, read, serving

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
    ids, found = read(body)
    database = connection()
    database.execute("BEGIN IMMEDIATE")
    with database:
        database.executemany(LEDGER, ids)
        database.executemany(ROOT, [(r[KEY], "Opportunity", r[SF + "Id"], r[SF + "SystemModstamp"]) for r in found])
        database.executemany(LEAF, [leaf(r) for r in found])


app = serving(receive)

if __name__ == "__main__":
    connection().executescript(DDL)
