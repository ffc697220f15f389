"""One file per action of a plan. An action makes at most one effect per call and says what the executor does next.

Actions know the cluster and the rebooter, and nothing of policies, limits or other rescues.
"""
