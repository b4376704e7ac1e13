"""The one place that mends Spyne 2.14, the last release, for Python 3.12 and later. Take Spyne from here.

Spyne carries a copy of six from before Python 3.12 removed the import hooks that it used. The published six works:
running its source under the name `spyne.util.six` makes `spyne.util.six.moves` importable again. Spyne's copy had
one function more, `get_function_name`. On 3.13, where the standard library lost `cgi`, legacy-cgi provides it.
On 3.11 the copy works, but leaves a hook behind that warns at every later import that fails; so it is mended too.
"""

from __future__ import annotations

import importlib.util
import logging
import operator
import sys
import warnings

import six

NAME = "spyne.util.six"


def _alias_six() -> None:
    spec = importlib.util.spec_from_file_location(NAME, six.__file__)
    if spec is None or spec.loader is None:
        raise ImportError("the source of six is not where six says it is; reinstall six", name="six")
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    module.get_function_name = operator.attrgetter("__name__")  # type: ignore[attr-defined]


def _silence() -> None:
    """Spyne logs whole bodies at DEBUG and ERROR, SessionId included: nothing of it reaches a handler."""
    logger = logging.getLogger("spyne")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())


if NAME not in sys.modules:
    _alias_six()
with warnings.catch_warnings():
    # `import cgi` warns on 3.11 and 3.12
    warnings.simplefilter("ignore")
    import spyne.const
    from spyne import Application, Boolean, Fault, MethodContext, ServerBase, ServiceBase, rpc
    from spyne.protocol.soap import Soap11
# Spyne collects garbage after a request, once a second: a tenth of a second each time, for files that we never open
spyne.const.MIN_GC_INTERVAL = float("inf")
_silence()

__all__ = ["Application", "Boolean", "Fault", "MethodContext", "ServerBase", "ServiceBase", "Soap11", "rpc"]
