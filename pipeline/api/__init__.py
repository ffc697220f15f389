"""HTTP: whether the process lives, whether it is ready, and its metrics.

An adapter: it asks what others know and decides nothing.
"""
