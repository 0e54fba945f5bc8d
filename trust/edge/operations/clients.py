"""Who asks: the address that a connection comes from, or the one that a proxy names which the operator trusts to say so (RFC 7239 section 8.1)."""

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Iterable[tuple[bytes, bytes]]

IPV6_PREFIX = 64
"""Bits of an IPv6 address that make a client: one subscriber has all the rest."""
REMEMBERED = 10_000
"""Addresses whose kind is not worked out again."""
MOST_HOPS = 32
"""Proxies in a row; more are nobody's."""
FORWARDED = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"})
"""Whoever sends one of these speaks for somebody else."""
_XFF = b"x-forwarded-for"


def network(text: str) -> Network:
    """`192.0.2.0/24`, `2001:db8::/32`, or one address. ValueError."""
    return ipaddress.ip_network(text)


def wrong_networks(values: tuple[str, ...]) -> str | None:
    """For a setting: what is expected instead."""
    try:
        for value in values:
            network(value)
    except ValueError:
        return "networks such as 192.0.2.0/24 or 2001:db8::/32, or addresses"
    return None


@dataclass(frozen=True, slots=True)
class Client:
    """One who asks."""

    address: str
    key: str
    """The address, or of IPv6 its network: what limits count by."""
    proxy: bool
    """Trusted to say for whom it asks."""
    operator: bool
    """May see how the service does."""
    limited: bool


class Clients:
    """Knows addresses by their networks. For one thread."""

    def __init__(self, *, proxies: Sequence[str] = (), operators: Sequence[str] = (), unlimited: Sequence[str] = ()) -> None:
        self._proxies = tuple(map(network, proxies))
        self._operators = tuple(map(network, operators))
        self._unlimited = tuple(map(network, unlimited))
        self._known: OrderedDict[str, Client] = OrderedDict()

    def of(self, address: str) -> Client:
        """By the text of an address; one that is none is a client like any other."""
        found = self._known.get(address)
        if found is None:
            found = self._known[address] = self._look(address)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def asking(self, peer: str, headers: Headers) -> Client:
        """Behind a trusted proxy the nearest address that is not one itself: what stands further left, anybody can have written."""
        found = self.of(peer)
        if not found.proxy:
            return found
        hops = b",".join(value for name, value in headers if name == _XFF).split(b",")[-MOST_HOPS:]
        for hop in reversed(hops):
            text = _address(hop)
            if text is None:
                return found  # nobody knows whom it asks for: it is the client itself
            found = self.of(text)
            if not found.proxy:
                return found
        return found

    def _look(self, address: str) -> Client:
        try:
            at = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return Client(address[:64], address[:64], proxy=False, operator=False, limited=True)
        if isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped is not None:
            at = at.ipv4_mapped
        key = str(at) if at.version == 4 else str(ipaddress.ip_network((at, IPV6_PREFIX), strict=False))

        def among(networks: tuple[Network, ...]) -> bool:
            return any(at in each for each in networks)

        return Client(str(at), key, among(self._proxies), among(self._operators), not among(self._unlimited))


def _address(hop: bytes) -> str | None:
    """The address in an element of X-Forwarded-For: some proxies add a port, or brackets."""
    text = hop.strip().decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
