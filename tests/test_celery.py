"""via="celery": real workers, on RabbitMQ and on Redis, beside a real relay; one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Settings, committed, receiver
from omreceiver.errors import ConfigurationError, DeclarationError
from omreceiver.relays import celery, delivery
from omreceiver.store import tables
from omreceiver.testing import compose
from omreceiver.testing.replay import post
from tests.brokers import BROKERS, broker_url, forget
from tests.conftest import ROOT, MakeApp
from tests.databases import fresh_database
from tests.deliveries import wait_for, waiting
from tests.processes import environment, free_port, run
from tests.proxy import proxied

#: what a user has in their project: an app of theirs, mapped classes, a receiver; each call leaves a file
CRM = """
import os, pathlib, time
from datetime import timedelta

from celery import Celery
from sqlalchemy.orm import Mapped

from omreceiver import ExternalId, Field, Record, committed, receiver
from omreceiver.relays import lease, outbox

lease.LEASE, outbox.FIRST_PAUSE = timedelta(seconds=2), timedelta(seconds=1)
app = Celery("crm", broker=os.environ["BROKER"], include=["omreceiver.worker"])
app.conf.update(task_default_queue=os.environ["QUEUE"], broker_connection_retry_on_startup=True)


class Account(Record, sobject="Account"):
    external_id: Mapped[str] = ExternalId("ERP_Id__c")
    name: Mapped[str | None] = Field("Name")


@receiver(committed, sender=Account, durable="erp", via="celery")
def tell(sender, event_id, key, changed, **kwargs):
    folder = pathlib.Path(os.environ["TOLD"])
    earlier = len(list(folder.glob(f"{event_id}-*")))
    (folder / f"{event_id}-{earlier}").write_text(f"{os.getpid()} {key} {changed['name'].new} {time.monotonic_ns()}")
    if key == "FAILS-ONCE" and not earlier:
        raise ConnectionError("the ERP is away")
    if key == "HANGS" and not earlier:
        time.sleep(60)
"""


#: what does not depend on the broker
ON_ONE = pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
Running = AbstractContextManager[subprocess.Popen[bytes]]


@dataclass(frozen=True)
class Project:
    """A folder with a user's code, a database with its tables, and a queue that is this test's alone."""

    folder: Path
    settings: dict[str, str]
    engine: Engine

    @property
    def told(self) -> list[list[str]]:
        """The calls as (process, key, name, when), in their order."""
        calls = [path.read_text().split() for path in (self.folder / "told").iterdir()]
        return sorted((call for call in calls if len(call) == 4), key=lambda call: int(call[3]))

    def omreceiver(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run([sys.executable, "-m", "omreceiver", *arguments], self.folder, **self.settings)

    def replay(self, *records: dict[str, str]) -> None:
        (self.folder / "message.xml").write_bytes(compose("Account", *records))
        assert self.omreceiver("replay", "message.xml").returncode == 0

    @contextmanager
    def running(self, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """A program of the user's, in a process group of its own, ended afterwards."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=environment(self.folder, **self.settings),
                stdout=log,
                stderr=log,
                process_group=0,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def relay(self) -> Running:
        return self.running("relay", "omreceiver", "relay")

    def worker(self, app: str = "crm") -> Running:
        # workers of one name would share a mailbox
        named = f"--hostname={self.settings['QUEUE']}@%h"
        return self.running("worker", "celery", "-A", app, "worker", "-c", "2", "--loglevel=INFO", named)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_done(self) -> bool:
        return not waiting(self.engine)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "told").mkdir()
    (tmp_path / "crm.py").write_text(CRM)
    with fresh_database("postgresql", tmp_path) as url:
        settings = {
            "DATABASE_URL": url,
            "OMRECEIVER_MODELS": "crm",
            "OMRECEIVER_WSDL_DIR": "nowhere",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            "TOLD": str(tmp_path / "told"),
            "QUEUE": f"omreceiver-test-{uuid4().hex}",
            "BROKER": "memory://",
        }
        engine = create_engine(Settings.from_mapping({"DATABASE_URL": url}).database_url)
        made = Project(tmp_path, settings, engine)
        assert made.omreceiver("db", "create").returncode == 0
        yield made
        engine.dispose()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, project: Project) -> Iterator[str]:
    project.settings["BROKER"] = broker_url(request.param)
    yield request.param
    forget(project.settings["BROKER"], project.settings["QUEUE"])


def test_workers_call_the_receiver_once_for_each_event_and_in_order(project: Project, broker: str) -> None:
    """Many records at once, one record's changes one after another, and again what raised."""
    one = {"Id": "001000000000001AAA", "ERP_Id__c": "ONE"}
    for name in ("first", "second", "third"):
        project.replay({**one, "Name": name}, {"ERP_Id__c": f"OTHER-{name}", "Name": name})
    project.replay({"ERP_Id__c": "FAILS-ONCE", "Name": "again"})
    with project.worker(), project.relay() as relay:
        wait_for(project.is_done)
    told = project.told
    assert [name for _, key, name, _ in told if key == "ONE"] == ["first", "second", "third"]
    assert sorted(key for _, key, *_ in told) == [
        "FAILS-ONCE",
        "FAILS-ONCE",
        *["ONE"] * 3,
        "OTHER-first",
        "OTHER-second",
        "OTHER-third",
    ]
    assert relay.pid not in {int(process) for process, *_ in told}
    assert "Retry in 0." in project.log("worker"), "retries are Celery's"
    assert "handed over" in project.log("relay")


def test_the_delivery_of_a_worker_that_is_killed_is_another_ones(project: Project, broker: str) -> None:
    project.replay({"ERP_Id__c": "HANGS", "Name": "long"})
    with project.relay():
        with project.worker() as worker:
            wait_for(lambda: len(project.told) == 1)
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(10)
        assert not project.is_done()
        with project.worker():
            wait_for(project.is_done)
    assert [key for _, key, *_ in project.told] == ["HANGS"] * 2
    assert len({process for process, *_ in project.told}) == 2


@ON_ONE
def test_a_worker_outlives_its_connection(project: Project, broker: str) -> None:
    """Which ends while it has nothing to do, as after a night on MariaDB."""
    direct = project.settings["DATABASE_URL"]
    with project.relay(), proxied(direct) as (proxy, through):
        project.settings["DATABASE_URL"] = through
        with project.worker():
            project.settings["DATABASE_URL"] = direct
            project.replay({"ERP_Id__c": "A-1", "Name": "before"})
            wait_for(project.is_done)
            proxy.cut()
            project.replay({"ERP_Id__c": "A-1", "Name": "afterwards"})
            wait_for(lambda: "Retry in" in project.log("worker"))
            proxy.mend()
            wait_for(project.is_done)
    assert [name for _, _, name, _ in project.told] == ["before", "afterwards"]


@ON_ONE
def test_a_task_that_comes_twice_calls_nobody(project: Project, broker: str) -> None:
    project.replay({"ERP_Id__c": "A-1", "Name": "Acme"})
    send = "import crm; crm.app.send_task('omreceiver.deliver', args=(1, 'erp', 0))"
    for _ in range(2):
        run([sys.executable, "-c", send], project.folder, **project.settings).check_returncode()
    with project.worker():
        wait_for(lambda: "not due any more" in project.log("worker"))
        assert project.is_done()
    assert [key for _, key, *_ in project.told] == ["A-1"]


@ON_ONE
def test_a_worker_without_an_app_of_yours(project: Project, broker: str) -> None:
    source = (project.folder / "crm.py").read_text().splitlines()
    bare = [line for line in source if not line.startswith(("app", "from celery"))]
    (project.folder / "crm.py").write_text("\n".join(bare))
    project.settings["CELERY_BROKER_URL"] = project.settings["BROKER"]
    # the settings that Celery itself looks for
    config = "import os\ntask_default_queue = os.environ['QUEUE']\n"
    (project.folder / "celeryconfig.py").write_text(config)
    project.replay({"ERP_Id__c": "A-1", "Name": "Acme"})
    with project.worker("omreceiver.worker"), project.relay():
        wait_for(project.is_done)
    assert [key for _, key, *_ in project.told] == ["A-1"]


def test_while_the_broker_is_away_events_wait(project: Project) -> None:
    project.settings["BROKER"] = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    project.replay({"ERP_Id__c": "A-1", "Name": "Acme"}, {"ERP_Id__c": "A-2", "Name": "Acme"})
    for _ in range(2):
        relayed = project.omreceiver("relay", "--once")
        assert (relayed.returncode, relayed.stderr.splitlines()[-1]) == (1, "1 away")
    [line] = waiting(project.engine)
    assert (line.receiver, line.waiting, line.parked) == ("erp", 2, 0)
    with project.engine.connect() as connection:
        rows = connection.execute(select(tables.delivery.c.attempts, tables.delivery.c.error)).all()
    assert {attempts for attempts, _ in rows} == {0}
    assert {error for _, error in rows if error and error.startswith("Celery's broker is away: ")}


def test_every_thread_of_a_web_process_tells_the_same_app(make_app: MakeApp, sqlite_url: str, base: Any) -> None:
    """Celery's current app is another one on each thread, and a request may come on any."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")

    receiver(committed, durable="erp", via="celery")(lambda sender, **_: None)
    celery.app.cache_clear()
    mine = Celery("crm", broker="memory://", set_as_current=True)
    app = make_app(sqlite_url, [Account], OMRECEIVER_RELAY="inline")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(post, app, compose("Account", {"ERP_Id__c": "A-1"})).result().ack
    with mine.connection_for_read() as connection:
        told = connection.SimpleQueue("celery").get(timeout=5)
    assert (told.headers["task"], told.payload[0]) == (celery.TASK, [1, "erp", 0])
    celery.app.cache_clear()


def test_a_missing_library_is_answered_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    receiver(committed, durable="erp", via="celery")(lambda sender, **_: None)
    celery.app.cache_clear()
    with pytest.raises(ConfigurationError, match=r"needs celery.*Run `pip install 'omreceiver\[celery\]'`\."):
        delivery.get_ready()


def test_via_is_one_of_a_few_and_for_durable_receivers() -> None:
    with pytest.raises(DeclarationError, match="is none of relay, celery, notify"):
        receiver(committed, durable="erp", via="celrey")(lambda sender, **_: None)
    with pytest.raises(DeclarationError, match="give it a name with durable="):
        receiver(committed, via="celery")
