"""Events about nodes in a Kubernetes cluster, which an agent on each node writes: a message each time one happens.

`source` is the way in, `settings` says what is configured, `arrivals` what of it is new, and `lines` finds the kernel's
line in an event.
"""
