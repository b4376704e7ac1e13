"""What docs/performance.md says between its figures."""

from __future__ import annotations

TOP = """# Performance

Written by `make bench`; do not edit. Only ratios mean anything beyond the machine that they were measured on: what is
set beside each other ran in turns, and the figures are medians of rounds. All that was measured is in
[figures](figures/).
"""
FLOOR = """## Beside the floor

The floor is the least Python that honestly does the job: lxml and the database's driver, a ledger, two class tables, a
guard of the stamp, one transaction, an ack; no Spyne, no Flask, no signals, no outcomes, no raw messages kept. Product
and floor are served by gunicorn, two workers each, one on SQLite; four senders wait for each ack before they send the
next message. The product does all that it promises: ledger, freshness, outcomes, raw messages kept. 1 is as many
notifications a second as the floor takes of the same messages; a redelivered or unchanged one it writes again.

![Notifications a second beside the floor](pictures/floor.svg)
"""
AGAINST = """`compare.py` on PostgreSQL, with what the tutorials of Spyne and SQLAlchemy give (naive: one
`session.merge` a record):
"""
STAGES = """## The stages

In one process, as parts of the whole way through the app on that database; the rest is HTTP and SOAP.
"""
COST = """## What a message costs

A message goes the whole way through the app in one process, on {database}. A cell of the grid is the shortest of some
messages whose records are half new, half changed. The cheapest cell is 1: one notification, five fields, one class
table, no receiver. Along each line the others are held at {reference}.

![Cost along each line](pictures/cost.svg)
"""
CELLS = """The number of statements is the same for any number of notifications and fields: one looks, one more locks
where a class has a table below its root, one writes all tables and the ledger. Where anybody listens, each table is
written before the ledger, and a few more give receivers what they read. Fields by notifications, at {tables} class
tables without a receiver:
"""
GROWTH = """## Growth

On PostgreSQL, tables filled by COPY, up to {ledger} lines in the ledger; the records are from anywhere in them. 1 is
the time of the same message on the smallest tables.

![Time of a message over the size of the tables](pictures/growth.svg)
"""
PLANS = "Every statement of these messages and of pruning, as EXPLAIN tells it on the largest tables:\n"
PRUNING = """Pruning beside ingest, in {windows} pairs of windows: {ratio:.2f} of the notifications a second that there
are without it.
"""
MEMORY = """## Memory

A worker after {last:,} notifications, a hundred a message, on {database}: {more:+} MiB against {first:,}.

![Memory of a worker](pictures/memory.svg)

A message of 100 notifications, each with 300 fields, one of them a text of 100 KiB; the worker in MiB:
"""
STARTUP = """## Start

Seconds, the shortest and the median of some starts.
"""
REPEAT = """## How to repeat

```console
$ make bench          # about a quarter of an hour
$ make bench-growth   # some minutes, and some GiB of disk for as long as it runs
```

Both make an environment of their own. PostgreSQL and MariaDB are used where the tests find them; what is not there is
left out. PostgreSQL's floor and `compare.py` are in the folder that `make bench BENCH=…` names. One part alone:
`.venv-bench/bin/python -m tests.benchmarks --only cost --only report`. Nothing else should be running.
"""
