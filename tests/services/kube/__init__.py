"""Kubernetes: a control plane without machines. `artifact` builds it, `parts` says how each server is started, `plane`
runs them, `nodes` and `pods` play who registers machines and binds pods.
"""
