"""gpu-rescue: kernel logs in, GPU faults recognised and decided, nodes rescued, records out.

Each folder is one room of the pipeline, in the order data meets them: sources, decode, match, enrich, decide, execute;
cluster and rebooters are the adapters that execute acts through. `app` is the only room that constructs components.
"""
