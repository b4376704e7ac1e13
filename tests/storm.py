"""A storm: senders that repeat every message until it is acknowledged, while workers and databases are killed.

What is drawn by lot hangs on a seed; what the machine makes of it does not.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from threading import Event, Lock

from omreceiver.testing.replay import send_to
from tests.postgres import Postgres
from tests.processes import Server
from tests.storm_org import Envelope, Org

#: messages that are on their way at one time, in no order; how often one is sent again though acknowledged
UNDERWAY, AGAIN = 30, 0.2
SENDERS = 4
#: seconds from one kill to the next; how often it takes all workers; from one stop of a server to the next, and off
KILLS, ALL_WORKERS, STOPS, OFF = (0.3, 3.0), 0.2, (2.0, 6.0), (0.0, 2.0)
#: seconds that Salesforce waits for an answer; that the storm may rage longer than it should; and that everything may
#: take to be acknowledged afterwards
ANSWER, OVERTIME, CALM = 60, 60, 90


@dataclass
class Storm:
    """How long it goes on, what is on its way, and what happened."""

    org: Org
    lot: Random
    #: it rages until then, and on until every answer of `wanted` was seen: on a slow machine that takes longer
    until: float
    wanted: frozenset[str]
    #: every message so far; those that are still to be sent, of which a sender takes any: two may send the same at once
    composed: list[Envelope] = field(default_factory=list)
    underway: list[Envelope] = field(default_factory=list)
    #: `ack`, `away` (503 with a Fault), `broken` (no answer): how often
    answers: Counter[str] = field(default_factory=Counter)
    #: answers that Salesforce must never get
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    #: when it was last seen to rage
    raged: float = field(default_factory=time.monotonic)
    #: how often each tormentor struck
    struck: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    #: set when something else has failed, so that nobody goes on
    over: Event = field(default_factory=Event)

    @property
    def rages(self) -> bool:
        now = time.monotonic()
        is_time = now < self.until or (now < self.until + OVERTIME and not self.wanted <= self.answers.keys())
        return is_time and not self.over.is_set()

    @property
    def answered(self) -> int:
        return self.answers["ack"] + self.answers["away"]

    @property
    def attempts(self) -> int:
        return self.answers.total() + len(self.wrong)

    def take(self) -> Envelope | None:
        """A message to send; None when there is nothing more to be said, or nobody listens."""
        with self.lock:
            while len(self.underway) < UNDERWAY and self.rages:
                self.underway.append(self.org.message())
                self.composed.append(self.underway[-1])
            now = time.monotonic()
            self.raged = now if self.rages else self.raged
            is_hopeless = now > self.raged + CALM or self.over.is_set()
            return self.lot.choice(self.underway) if self.underway and not is_hopeless else None

    def tell(self, envelope: Envelope, answer: str, seconds: float) -> None:
        """Note an answer. What is acknowledged is sent no more, or now and then again."""
        with self.lock:
            self.slowest = max(self.slowest, seconds)
            if answer not in ("ack", "away", "broken"):
                self.wrong.append(answer)
                return
            self.answers[answer] += 1
            if answer == "ack":
                envelope.is_acknowledged = True
                if envelope in self.underway and not (self.rages and self.lot.random() < AGAIN):
                    self.underway.remove(envelope)

    def moments(self, lot: Random, apart: tuple[float, float]) -> Iterator[None]:
        """For each moment to strike at: by lot, but not before something was answered since the last one."""
        last, pause_ends = self.answered, time.monotonic() + lot.uniform(*apart)
        while self.rages:
            if time.monotonic() < pause_ends or self.answered < last + SENDERS:
                self.over.wait(0.02)
                continue
            yield
            last, pause_ends = self.answered, time.monotonic() + lot.uniform(*apart)

    def __str__(self) -> str:
        answers, struck = self.answers, ", ".join(f"{often} {name}" for name, often in self.struck.items())
        return (
            f"{len(self.composed)} messages of {self.org.changes} notifications sent {self.attempts} times; {struck}; "
            f"{answers['ack']} acks, {answers['away']} faults, {answers['broken']} broken connections; "
            f"the slowest answer took {self.slowest:.1f} s"
        )


def deliver(storm: Storm, url: str, lot: Random) -> None:
    """One sender: takes a message and sends it, until all are acknowledged."""
    while (envelope := storm.take()) is not None:
        began = time.monotonic()
        answer = attempt(url, envelope.body)
        storm.tell(envelope, answer, time.monotonic() - began)
        if answer != "ack":
            time.sleep(lot.uniform(0.05, 0.3))


def attempt(url: str, body: bytes) -> str:
    """Send a message once: `ack`, `away`, `broken`, or what else was answered, in words."""
    try:
        answer = send_to(url, body, timeout=ANSWER)
    except (OSError, http.client.HTTPException) as error:
        is_late = isinstance(getattr(error, "reason", error), TimeoutError)
        return f"no answer within {ANSWER} seconds" if is_late else "broken"
    if answer.ack:
        return "ack"
    is_away = answer.status == 503 and answer.fault not in (None, "no SOAP")
    return "away" if is_away else f"{answer.status} {answer.fault}"


#: strikes now and again as long as the storm rages; gives how often
Tormentor = Callable[[Storm, Random], int]


def rage(server: Server, seed: int, seconds: float, wanted: set[str], **tormentors: Tormentor) -> Storm:
    """Let the storm rage for some seconds, and then until everything is acknowledged."""
    until = time.monotonic() + seconds
    storm = Storm(Org(Random(f"org {seed}")), Random(f"storm {seed}"), until, frozenset(wanted))
    url = f"{server.url}/outbound-messages/Account"
    with ThreadPoolExecutor(SENDERS + len(tormentors)) as pool:
        try:
            striking = {name: pool.submit(each, storm, Random(f"{name} {seed}")) for name, each in tormentors.items()}
            sending = [pool.submit(deliver, storm, url, Random(f"sender {at} {seed}")) for at in range(SENDERS)]
            storm.struck = {name: each.result() for name, each in striking.items()}
            for sender in sending:
                sender.result()
        finally:
            storm.over.set()
    return storm


def kills(server: Server) -> Tormentor:
    """Kills workers of a gunicorn, which tells their numbers in its log."""

    def strike(storm: Storm, lot: Random) -> int:
        killed: set[int] = set()
        for _ in storm.moments(lot, KILLS):
            alive = [pid for pid in _booted(server) if pid not in killed and _is_of(server, pid)]
            lot.shuffle(alive)
            for pid in alive if lot.random() < ALL_WORKERS else alive[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
        return len(killed)

    return strike


def _booted(server: Server) -> list[int]:
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", server.printed)]


def _is_of(server: Server, pid: int) -> bool:
    """Whether a process is still of the server's group, and no stranger who has got its number."""
    try:
        return os.getpgid(pid) == server.process.pid
    except ProcessLookupError:
        return False


def stops(postgres: Postgres) -> Tormentor:
    """Stops a database server as if somebody had pulled its plug, and starts it again."""

    def strike(storm: Storm, lot: Random) -> int:
        stopped = 0
        for _ in storm.moments(lot, STOPS):
            postgres.stop()
            stopped += 1
            time.sleep(lot.uniform(*OFF))
            postgres.start()
        return stopped

    return strike
