"""Events about nodes in a Kubernetes cluster, which an agent on each node writes: a message each time one happens."""
