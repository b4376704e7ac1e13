"""The pages: what arrives here, where it goes, what became of it."""
