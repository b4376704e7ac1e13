"""Relays: events carried from om_event to receivers in other processes."""
