"""The nouns of the pipeline, one per stage's output: line, fault, node fault, plan, rescue.

Frozen records and closed enums only. No behaviour that needs a clock, a network or a file lives here.
"""
