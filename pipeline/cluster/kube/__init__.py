"""Kubernetes: its API as the pipeline speaks it, and what lives in it.

`api` makes calls (JSON in, JSON out, errors that say what to do next), `reflector` keeps a copy of a kind by list and
watch. What stands on these two knows one kind each: nodes, pods, policies, leases, events. No rule of a rescue lives
here.
"""
