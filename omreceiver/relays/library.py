"""Libraries that only some relays need: imported when one of them is used, and told how to be had when missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from omreceiver.errors import ConfigurationError


def library(module: str, extra: str) -> ModuleType:
    """A module. Raises ConfigurationError with the pip line when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        cure = f"Run `pip install 'omreceiver[{extra}]'`."
        raise ConfigurationError(f"This relay needs {error.name or module}, which is not installed. {cure}") from error
