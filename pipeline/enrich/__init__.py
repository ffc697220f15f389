"""Enrich knows the cluster only through caches: whose node a line is, its labels, what its GPU is called, what its code means."""
