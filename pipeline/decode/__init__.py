"""Decode takes a shipper's envelope apart: bytes in, log lines out.

Pure: no clock, no network, no cluster, and no exception for any input. `envelopes` is the way in; `reading` opens layer
by layer, `records` knows JSON records, `journal` the journal's export format, `headers` what stands before a line's
text, `framing` octet-counted syslog, `jsontext` JSON that is whole, several or broken, `printk` a record of the
kernel's, `stamps` time, `facts` what the layers together said, `origin` who wrote the line. What a fault looks like is
not known here; the drivers' names are, to tell a shipper's field from the kernel's word.
"""
