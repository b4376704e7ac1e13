"""What your tests use: tables, composed messages, replay of fixtures, recorded signals."""

from omreceiver.signals import Recorded
from omreceiver.testing.messages import compose, new_id
from omreceiver.testing.recorder import Recorder
from omreceiver.testing.replay import Replayed, create_tables, replay

__all__ = ["Recorded", "Recorder", "Replayed", "compose", "create_tables", "new_id", "replay"]
