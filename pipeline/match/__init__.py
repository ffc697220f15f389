"""Match knows kernel text and nothing else: a log line in, a fault or a sighting out. Its rules are files."""
