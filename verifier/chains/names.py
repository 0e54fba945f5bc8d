"""RFC 5280 section 4.2.1.10: name constraints, and the names that they constrain."""

from dataclasses import dataclass

from trust.codecs import asn1
from trust.codecs.asn1 import Node, Rules
from trust.errors import Malformed
from verifier.chains.certificate import NAME_CONSTRAINTS, SUBJECT_ALTERNATIVE_NAME, Facts, name_key

OTHER, MAIL, DNS, X400, DIRECTORY, EDI, URI, IP, REGISTERED = 0xA0, 0x81, 0x82, 0xA3, 0xA4, 0xA5, 0x86, 0x87, 0x88
"""Tags of GeneralName."""
_EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
MAX_NAMES, MAX_SUBTREES = 4096, 2048
"""The product is work: beyond, the certificate is refused."""

Name = tuple[int, bytes]
"""Tag of the GeneralName, and its content; a directory name as its DER."""


@dataclass(frozen=True, slots=True)
class NameConstraints:
    permitted: tuple[Name, ...]
    excluded: tuple[Name, ...]

    def allow(self, names: tuple[Name, ...]) -> bool:
        """Whether each name is in a permitted subtree of its type, if there is one, and in no excluded one. A type that is not known matches every
        subtree of its type: what cannot be compared is not permitted and is excluded."""
        kinds = {tag for tag, _ in self.permitted}
        for name in names:
            if name[0] in kinds and not any(_within(name, base) is True for base in self.permitted if base[0] == name[0]):
                return False
            if any(_within(name, base) is not False for base in self.excluded if base[0] == name[0]):
                return False
        return True


def constraints_of(cert: Facts) -> NameConstraints:
    fields = asn1.parse(cert.extensions[NAME_CONSTRAINTS][1], Rules.BER).fields()
    permitted, excluded = fields.maybe(asn1.context(0)), fields.maybe(asn1.context(1))
    fields.done()
    return NameConstraints(_subtrees(permitted), _subtrees(excluded))


def _subtrees(node: Node | None) -> tuple[Name, ...]:
    found = []
    for subtree in node.children if node else ():
        base, *rest = subtree.expect(asn1.SEQUENCE).children
        # minimum [0] DEFAULT 0 and maximum [1] absent: RFC 5280 allows nothing else.
        if any(n.tag != 0x80 or n.content != b"\0" for n in rest):
            raise Malformed("name constraint has a minimum or maximum")
        found.append(_name(base))
    if len(found) > MAX_SUBTREES:
        raise Malformed(f"more than {MAX_SUBTREES} name constraints")
    return tuple(found)


def names_of(cert: Facts) -> tuple[Name, ...]:
    """Every name that constraints apply to: subject, alternative names, and the subject's mail address where there is no alternative one."""
    found: list[Name] = []
    if cert.subject != b"0\0":
        found.append((DIRECTORY, cert.subject))
    extension = cert.extensions.get(SUBJECT_ALTERNATIVE_NAME)
    if extension:
        found += [_name(n) for n in asn1.parse(extension[1], Rules.BER).expect(asn1.SEQUENCE).children]
    if not any(tag == MAIL for tag, _ in found):
        for rdn in asn1.parse(cert.subject, Rules.BER).children:
            found += [(MAIL, pair.children[1].content) for pair in rdn.children if pair.children[0].oid() == _EMAIL_ADDRESS]
    if len(found) > MAX_NAMES:
        raise Malformed(f"more than {MAX_NAMES} names")
    return tuple(found)


def _name(node: Node) -> Name:
    return (DIRECTORY, node.only(asn1.SEQUENCE).raw) if node.tag == DIRECTORY else (node.tag, node.content)


def _within(name: Name, base: Name) -> bool | None:
    """Whether the name is in the subtree; None where nobody here can say."""
    tag, value = name
    try:
        match tag:
            case 0xA4:
                return _rdns(value)[: len(_rdns(base[1]))] == _rdns(base[1])
            case 0x82:
                return _dns(value.decode("ascii"), base[1].decode("ascii"))
            case 0x81:
                return _mail(value.decode("ascii"), base[1].decode("ascii"))
            case 0x86:
                return _uri(value.decode("ascii"), base[1].decode("ascii"))
            case 0x87:
                return _ip(value, base[1])
    except UnicodeDecodeError:
        return None
    return None


def _rdns(name: bytes) -> list[bytes]:
    return [n.raw for n in asn1.parse(asn1.tlv(asn1.SEQUENCE, name_key(name)), Rules.BER).children]


def _dns(name: str, base: str) -> bool | None:
    """`base` and what has labels to its left. A wildcard that may stand for a name in the subtree, or for one outside of it, is both."""
    name, base = name.lower(), base.lower()
    if base.startswith(".") or not all(name.split(".")):
        return None
    if not base or name == base or name.endswith("." + base):
        return True
    return None if name.startswith("*.") and base.endswith(name[1:]) else False


def _mail(name: str, base: str) -> bool | None:
    """A mailbox, a host, or with a leading dot everything below a domain."""
    local, at, host = name.rpartition("@")
    if not at or not local or "@" in local.strip('"') or not all(host.split(".")):
        return None
    if "@" in base:
        base_local, _, base_host = base.rpartition("@")
        return local == base_local and host.lower() == base_host.lower()
    return _host(host.lower(), base.lower())


def _uri(name: str, base: str) -> bool | None:
    """The host of a URI with an authority; an address for a host cannot be compared."""
    scheme, separator, rest = name.partition("://")
    if not separator or not scheme:
        return None
    host = rest.split("/")[0].split("?")[0].split("#")[0].rpartition("@")[2]
    if host.startswith("[") or not host.partition(":")[0] or host.partition(":")[0].replace(".", "").isdigit():
        return None
    return _host(host.partition(":")[0].lower(), base.lower())


def _host(host: str, base: str) -> bool:
    return host.endswith(base) if base.startswith(".") else host == base


def _ip(name: bytes, base: bytes) -> bool | None:
    """RFC 4632: address and mask of the same length."""
    if len(base) not in (8, 32):
        return None
    half = len(base) // 2
    if len(name) != half:
        return False
    bits = int.from_bytes(base[half:], "big")
    width = half * 8
    if bits != ((1 << width) - 1) ^ ((1 << (width - bits.bit_count())) - 1):
        return None
    return int.from_bytes(name, "big") & bits == int.from_bytes(base[:half], "big") & bits
