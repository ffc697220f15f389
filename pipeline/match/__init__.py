"""Match knows kernel text and nothing else: a log line in, a fault or a sighting out. Its rules are files.

`matcher` is the way in; `patterns` loads the files whose models are in `patternfile`, and `needles` is the cheap test
that throws noise away undecoded. `message` finds whose message a line is; `xid`, `nvlink5`, `sxid` and `bus` are the
driver's grammars, `expression` an operator's, and `rules` puts either to use. `sightings` reads what is no fault,
`report` prints.
"""
