"""Durable receivers with via="celery": the relay sends a task, and a worker anywhere claims the delivery and calls.

The task says which delivery, and how often its receiver was called before. A task that comes twice, or late, finds that
it was called since, and does nothing; one that is lost is sent again when nobody has claimed the delivery for an hour.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from omreceiver.errors import BrokerAway
from omreceiver.relays.broker import transport_options
from omreceiver.relays.library import library
from omreceiver.relays.outbox import Claim

TASK = "omreceiver.deliver"
#: RabbitMQ takes a task back that a worker keeps for half an hour, as it does one that is to run later
LONGEST_PAUSE = timedelta(minutes=15)


@cache
def app() -> Any:
    """The Celery app of this process: the current one of the thread that asks first, as each thread has its own.

    Raises ConfigurationError when Celery is not installed.
    """
    found: Any = library("celery", "celery").current_app._get_current_object()
    for option, seconds in transport_options(str(found.conf.broker_url)).items():
        found.conf.broker_transport_options.setdefault(option, seconds)
    return found


def send(taken: Claim) -> None:
    """Tell the workers. Raises BrokerAway."""
    away = library("kombu.exceptions", "celery").OperationalError, library("amqp.exceptions", "celery").AMQPError
    try:
        app().send_task(TASK, args=arguments(taken), retry=False, ignore_result=True)
    except away as error:
        raise BrokerAway(f"Celery's broker is away: {error}") from error
    except Exception as error:
        # what it says may hold a piece of the password
        kind = type(error).__name__
        raise BrokerAway(f"Celery's broker cannot be used: {kind}. Look at its URL, user and password.") from None


def arguments(taken: Claim) -> tuple[int, str, int]:
    return taken.event.event_id, taken.event.receiver, taken.attempts
