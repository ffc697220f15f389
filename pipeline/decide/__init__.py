"""Decide is the policy, pure, with now as an argument: it could be run over last year's faults."""
