"""The message brokers that tests run on: RabbitMQ and Redis, where they answer; with CI=true they must.

TEST_RABBITMQ_URL and TEST_REDIS_URL name them; the defaults are the standard ports of this machine.
"""

from __future__ import annotations

import os

import pytest
from kombu import Connection, Queue
from redis import Redis

BROKERS = {
    "rabbitmq": os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0"),
}


def broker_url(kind: str) -> str:
    """The URL of a broker that answers. Skips, or fails in CI, when it does not."""
    try:
        with Connection(BROKERS[kind], connect_timeout=5) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except Exception as error:
        sentence = f"{kind} does not answer at {BROKERS[kind]}: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return BROKERS[kind]


def forget(url: str, queue: str) -> None:
    """Remove a queue that was a test's alone, and on Redis what kombu keeps of its bindings."""
    with Connection(url) as connection:
        Queue(queue)(connection.channel()).delete()
    if url.startswith("redis"):
        with Redis.from_url(url) as redis:
            for key in redis.scan_iter(f"*{queue}*"):
                redis.delete(key)
