"""Which family a fault belongs to: a bounded memory of the families of each node."""

from datetime import timedelta

from pipeline.decide.incident import Family, Incident
from pipeline.model.fault import NodeFault

OPEN_PER_NODE = 32
"""So many families of a node still take faults in; the oldest takes none any more. A node has 8 GPUs or 16."""


class Families:
    """The families whose incidents are remembered, by node, in the order in which they were opened."""

    def __init__(self) -> None:
        self._of_node: dict[str, list[Family]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._of_node.values()))

    def taking(self, fault: NodeFault, window: timedelta) -> Family | None:
        """Return the family that takes the fault in, the newest where several do."""
        there = reversed(self._of_node.get(fault.node, ()))
        return next((family for family in there if family.takes(fault, window)), None)

    def put(self, incident: Incident, family: Family | None) -> None:
        """Put an incident into the family that takes it in; into one of its own, where there is none."""
        family = family or Family(incident.name, incident.lead.time)
        if not family.incidents:
            there = self._of_node.setdefault(incident.key.node, [])
            there.append(family)
            del there[:-OPEN_PER_NODE]
        family.incidents.append(incident)
        incident.family = family

    def drop(self, incident: Incident) -> None:
        """Forget an incident, and its family with the last one."""
        family = incident.family
        if family is None:
            return
        family.incidents.remove(incident)
        there = self._of_node.get(incident.key.node, [])
        if not family.incidents and family in there:
            there.remove(family)
            if not there:
                del self._of_node[incident.key.node]
