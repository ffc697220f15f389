"""The marks that a rescue leaves on a node, so that anybody can see whose hand it was, and we undo only what we did."""

CORDONED_BY = "rescue.ksyun.com/cordoned-by"
"""Annotation: the name of the rescue that cordoned the node."""

CORDONED_AT = "rescue.ksyun.com/cordoned-at"
"""Annotation: when it did, ISO 8601, UTC."""

UNDER_RESCUE = "rescue.ksyun.com/under-rescue"
"""Annotation: the rescue that works on a node which somebody else had cordoned; such a node can't be a standby."""

OFFLINE = "rescue.ksyun.com/offline"
"""Label and taint key of a node that was taken out for good."""

OFFLINE_REASON = "rescue.ksyun.com/offline-reason"
"""Annotation: the rescue and the fault for which the node was taken out."""

WARM_STANDBY = "rescue.ksyun.com/warm-standby"
"""Label of a node that stands by, cordoned, to take another one's place; the setting `standby.label` names another."""

STANDBY_FOR = "rescue.ksyun.com/standby-for"
"""Annotation: the name of the rescue that put this standby into service. Who puts it back by hand takes it off."""

STANDBY_OF = "rescue.ksyun.com/standby-of"
"""Annotation of a standby in service: the node that it stands in for, also when that is rescued again."""

STANDBY_LABEL = "rescue.ksyun.com/standby-label"
"""Annotation of a standby in service: the label that it had, as `key=value`, which is what `kubectl label` takes.

The key goes with it, so that a standby gets its own label back when the settings name another one meanwhile.
"""

IGNORE = "rescue.ksyun.com/ignore"
"""Annotation with which people opt a node out (`true`): nothing is done to it."""

NEWCOMER = "rescue.ksyun.com/newcomer"
"""Annotation of a node of a simulated cluster that is known from a replayed log alone."""
