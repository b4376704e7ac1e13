"""What your tests use: tables, composed messages, replay of fixtures, recorded signals."""

from omreceiver.testing.messages import compose, new_id
from omreceiver.testing.recorder import Recorder, Sent
from omreceiver.testing.replay import Replayed, create_tables, replay

__all__ = ["Recorder", "Replayed", "Sent", "compose", "create_tables", "new_id", "replay"]
