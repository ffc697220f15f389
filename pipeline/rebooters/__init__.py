"""Rebooters turn a machine off and on again, each by another road; which one is used is a setting.

A rebooter knows the machine and its road, and nothing of policies or rescues.
"""
