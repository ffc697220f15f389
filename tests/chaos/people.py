"""What people do to the nodes of a site, without asking anybody."""

from enum import StrEnum

from pipeline.model.node import NodePatch, Taint
from pipeline.model.ownership import CORDONED_BY, IGNORE, OFFLINE
from tests.chaos.sites import node as site_node
from tests.fakes.site import Site


class Deed(StrEnum):
    """One thing that somebody does to one node."""

    NOTHING = "nothing"
    CORDON = "cordon"
    UNCORDON = "uncordon"
    TAINT = "taint"
    TAINT_AS_OFFLINE = "taint-as-offline"
    OPT_OUT = "opt-out"
    OPT_IN = "opt-in"
    LABEL = "label"
    RELABEL = "relabel"
    DELETE = "delete"


_PATCHES = {
    Deed.TAINT: NodePatch(taints=(Taint("site/broken", "yes", "NoSchedule"),)),
    Deed.TAINT_AS_OFFLINE: NodePatch(taints=(Taint(OFFLINE, "", "NoExecute"),)),
    Deed.OPT_OUT: NodePatch(annotations={IGNORE: "true"}),
    Deed.OPT_IN: NodePatch(annotations={IGNORE: None}),
    Deed.LABEL: NodePatch(labels={"app": "train", OFFLINE: None}),
    Deed.RELABEL: NodePatch(labels={"app": "test"}),
}


class People:
    """All who have a hand in the site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._gone: set[str] = set()

    def do(self, deed: Deed, node: str) -> None:
        """Do it, if the node is there."""
        there = self._site.cluster.truth().get(node)
        if there is None:
            return
        if deed in _PATCHES:
            self._site.cluster.edit_node(node, _PATCHES[deed])
        elif deed is Deed.UNCORDON:
            self._site.cluster.uncordon_by_hand(node)
        elif deed is Deed.DELETE:
            self._site.cluster.delete_node(node)
            self._gone.add(node)
        elif deed is Deed.CORDON:
            owner = self._site.store.get(there.annotations.get(CORDONED_BY, ""))
            # Known: who uncordons a node and cordons it again within one poll of its rescue is taken for the rescue.
            if owner is None or owner.status.ended:
                self._site.cluster.cordon_by_hand(node)

    def register(self) -> None:
        """Have all nodes register anew that were deleted."""
        for node in sorted(self._gone):
            self._site.cluster.add_node(site_node(node))
        self._gone.clear()
