"""Sources turn an external stream into deliveries: a message, where it stood, and a way to say that it is dealt with.

A source knows its stream and nothing of what the bytes mean. It is given a cheap test and drops what cannot matter.
"""
