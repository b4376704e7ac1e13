"""The door: bytes in, ack out. Spyne is imported in this folder only, and XML of a message ends here."""
