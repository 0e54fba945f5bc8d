"""What a process that reads strangers' documents does before the first of them: our own work, on an office of the moment and what it seals.

Its keys are made here and are in no file, and nobody believes what they sign: its root is no anchor of anybody's. See
`trust.edge.sandbox_child.rehearse`.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trust.edge.clock import now
from trust.edge.keystore import FileKey, algorithm_of, generate, sign
from trust.errors import KakuinError
from trust.model import Cert, Crl, Document, Ocsp
from trust.pki.issue import Addresses, Issuer, Validity, certificate, crl
from trust.pki.ocsp import Answer, identify, respond
from trust.pki.profiles import PROFILES, Subject
from trust.ports import Stamper, Status

if TYPE_CHECKING:
    from trust.edge.instance import Instance

POLICY = "2.5.29.32.0"
_HOUR = timedelta(hours=1)
_NOWHERE = Addresses("http://rehearsal.invalid")


def known_of(instance: "Instance") -> tuple[Cert | Crl, ...]:
    """Certificates and lists of an installation: what stands in nearly all that it reads."""
    found: list[Cert | Crl] = [c for name in instance.certificate_names for c in instance.certificates(name)]
    with contextlib.suppress(KakuinError):  # a list that cannot be had now: whoever needs it is told
        found += [instance.authority.crl(issuer).crl for issuer in ("root", "ca")]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Office:
    """An authority with one seal, one time-stamping unit and a responder, an hour old."""

    time: datetime
    anchor: Cert
    lists: tuple[Crl, Crl]
    seal: FileKey
    unit: FileKey
    responder: FileKey
    answers: dict[Cert, Ocsp]

    def status(self, chain: Sequence[Cert]) -> Status:
        """trust.ports.StatusSource, of its own certificates."""
        told = tuple(self.answers[c] for c in chain if c in self.answers)
        return Status(self.lists, told, (self.responder.certificate, *self.seal.chain))


@dataclass(frozen=True, slots=True)
class Example:
    """A document that the office sealed."""

    document: Document
    apart: tuple[Document, ...]
    """What its signature is over, where that is not in it."""
    value: bytes
    """Of the signature."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one step hands to the next."""

    office: Office
    stamp: Stamper
    examples: tuple[Example, ...] = ()
    known: tuple[Cert | Crl, ...] = ()
    """Of the installation itself: what stands in most of what it reads."""


def office() -> Office:
    """A new one."""
    time = now().replace(microsecond=0)
    period = Validity(time - _HOUR, time + timedelta(days=1))
    names = ("root", "ca", "seal", "tsu", "ocsp")
    private = {name: generate("p256") for name in names}
    chains: dict[str, tuple[Cert, ...]] = {}
    for number, name in enumerate(names, start=1):
        subject, public, above = Subject(f"Rehearsal {name}", "Rehearsal", None).name(), private[name].public_key(), PROFILES[name].issuer
        if name == "root":
            algorithm = algorithm_of(public)
            issuer = Issuer(subject, public, algorithm, lambda data: sign(private["root"], algorithm_of(private["root"].public_key()), data))
        else:
            issuer = Issuer.of(FileKey(private[above], chains[above][0], chains[above][1:]))
        made = certificate(PROFILES[name], subject, public, issuer, serial=number, validity=period, addresses=_NOWHERE, policy=POLICY)
        chains[name] = (made, *chains.get(above, ()))
    keys = {name: FileKey(private[name], chain[0], chain[1:]) for name, chain in chains.items()}
    ends = time + _HOUR
    root_list, ca_list = (crl(Issuer.of(keys[name]), (), number=1, this_update=time, next_update=ends, since=time - _HOUR) for name in ("root", "ca"))
    (authority, root) = chains["ca"]
    answers = {
        leaf: Ocsp.from_response(
            respond(
                [Answer(identify(leaf, authority), known=True)],
                keys["ocsp"],
                nonce=None,
                this_update=time,
                next_update=ends,
                archive_cutoff=time - _HOUR,
            )
        )
        for leaf in (chains["seal"][0], chains["tsu"][0])
    }
    return Office(time, root, (root_list, ca_list), keys["seal"], keys["tsu"], keys["ocsp"], answers)
