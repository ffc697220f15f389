"""Enrich knows the cluster only through caches.

It finds out whose node a line is, the node's labels, what its GPU is called, and what the code means.
"""
