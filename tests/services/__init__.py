"""Real servers for tests, without a container engine: fetched once, verified, started on 127.0.0.1.

What belongs here: how a server's parts come to this machine (`artifacts`, `maven`, `java`, `golang`), how a process is
started so that it never outlives whom it serves (`processes`, `leash`), one folder per server (`kafka`,
`elasticsearch`, `rsyslog`, `kube`), the fixtures that tests ask for (`fixtures`), and `python -m tests.services`,
behind `make services`.
What does not: twins and fakes (tests/fakes), and tests (tests/integration/services).

Needs Linux. What is fetched has licences of its own and is never shipped.
"""
