"""Takes what was kept through the stages again: what is in quarantine, and messages whose bodies are kept.

All respect freshness: a record that has heard of something newer since keeps it, and the older one is `stale`.
"""

from omreceiver.redo.rebuild import Rebuild, rebuild, rebuilding
from omreceiver.redo.replay import Chosen, Redone, Selection, choose, replay_kept, replaying_kept
from omreceiver.redo.retry import Retried, entries, retry

__all__ = [
    "Chosen",
    "Rebuild",
    "Redone",
    "Retried",
    "Selection",
    "choose",
    "entries",
    "rebuild",
    "rebuilding",
    "replay_kept",
    "replaying_kept",
    "retry",
]
