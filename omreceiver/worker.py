"""Celery's side of durable receivers with via="celery". Without an app of yours:

    CELERY_BROKER_URL=amqp://… celery -A omreceiver.worker worker

With one, include this module: `Celery("crm", broker=…, include=["omreceiver.worker"])`. Either way the settings come
from the environment, as the relay's do.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy.exc import DBAPIError

from omreceiver.app import assemble
from omreceiver.config import Settings
from omreceiver.receive import Parts
from omreceiver.relays import celery as handing
from omreceiver.relays import outbox
from omreceiver.relays.delivery import Fate, deliver
from omreceiver.relays.library import library

celery: Any = library("celery", "celery")


def _deliver(task: Any, event_id: int, receiver: str, attempts: int) -> str:
    """Call a durable receiver for one event; a task of Celery. Gives what became of it."""
    try:
        parts = _parts()
        taken = outbox.claim_handed_over(parts.engine, event_id, receiver, attempts)
    except DBAPIError as error:
        # nobody was called yet: the same once more
        raise task.retry(exc=error, countdown=outbox.FIRST_PAUSE.total_seconds()) from error
    if taken is None:
        return "not due any more"
    pause = outbox.pause_after(taken.attempts, handing.LONGEST_PAUSE)
    fate = deliver(parts.engine, parts.models, taken, pause + outbox.HANDED_OVER)
    if fate is Fate.FAILED:
        # where the broker is away it is lost, and the relay hands it over again
        raise task.retry(args=handing.arguments(taken), countdown=pause.total_seconds())
    return str(fate)


@cache
def _parts() -> Parts:
    """Of this process: after the worker has forked, as connections cannot be shared."""
    return assemble(Settings.from_environment())


#: it reads celeryconfig.py, as the relay does where there is no app
app: Any = celery.Celery("omreceiver", loader="default", set_as_current=False)
celery.shared_task(_deliver, bind=True, name=handing.TASK, max_retries=None, ignore_result=True)
