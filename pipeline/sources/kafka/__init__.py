"""Apache Kafka: the topics to which the site's log shipper writes, shared by the replicas of a consumer group.

`source` is the way in; `settings` says what is configured, `session` is a member of the group, `partitions` knows how
far offsets may be committed, `fast` (with `blocks`) and `slow` are the two ways through what was fetched, `watch` looks
after a session, `trouble` says why a cluster cannot be used, `reach` whether it can, `letters` is where damaged batches
go, `inlet` the way that drills are sent. `messages` are what comes out of it all.
Only `fast` and its `selftest` use what aiokafka does not make public.
"""
