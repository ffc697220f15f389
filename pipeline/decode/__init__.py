"""Decode takes a shipper's envelope apart: bytes in, log lines out. Pure: no clock, no network, no cluster, and no exception for any input."""
