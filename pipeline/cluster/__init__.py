"""The port to the cluster and its adapters: the simulated cluster here, Kubernetes beside it.

An adapter translates; no rule lives here. Every adapter passes the one conformance suite in tests/conformance.
"""
