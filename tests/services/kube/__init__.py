"""Kubernetes: a control plane without machines. `artifact` builds it, `parts` says how each server is started, `plane`
runs them, `kubeconfig` says who comes in; `nodes` and `pods` play who registers machines and binds pods.

Another version of Kubernetes: `gen.sh`, and VERSION in `artifact`. What it lacks of a whole one: a namespace that is
deleted stays Terminating, nobody makes pods for a workload, and no owner that is gone takes its pods along.
"""
