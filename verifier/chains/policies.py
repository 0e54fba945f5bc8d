"""RFC 5280 sections 6.1.2 to 6.1.5, certificate policies, as the graph of RFC 9618: linear where the tree of RFC 5280 grows exponentially."""

from dataclasses import dataclass, field

from trust.codecs import asn1
from trust.codecs.asn1 import Rules
from trust.errors import Malformed
from verifier.chains.certificate import CERTIFICATE_POLICIES, INHIBIT_ANY_POLICY, POLICY_CONSTRAINTS, POLICY_MAPPINGS, Facts

ANY_POLICY = "2.5.29.32.0"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Section 6.1.1 (c), (e), (f), (g)."""

    initial: frozenset[str] = frozenset({ANY_POLICY})
    explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


@dataclass
class _Level:
    """One row of the valid policy graph: policy -> (expected policies, parents in the row above)."""

    nodes: dict[str, tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict)


def policies_hold(chain: list[Facts], inputs: Inputs = Inputs()) -> bool:
    """Whether the chain, issued by the anchor first, is valid under its policies; False where they cannot be read."""
    return valid_policies(chain, inputs) is not None


def valid_policies(chain: list[Facts], inputs: Inputs = Inputs()) -> frozenset[str] | None:
    """The policies that are valid along the chain (user-constrained), or None where it requires one and has none."""
    try:
        return _processed(chain, inputs)
    except (Malformed, IndexError, ValueError):
        return None


def _processed(chain: list[Facts], inputs: Inputs) -> frozenset[str] | None:
    length = len(chain)
    explicit, mapping, any_policy = (0 if given else length + 1 for given in (inputs.explicit, inputs.inhibit_mapping, inputs.inhibit_any))
    graph: list[_Level] | None = [_Level({ANY_POLICY: (frozenset({ANY_POLICY}), frozenset())})]
    for number, cert in enumerate(chain, 1):
        last = number == length
        graph = _extended(graph, _policies(cert), any_allowed=any_policy > 0 or (not last and cert.self_issued))
        if graph is None and explicit == 0:
            return None
        if not last:
            graph = _mapped(graph, _mappings(cert), allowed=mapping > 0)
            if not cert.self_issued:
                explicit, mapping, any_policy = max(0, explicit - 1), max(0, mapping - 1), max(0, any_policy - 1)
        require, inhibit = _constraints(cert)
        if last:
            explicit = max(0, explicit - 1)
            explicit = 0 if require == 0 else explicit
        else:
            explicit = explicit if require is None else min(explicit, require)
            mapping = mapping if inhibit is None else min(mapping, inhibit)
            skip = _integer(cert, INHIBIT_ANY_POLICY)
            any_policy = any_policy if skip is None else min(any_policy, skip)
    found = _constrained(graph, inputs.initial)
    return None if explicit == 0 and not found else found


def _extended(graph: list[_Level] | None, policies: frozenset[str] | None, *, any_allowed: bool) -> list[_Level] | None:
    """Section 6.1.3 (d) to (e)."""
    if graph is None or policies is None:
        return None
    above, row = graph[-1].nodes, _Level()
    for policy in policies - {ANY_POLICY}:
        parents = {name for name, (expected, _) in above.items() if policy in expected}
        if not parents and ANY_POLICY in above:
            parents = {ANY_POLICY}
        if parents:
            row.nodes[policy] = (frozenset({policy}), frozenset(parents))
    if ANY_POLICY in policies and any_allowed:
        for name, (expected, _) in above.items():
            for policy in expected - set(row.nodes):
                row.nodes[policy] = (frozenset({policy}), frozenset({name}))
            for policy in expected & set(row.nodes):
                own, parents_ = row.nodes[policy]
                row.nodes[policy] = (own, parents_ | {name})
    return [*graph, row] if row.nodes else None


def _mapped(graph: list[_Level] | None, mappings: dict[str, frozenset[str]], *, allowed: bool) -> list[_Level] | None:
    """Section 6.1.4 (a), (b)."""
    if any(ANY_POLICY in (source, *targets) for source, targets in mappings.items()):
        raise Malformed("anyPolicy in a policy mapping")
    if graph is None or not mappings:
        return graph
    row = _Level(dict(graph[-1].nodes))
    for source, targets in mappings.items():
        if not allowed:
            row.nodes.pop(source, None)
        elif source in row.nodes:
            row.nodes[source] = (targets, row.nodes[source][1])
        elif ANY_POLICY in row.nodes:
            row.nodes[source] = (targets, frozenset({ANY_POLICY}))
    return [*graph[:-1], row] if row.nodes else None


def _constrained(graph: list[_Level] | None, initial: frozenset[str]) -> frozenset[str]:
    """Section 6.1.5 (g), RFC 9618 section 5.5: the policies of the anchor's domain that lead to the last row, and are among the user's."""
    if graph is None:
        return frozenset()
    # Domain policies: nodes whose parent is anyPolicy.
    reachable: set[str] = set()
    wanted: list[set[str]] = [set(graph[-1].nodes)]
    for row in range(len(graph) - 1, 0, -1):
        for policy in wanted[-1]:
            parents = graph[row].nodes[policy][1]
            if ANY_POLICY in parents and graph[row - 1].nodes.get(ANY_POLICY) is not None:
                reachable.add(policy)
        wanted.append({p for policy in wanted[-1] for p in graph[row].nodes[policy][1] if p in graph[row - 1].nodes})
    if ANY_POLICY in initial:
        return frozenset(reachable)
    if ANY_POLICY in graph[-1].nodes:
        return frozenset((reachable & initial) | initial)
    return frozenset(reachable & initial)


def _policies(cert: Facts) -> frozenset[str] | None:
    extension = cert.extensions.get(CERTIFICATE_POLICIES)
    if extension is None:
        return None
    return frozenset(n.expect(asn1.SEQUENCE).children[0].oid() for n in asn1.parse(extension[1], Rules.BER).expect(asn1.SEQUENCE).children)


def _mappings(cert: Facts) -> dict[str, frozenset[str]]:
    extension = cert.extensions.get(POLICY_MAPPINGS)
    made: dict[str, frozenset[str]] = {}
    for pair in asn1.parse(extension[1], Rules.BER).expect(asn1.SEQUENCE).children if extension else ():
        source, target = (n.oid() for n in pair.children)
        made[source] = made.get(source, frozenset()) | {target}
    return made


def _constraints(cert: Facts) -> tuple[int | None, int | None]:
    extension = cert.extensions.get(POLICY_CONSTRAINTS)
    if extension is None:
        return None, None
    fields = asn1.parse(extension[1], Rules.BER).fields()
    require, inhibit = fields.maybe(0x80), fields.maybe(0x81)
    fields.done()
    return (require.small() if require else None), (inhibit.small() if inhibit else None)


def _integer(cert: Facts, oid: str) -> int | None:
    extension = cert.extensions.get(oid)
    return None if extension is None else asn1.parse(extension[1], Rules.BER).expect(asn1.INTEGER).small()
