"""The floor on MariaDB: the least Python that honestly does the job. lxml and PyMySQL, and nothing of the product.

One transaction a message: ledger, two class tables, guard of the stamp, ack. PyMySQL's executemany makes one INSERT of
many rows. READ COMMITTED, as the product sets it.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from urllib.parse import urlsplit

import pymysql

from tests.benchmarks.floors import COLUMNS, KEY, SF, Record, leaf, read, serving

LIKE = "character set utf8mb4 collate utf8mb4_bin"
DDL = (
    "drop table if exists floor_ledger, floor_opportunity, floor_record",
    f"create table floor_ledger(id varchar(18) primary key, at timestamp default current_timestamp) {LIKE}",
    "create table floor_record(external_id varchar(255) primary key, child_name varchar(80), sfid varchar(18) unique, "
    f"modstamp datetime(3)) {LIKE}",
    "create table floor_opportunity(external_id varchar(255) primary key, close_date date, amount double, is_won bool, "
    f"{', '.join(f'f{number} longtext' for number in range(14))}, "
    f"foreign key (external_id) references floor_record(external_id) on delete cascade) {LIKE}",
)
LEDGER = "insert ignore into floor_ledger(id) values (%s)"
ROOT = (
    "insert into floor_record values (%s,%s,%s,%s) on duplicate key update "
    "sfid=if(values(modstamp) >= modstamp, values(sfid), sfid), modstamp=greatest(modstamp, values(modstamp))"
)
LEAF = f"insert into floor_opportunity values (%s{',%s' * len(COLUMNS)}) on duplicate key update " + ", ".join(
    f"{name}=values({name})" for name in COLUMNS
)
local = threading.local()


def connection() -> pymysql.Connection[Any]:
    if not hasattr(local, "connection"):
        at = urlsplit(os.environ["FLOOR_DSN"])
        local.connection = pymysql.connect(
            host=at.hostname,
            port=at.port or 3306,
            user=at.username,
            password=at.password or "",
            database=at.path[1:],
            charset="utf8mb4",
            init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )
    opened: pymysql.Connection[Any] = local.connection
    return opened


def receive(body: bytes) -> None:
    ids, found = read(body)
    database = connection()
    with database.cursor() as cursor:
        cursor.executemany(LEDGER, ids)
        cursor.executemany(ROOT, [(r[KEY], "Opportunity", r[SF + "Id"], _moment(r)) for r in found])
        cursor.executemany(LEAF, [leaf(r) for r in found])
    database.commit()


def _moment(row: Record) -> str:
    """MariaDB takes no Z at the end."""
    return (row[SF + "SystemModstamp"] or "")[:23]


app = serving(receive)

if __name__ == "__main__":
    with connection().cursor() as each:
        for statement in DDL:
            each.execute(statement)
