"""Whose node a line is: the host name that a log writes is often not the node's name."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache

from pipeline.cluster.port import HOSTNAME, NodeCache
from pipeline.enrich.rewrite import Rewriter, RewriteRule
from pipeline.model.fault import Lookup
from pipeline.model.node import Node

_MOST_FOUND = 20_000
_DASHED_IP = re.compile(r"(?:ip-)?(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})")


class _Kind(IntEnum):
    """What a spelling of a node is."""

    NAME = 1
    HOSTNAME = 2
    ADDRESS = 3
    DASHED_IP = 4
    SHORTENED = 5


_EXACT = (_Kind.NAME, _Kind.HOSTNAME, _Kind.ADDRESS)

Spelling = tuple[_Kind, str]


class NodeNames:
    """Finds the node of a host name among the nodes of a cache.

    Searches go from the strongest to the weakest: the node's name; its `kubernetes.io/hostname` label; one of its
    addresses; these three again for what the first matching rewrite rule makes of the host name, which from there on
    stands in its place; an IPv4 address written with dashes (`10-0-2-193`, `ip-10-0-2-193.ec2.internal`), on either
    side; and a name that is the other one cut off at a dot (`gpu-a` and `gpu-a.example.com`; two different domains
    never match). The first search that finds something ends it: one node is found, two are ambiguous, whatever a
    weaker search would say. Case, a dot at the end and the way an IP address is written make no difference.

    The index follows the cache: what has changed since the last line is looked at, and indexed anew where its spellings
    have.
    """

    def __init__(self, cache: NodeCache, rules: tuple[RewriteRule, ...] = ()) -> None:
        self._cache = cache
        self._rewriter = Rewriter(rules)
        self._generation = 0
        self._nodes: dict[str, Node] = {}
        self._spellings: dict[str, frozenset[Spelling]] = {}
        self._index: dict[Spelling, set[str]] = {}
        # Of the hosts that were asked for since a spelling has changed: the lines of a storm are of few.
        self._found: dict[str, tuple[Lookup, str]] = {}

    def resolve(self, host: str | None) -> tuple[Lookup, Node | None]:
        """Return how the search for the host's node ended, and the node if exactly one was found."""
        wanted = _normalised(host or "")
        if not wanted:
            return Lookup.UNNAMED, None
        if not self._cache.synced:
            return Lookup.NOT_READY, None
        self._follow()
        if wanted not in self._found:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[wanted] = self._search(wanted)
        lookup, name = self._found[wanted]
        return lookup, self._nodes.get(name)

    def _search(self, wanted: str) -> tuple[Lookup, str]:
        for candidates in self._searches(wanted):
            if len(candidates) == 1:
                return Lookup.FOUND, candidates.pop()
            if candidates:
                return Lookup.AMBIGUOUS, ""
        return Lookup.UNKNOWN, ""

    def _searches(self, host: str) -> Iterator[set[str]]:
        yield from self._exact(host)
        rewritten = self._rewriter.rewrite(host)
        if rewritten is not None:
            host = _normalised(rewritten)
            yield from self._exact(host)
        address = _ip_in(host)
        if address is not None:
            yield self._any((kind, address) for kind in (*_EXACT, _Kind.DASHED_IP))
        shorter = ((kind, short) for short in _shortened(host) for kind in _EXACT)
        yield self._any(((_Kind.SHORTENED, host), *shorter))

    def _exact(self, host: str) -> Iterator[set[str]]:
        for kind in _EXACT:
            yield self._any([(kind, host)])

    def _any(self, spellings: Iterable[Spelling]) -> set[str]:
        return {name for spelling in spellings for name in self._index.get(spelling, ())}

    def _follow(self) -> None:
        generation = self._cache.generation
        if generation == self._generation:
            return
        nodes = self._cache.nodes()
        for name in self._cache.changed_since(self._generation):
            node = nodes.get(name)
            if node is None:
                self._nodes.pop(name, None)
                self._index_node(name, frozenset())
            elif self._nodes.get(name) is not node:
                self._nodes[name] = node
                self._index_node(name, frozenset(_spellings(node)))
        self._generation = generation

    def _index_node(self, name: str, spellings: frozenset[Spelling]) -> None:
        before = self._spellings.pop(name, frozenset())
        if spellings:
            self._spellings[name] = spellings
        if spellings == before:
            return
        self._found.clear()
        for spelling in before - spellings:
            self._index[spelling].discard(name)
            if not self._index[spelling]:
                del self._index[spelling]
        for spelling in spellings - before:
            self._index.setdefault(spelling, set()).add(name)


def _spellings(node: Node) -> Iterator[Spelling]:
    exact = [(_Kind.NAME, node.name), (_Kind.HOSTNAME, node.labels.get(HOSTNAME, ""))]
    exact += [(_Kind.ADDRESS, address) for address in node.addresses]
    for kind, written in exact:
        name = _normalised(written)
        if not name:
            continue
        yield kind, name
        address = _ip_in(name)
        if address not in (None, name):
            yield _Kind.DASHED_IP, str(address)
        for short in _shortened(name):
            yield _Kind.SHORTENED, short


@lru_cache(maxsize=20_000)
def _normalised(host: str) -> str:
    name = host.strip().rstrip(".").lower()
    return _canonical_ip(name) or name


def _canonical_ip(name: str) -> str | None:
    # Most names are none, and to raise and catch an error for each takes longer than all else here.
    if ":" not in name and not name[:1].isdigit():
        return None
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return None


def _ip_in(name: str) -> str | None:
    """Return the IP address that a name is, or whose dashed form its first label is."""
    dashed = _DASHED_IP.fullmatch(name.partition(".")[0])
    return _canonical_ip(".".join(dashed.groups())) if dashed else _canonical_ip(name)


def _shortened(name: str) -> Iterator[str]:
    """Yield what remains of a name that is cut off at each of its dots; nothing for an IP address."""
    if _canonical_ip(name) is None:
        labels = name.split(".")
        yield from (".".join(labels[:count]) for count in range(1, len(labels)))
