"""The command line: one file per command. Prints for people on a terminal, plain text or NDJSON in a pipe."""
