"""Execute is the only room with memory: the store of rescues, the intake that fills it, the executor that works it off.

Every decision is asked of `decide`; every effect goes through an action, a cluster or a rebooter.
"""
