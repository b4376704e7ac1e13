"""Calls one receiver: an `async def` one is run to its end, and one that takes long is named in the log."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Any

from omreceiver.signals.listening import Receiver, named

log = logging.getLogger(__name__)


def call(signal: str, receiver: Receiver, sender: Any, arguments: Mapping[str, Any], slow: timedelta | None) -> object:
    """Call a receiver, and wait for it; gives what it returns. One that takes longer than `slow` is logged."""
    began = time.monotonic()
    try:
        result = receiver(sender, **arguments)
        return _finished(result) if inspect.isawaitable(result) else result
    finally:
        took = time.monotonic() - began
        if slow is not None and took > slow.total_seconds():
            known = {"action": "slow_receiver", "receiver": named(receiver), "seconds": round(took, 3)}
            log.warning("the %s receiver %s took %.1f s", signal, named(receiver), took, extra=known)


def _finished(result: Awaitable[object]) -> object:
    async def wait() -> object:
        return await result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    # in a loop that somebody else runs, and that cannot wait here without standing still: another thread waits
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, wait()).result()
