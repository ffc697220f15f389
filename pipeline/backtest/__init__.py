"""Backtests: past logs through sets of policies, without effect, and what would have come of it.

A trial is one set of policies over a simulated cluster of its own, on the log's own time. Logs are read, decoded and
matched once for all trials. Nothing here writes a record or reaches a real cluster.
"""
