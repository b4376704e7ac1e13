"""The store: the only writer of record tables and of the ledger. SQL ends here."""
