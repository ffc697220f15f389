"""One file per action of a plan. An action says what the executor does next.

It makes at most one effect per call, or some that can be repeated. Actions know the cluster and the rebooter, and
nothing of policies, limits or other rescues.
"""
