"""Builders of the nouns for tests: every field has a value, a test names only what it is about."""
