"""Decide is the policy, pure, with now as an argument: it could be run over last year's faults.

What belongs here: which incident a fault belongs to, which rule wins, which plan follows, whether a rescue may go on.
What does not: reading files, asking the cluster, waiting, saving.
"""
