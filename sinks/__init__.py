"""Sinks take rescue records to where people read them.

A sink knows records and its destination, and nothing of the pipeline: this package could be lifted out as a library.
"""
