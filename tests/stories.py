"""Stories: how a signed file came to be, the world around it, and the verdict with the clause that demands it.

A story is data. `FORMATS` turns it into evidence; a new format costs one helper there and gets all stories. The helper `plain` builds the
evidence directly, as a reader would: it tests the process alone.

The timeline, unless the story says otherwise: signed and stamped on SIGNED, status of CHECKED carried along, stamped again for the archive,
judged a day later under the strict policy.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from eseal import spec
from tests import pki
from tests.pki import CHECKED, DAY, ENDED, ISSUED, SIGNED, Party, Revoked
from trust.algorithms import Algorithm
from trust.model import (
    Cert,
    Claims,
    Crl,
    Defect,
    Digest,
    Document,
    Evidence,
    Form,
    Id,
    Ocsp,
    Record,
    Reference,
    Signature,
    SignerReference,
    Stamp,
    StampKind,
    Token,
    identify,
)
from trust.ports import Status
from verifier.verdict import SubIndication as Sub

STAMPED = SIGNED + timedelta(minutes=1)
ARCHIVED = CHECKED + timedelta(hours=6)
LATER = datetime(2028, 1, 1, tzinfo=UTC)
"""The signer's certificate has expired, the unit's has not."""
RENEWED = datetime(2029, 6, 1, tzinfo=UTC)
"""A second unit stamps everything again, with fresh status beside it."""
DECADES = datetime(2032, 1, 1, tzinfo=UTC)
"""The first unit's certificate has expired too."""
HOUR = timedelta(hours=1)
COMPROMISED = x509.ReasonFlags.key_compromise
HELD = x509.ReasonFlags.certificate_hold
UNKNOWN_CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5.6"), b"\x05\x00"), True)

Told = datetime | tuple[datetime, x509.ReasonFlags]
Defects = Mapping[str, Any]


@dataclass(frozen=True)
class Story:
    name: str
    clause: str
    verdict: Sub | None
    """None: the signature passes."""
    at: datetime = CHECKED + DAY
    policy: str = "strict"
    signer: Defects = field(default_factory=dict)
    authority: Defects = field(default_factory=dict)
    root: Defects = field(default_factory=dict)
    unit_authority: Defects = field(default_factory=dict)
    unit: Defects = field(default_factory=dict)
    """Defects of their certificates: keyword arguments of tests.pki."""
    signature: Defects = field(default_factory=dict)
    """Fields of the Signature that are otherwise."""
    stamp: Defects = field(default_factory=dict)
    """Fields of the signature's Stamp that are otherwise."""
    claimed: datetime | None = SIGNED
    stamped: tuple[datetime, ...] = (STAMPED,)
    content_stamped: tuple[datetime, ...] = ()
    bare: bool = False
    """The signature is over the document itself, without attributes."""
    archived_material: tuple[datetime, ...] = ()
    """Stamps over certificates and status only."""
    archived: tuple[datetime, ...] = (ARCHIVED,)
    renewed: tuple[datetime, ...] = ()
    """Archive stamps of the second unit."""
    recorded: tuple[datetime, ...] = ()
    """Tokens of an evidence record over everything."""
    record: Defects = field(default_factory=dict)
    status: tuple[datetime, ...] = (CHECKED,)
    """Lists of the root and of the issuing authority from these times, carried along."""
    given: tuple[datetime, ...] = ()
    """... and given beside the file."""
    revoked: Mapping[str, Told] = field(default_factory=dict)
    """`signer`, `ca`, `unit`, `responder`: on every list from then on, unless `dropped`."""
    told_from: datetime | None = None
    """Lists before that time do not know of it yet."""
    dropped: datetime | None = None
    """From then on lists leave out what has expired."""
    lists: Defects = field(default_factory=dict)
    """Defects of the issuing authority's lists."""
    list_authority: bool = True
    list_signer: bool = True
    list_unit: bool = True
    ocsp: str | None = None
    """`sound`, or who answered for the signer by OCSP."""
    ocsp_answer: Defects = field(default_factory=dict)
    stranger: bool = False
    """The anchor is another root."""
    stamp_stranger: bool = False
    """The unit is of another root."""
    evidence: Defects = field(default_factory=dict)

    def tellable(self, format_: str) -> bool:
        """Whether a sealer makes such a file: nothing in it that only a hand could put there, at a level that is offered."""
        if format_ == "plain":
            return True
        by_hand = (self.signature, self.stamp, self.record, self.evidence, self.content_stamped, self.renewed, self.recorded, self.archived_material)
        offered = spec.OFFERED.get((spec.Format(format_), spec.packagings(spec.Format(format_))[0]), ())
        once = len(self.archived) <= len(self.stamped) <= 1
        carries = self.level in (spec.Level.B_LT, spec.Level.B_LTA) or not (self.status or self.ocsp)
        in_time = self.claimed is not None and self.signer.get("not_before", ISSUED) <= self.claimed <= self.signer.get("not_after", ENDED)
        return not any(by_hand) and once and carries and in_time and not self.bare and self.level in offered

    @property
    def level(self) -> spec.Level:
        """The level at which a sealer makes it."""
        if not self.stamped:
            return spec.Level.B_B
        if self.archived:
            return spec.Level.B_LTA
        return spec.Level.B_LT if self.status else spec.Level.B_T


@dataclass(frozen=True)
class World:
    """A story come true."""

    story: Story
    top: Party
    ca: Party
    signer: Party
    unit: Party
    second: Party
    anchors: frozenset[Cert]
    carried: tuple[Crl | Ocsp, ...]
    given: tuple[Crl | Ocsp, ...]

    @property
    def certs(self) -> frozenset[Cert]:
        chains = (p for who in (self.signer, self.unit, self.second) for p in (who.certificate, *who.chain))
        return frozenset(chains)


def come_true(story: Story) -> World:
    top = pki.root(**story.root)
    ca = pki.authority(top, **story.authority)
    signer = pki.signer(ca, **story.signer)
    unit_ca = pki.authority(top, "Example Timestamp CA", **story.unit_authority)
    other = pki.authority(pki.root("Other Root"), "Other CA")
    unit = pki.unit(other if story.stamp_stranger else unit_ca, **story.unit)
    second = pki.unit(unit_ca, "Example TSU 2", not_before=LATER, not_after=datetime(2042, 1, 1, tzinfo=UTC))
    responder = pki.responder(ca, **({"no_check": False} if story.ocsp in ("checked", "vouching for himself") else {}))
    names = {"signer": signer, "ca": ca, "unit": unit, "responder": responder}

    def listed(by: Party, time: datetime) -> Revoked:
        found: dict[int, Told] = {}
        for name, told in story.revoked.items():
            who, since = names[name], told[0] if isinstance(told, tuple) else told
            expired = story.dropped is not None and time >= story.dropped and who.certificate.not_after < time
            if who.chain and who.chain[0] == by.certificate and max(since, story.told_from or since) <= time and not expired:
                found[who.serial] = told
        return found

    def lists(times: Sequence[datetime]) -> list[Crl | Ocsp]:
        made: list[Crl | Ocsp] = []
        for time in times:
            made += [pki.crl(top, listed(top, time), this_update=time)] if story.list_authority else []
            made += [pki.crl(ca, listed(ca, time), **{"this_update": time, **story.lists})] if story.list_signer else []
            made += [pki.crl(unit_ca, listed(unit_ca, time), this_update=time)] if story.list_unit else []
        return made

    carried = lists(story.status)
    if story.ocsp:
        carried += _answers(story, signer, {"root": top, "ca": ca, "unit": unit_ca, "other": other}, responder)
    anchor = other.chain[0] if story.stranger else top.certificate
    return World(story, top, ca, signer, unit, second, frozenset({anchor}), tuple(carried), tuple(lists(story.given)))


def _answers(story: Story, signer: Party, authorities: Mapping[str, Party], responder: Party) -> list[Crl | Ocsp]:
    ca, no_check = authorities["ca"], ((x509.OCSPNoCheck(), False),)
    makers: dict[str, Callable[[], Party | None]] = {
        "issuer": lambda: None,
        "sound": lambda: responder,
        "checked": lambda: responder,
        "vouching for himself": lambda: responder,
        "about another": lambda: responder,
        "stranger": lambda: pki.responder(authorities["other"]),
        "neighbour": lambda: pki.responder(authorities["unit"]),
        "superior": lambda: pki.responder(authorities["root"]),
        "unpurposed": lambda: pki.signer(ca, "No Responder", extensions=no_check),
        "otherwise purposed": lambda: pki.unit(ca, "No Responder", extensions=no_check),
        "ended": lambda: pki.responder(ca, not_after=CHECKED - DAY),
        "ending": lambda: pki.responder(ca, not_after=CHECKED + 12 * HOUR),
    }
    by = makers[story.ocsp or ""]()
    about, above = signer, ca
    if story.ocsp == "about another":
        about, above = pki.signer(authorities["unit"], serial=signer.serial), authorities["unit"]
    answers: list[Crl | Ocsp] = []
    for time in story.status:
        answers.append(pki.ocsp(about, above, by, **{"this_update": time, **story.ocsp_answer}))
        if story.ocsp == "vouching for himself":
            answers.append(pki.ocsp(responder, ca, responder, this_update=time))
    return answers


# Evidence, as a reader makes it.

DOCUMENT = b"what was signed"


def plain(world: World) -> Evidence:
    """The evidence of a format that does not exist."""
    story = world.story
    signed = b"signed attributes, among them the digest of: " + DOCUMENT
    value = world.signer.sign(DOCUMENT if story.bare else signed)
    made: dict[str, Any] = {
        "id": identify(value),
        "form": Form.CADES,
        "level": _level(story),
        "value": value,
        "signed": Digest.of("sha256", DOCUMENT) if story.bare else signed,
        "algorithm": world.signer.algorithm,
        "signer": world.signer.certificate,
        "signer_reference": SignerReference(1, digest_matches=True, issuer_serial_matches=True, digest_algorithm="sha256"),
        "references": (Reference("document", found=True, intact=True, digest=Digest.of("sha256", DOCUMENT)),),
        "claims": Claims(time=story.claimed),
    }
    signature = Signature(**{**made, **story.signature})
    stamps = [_stamp(world.unit, t, StampKind.CONTENT, [identify(DOCUMENT)], of=signature.id) for t in story.content_stamped]
    first = world.second if story.archived_material else world.unit
    stamps += [replace(_stamp(first, t, StampKind.SIGNATURE, [signature.id], of=signature.id), **story.stamp) for t in story.stamped]
    material: list[Id] = [signature.id, *(c.id for c in world.certs), *(x.id for x in world.carried)]
    stamps += [_stamp(world.unit, t, StampKind.ARCHIVE, material[1:], of=signature.id) for t in story.archived_material]
    for unit, times in ((world.unit, story.archived), (world.second, story.renewed)):
        for time in times:
            covers = [*material, *(s.token.id for s in stamps)]
            stamps.append(_stamp(unit, time, StampKind.ARCHIVE, covers, of=signature.id))
    records: tuple[Record, ...] = ()
    if story.recorded:
        covers = [*material, *(s.token.id for s in stamps)]
        tokens = [_stamp(world.unit if t < LATER else world.second, t, StampKind.EVIDENCE_RECORD, covers) for t in story.recorded]
        stamps += tokens
        sound = Record(
            identify(b"record"),
            "RFC4998",
            intact=True,
            references=(Reference("document", found=True, intact=True),),
            tokens=tuple(s.token.id for s in tokens),
            covers=frozenset(covers),
        )
        records = (replace(sound, **story.record),)
    evidence = Evidence(
        "CMS",
        (signature,),
        tuple(stamps),
        records,
        world.certs,
        frozenset(x for x in world.carried if isinstance(x, Crl)),
        frozenset(x for x in world.carried if isinstance(x, Ocsp)),
    )
    return replace(evidence, **story.evidence)


def _level(story: Story) -> str:
    if not story.stamped:
        return "CAdES-BASELINE-B"
    if not (story.status and story.list_signer) and not story.ocsp:
        return "CAdES-BASELINE-T"
    return "CAdES-BASELINE-LTA" if story.archived or story.renewed else "CAdES-BASELINE-LT"


def _stamp(unit: Party, when: datetime, kind: StampKind, covers: Sequence[Id], of: Id | None = None) -> Stamp:
    signed = f"TSTInfo of {when.isoformat()} {kind} {len(covers)}".encode()
    value = unit.sign(signed)
    imprint = Digest.of("sha256", b"".join(sorted(covers)))
    signature = Signature(
        identify(value),
        Form.TOKEN,
        "RFC3161",
        value,
        signed,
        unit.algorithm,
        unit.certificate,
        SignerReference(1, digest_matches=True, digest_algorithm="sha256"),
        (Reference("TSTInfo", found=True, intact=True, digest=Digest.of("sha256", signed)),),
    )
    token = Token(value, identify(value), when, 1_000_000, False, pki.TSA_POLICY, 1, None, imprint, signature, (unit.certificate, *unit.chain))
    return Stamp(token, kind, True, frozenset(covers), of)


def sealed(name: str) -> Callable[[World], Evidence]:
    """Made by our sealer, and read: real bytes."""

    def told(world: World) -> Evidence:
        from eseal import levels
        from tests import sealing
        from verifier.read import read

        story = world.story
        level = story.level
        clock = iter((*story.stamped, *story.archived))
        status = Status(
            tuple(x for x in world.carried if isinstance(x, Crl)),
            tuple(x for x in world.carried if isinstance(x, Ocsp)),
            tuple(world.certs),
        )
        means = levels.Means(
            key=world.signer,
            stamp=lambda imprint: pki.token(world.unit, imprint, next(clock)),
            status=lambda chain: status,
            now=story.claimed or SIGNED,
        )
        document = Document.of(sealing.blank_pdf() if name == "pades" else DOCUMENT, "document")
        asked = spec.Spec(spec.Format(name), level, spec.packagings(spec.Format(name))[0])
        sealer = importlib.import_module(f"eseal.formats.{name}")
        made = sealing.whole(document, sealer.seal(document, asked, means))
        return read(Document.of(made, "sealed"), (document,))

    return told


FORMATS: dict[str, Callable[[World], Evidence]] = {"plain": plain, "cades": sealed("cades"), "pades": sealed("pades")}


def fatal(why: str) -> tuple[Defect, ...]:
    return (Defect("the format's clause", why),)


def _weak(digest: str) -> dict[str, Any]:
    return {"digest": digest}


_REFERENCE = Reference("document", found=True, intact=True, digest=Digest.of("sha256", DOCUMENT))
_RENEWAL: dict[str, Any] = {"renewed": (RENEWED,), "status": (CHECKED, RENEWED - HOUR), "at": DECADES}
_RSA_DONE: dict[str, Any] = {"at": RENEWED}
_B: dict[str, Any] = {"stamped": (), "archived": ()}
_T: dict[str, Any] = {"archived": ()}
_SHA1_ANSWER: dict[str, Any] = {"ocsp": "issuer", "ocsp_answer": {"this_update": CHECKED + HOUR, "digest": "sha1"}, "at": CHECKED + 2 * HOUR}

STORIES: tuple[Story, ...] = (
    # What is sound.
    Story("sound", "5.6.3", None),
    Story("sound -B, status given", "5.3", None, **_B, status=(), given=(CHECKED,)),
    Story("sound -T, status given", "5.5", None, **_T, status=(), given=(CHECKED,)),
    Story("sound -LT", "5.5", None, **_T),
    Story("sound -LT, signer expired since", "5.5.4 step 4 d)", None, **_T, at=LATER),
    Story("sound -LTA, signer expired since", "5.5.4 step 4 d)", None, at=LATER),
    Story("renewed before the first unit expired", "5.6.3.4 step 5", None, **_RENEWAL),
    Story("not renewed", "5.6.3.4 step 7", Sub.OUT_OF_BOUNDS_NOT_REVOKED, at=DECADES),
    Story("-LT after its unit expired", "5.5.4 step 4 d)", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=DECADES),
    Story("status by OCSP of the issuer", "RFC 6960 4.2.2.2", None, ocsp="issuer", list_signer=True),
    Story("status by OCSP of a delegate", "RFC 6960 4.2.2.2", None, **_B, ocsp="sound", at=CHECKED + HOUR),
    Story("with an evidence record", "5.6.3.4 step 1", None, archived=(), recorded=(ARCHIVED,)),
    Story(
        "an evidence record outlives everything",
        "5.6.3.4 step 1",
        None,
        archived=(),
        recorded=(ARCHIVED, RENEWED),
        **{k: v for k, v in _RENEWAL.items() if k != "renewed"},
    ),
    # 5.2.2 and 5.2.3
    Story("format defect", "5.2.2", Sub.FORMAT_FAILURE, signature={"defects": fatal("two contents")}),
    Story("format defect of the file", "5.2.2", Sub.FORMAT_FAILURE, evidence={"defects": fatal("two mimetypes")}),
    Story("format oddity", "5.2.2", None, signature={"defects": (Defect("clause", "odd", fatal=False),)}),
    Story(
        "what its format refuses",
        "5.2.8",
        Sub.SIG_CONSTRAINTS_FAILURE,
        signature={"defects": (Defect("clause", "two readings", fatal=False, refused=True),)},
        policy="eu",
    ),
    Story("no signer", "5.2.3", Sub.NO_SIGNING_CERTIFICATE_FOUND, signature={"signer": None}),
    Story(
        "the reference is to another certificate",
        "5.2.3",
        Sub.NO_SIGNING_CERTIFICATE_FOUND,
        signature={"signer_reference": SignerReference(1, digest_matches=False)},
    ),
    Story("a reference that is none", "5.2.3", Sub.NO_SIGNING_CERTIFICATE_FOUND, signature={"signer_reference": SignerReference(1)}),
    Story(
        "issuer and serial of another",
        "5.2.3 step 3",
        None,
        signature={"signer_reference": SignerReference(1, digest_matches=True, issuer_serial_matches=False)},
    ),
    Story("format defect that breaks the value", "5.2.7", Sub.SIG_CRYPTO_FAILURE, signature={"defects": fatal("odd"), "value": b"0" * 70}),
    Story(
        "format defect, and the document is not there",
        "5.2.2",
        Sub.FORMAT_FAILURE,
        signature={"defects": fatal("odd"), "value": b"0" * 70, "references": (replace(_REFERENCE, found=False, intact=False),)},
    ),
    # 5.2.6: the chain
    Story("no anchor", "5.2.6", Sub.NO_CERTIFICATE_CHAIN_FOUND, stranger=True),
    Story("the issuer is no authority", "RFC 5280 6.1.4 (k)", Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE, authority={"ca": False}),
    Story("the issuer is no authority, long ago", "RFC 5280 6.1.4 (k)", Sub.OUT_OF_BOUNDS_NOT_REVOKED, authority={"ca": False}, **_RENEWAL),
    Story(
        "the issuer may not sign certificates", "RFC 5280 6.1.4 (n)", Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE, authority={"key_usage": ("crl_sign",)}
    ),
    Story("the root allows no authority below it", "RFC 5280 6.1.4 (m)", Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE, root={"path_length": 0}),
    Story("unknown critical extension", "RFC 5280 6.1.5 (f)", Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE, signer={"extensions": (UNKNOWN_CRITICAL,)}),
    Story(
        "unknown critical extension, eu",
        "RFC 5280 6.1.5 (f)",
        Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        policy="eu",
        signer={"extensions": (UNKNOWN_CRITICAL,)},
    ),
    Story(
        "unknown critical extension of the issuer",
        "RFC 5280 6.1.5 (f)",
        Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        authority={"extensions": (UNKNOWN_CRITICAL,)},
    ),
    Story(
        "a name outside its authority's",
        "RFC 5280 4.2.1.10",
        Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        authority={"extensions": ((x509.NameConstraints([x509.DirectoryName(pki.name_of("x", "Somebody Else"))], None), True),)},
    ),
    Story("a key for encipherment", "RFC 5280 4.2.1.3", Sub.CHAIN_CONSTRAINTS_FAILURE, signer={"key_usage": ("key_encipherment",)}),
    Story("a key for encipherment, eu", "RFC 5280 4.2.1.3", None, policy="eu", signer={"key_usage": ("key_encipherment",)}),
    Story(
        "a signer with a responder's no-check",
        "RFC 6960 4.2.2.2.1",
        Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        signer={"extensions": ((x509.OCSPNoCheck(), False),)},
    ),
    Story(
        "signed before the certificate began",
        "5.5.4 step 4",
        Sub.NOT_YET_VALID,
        claimed=SIGNED + 20 * DAY,
        signer={"not_before": SIGNED + 10 * DAY},
        status=(SIGNED + 20 * DAY,),
        archived=(),
        at=SIGNED + 21 * DAY,
    ),
    Story(
        "stamped after the certificate ended",
        "5.5.4 step 4 d)",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        claimed=SIGNED - 20 * DAY,
        signer={"not_after": SIGNED - 10 * DAY},
        status=(SIGNED - 15 * DAY,),
        archived=(),
    ),
    Story(
        "stamped after the certificate ended, archived",
        "5.6.2.4 step 3",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        claimed=SIGNED - 20 * DAY,
        signer={"not_after": SIGNED - 10 * DAY},
        status=(SIGNED - 15 * DAY,),
        policy="eu",
    ),
    Story(
        "the authority expired before signing",
        "RFC 5280 6.1.3 (a) (2)",
        Sub.OUT_OF_BOUNDS_NO_POE,
        authority={"not_after": SIGNED - DAY},
        policy="eu",
        status=(SIGNED - 2 * DAY,),
    ),
    Story("the authority expired since, archived in time", "5.6.2.1", None, authority={"not_after": LATER - DAY}, at=LATER),
    Story(
        "the authority expired since, not archived", "5.5.4 step 4 b)", Sub.OUT_OF_BOUNDS_NO_POE, **_T, authority={"not_after": LATER - DAY}, at=LATER
    ),
    Story(
        "the certificate is signed by somebody else",
        "RFC 5280 6.1.3 (a) (1)",
        Sub.NO_CERTIFICATE_CHAIN_FOUND,
        signer={"signed_by": pki.private_key("p256")},
    ),
    Story(
        "the authority expired, the signer not",
        "RFC 5280 6.1.3 (a) (2)",
        Sub.OUT_OF_BOUNDS_NO_POE,
        **_T,
        ocsp="sound",
        list_signer=False,
        authority={"not_after": ENDED - 300 * DAY},
        at=ENDED - 30 * DAY,
    ),
    # 5.2.6: status
    Story("no status of the signer", "5.2.6", Sub.TRY_LATER, list_signer=False, unit={}),
    Story("no status of the authority", "5.2.6", Sub.TRY_LATER, list_authority=False),
    Story("no status of the authority, eu", "5.2.6", Sub.TRY_LATER, list_authority=False, policy="eu"),
    Story("status older than the signature", "5.2.5", Sub.TRY_LATER, status=(SIGNED - 60 * DAY,)),
    Story("status older than the signature, eu", "5.2.5", None, status=(SIGNED - 60 * DAY,), policy="eu"),
    Story("status older than the signature, fresh status given", "5.2.5", Sub.SIG_CONSTRAINTS_FAILURE, status=(SIGNED - 60 * DAY,), given=(CHECKED,)),
    Story("status older than the certificate", "5.2.6", Sub.TRY_LATER, status=(ISSUED - DAY,), policy="eu"),
    Story("revoked before signing", "5.5.4 step 4 a)", Sub.REVOKED_NO_POE, revoked={"signer": SIGNED - DAY}),
    Story("revoked before signing, archived and renewed", "5.6.2.2", Sub.REVOKED_NO_POE, revoked={"signer": SIGNED - DAY}, **_RENEWAL),
    Story("revoked between signing and stamping", "5.5.4 step 4 a)", Sub.REVOKED_NO_POE, revoked={"signer": SIGNED + timedelta(seconds=30)}),
    Story("revoked after stamping", "5.5.4 step 4 a)", None, revoked={"signer": STAMPED + HOUR}),
    Story("revoked after stamping, expired since", "5.5.4 step 4 a)", None, revoked={"signer": STAMPED + HOUR}, at=LATER),
    Story("revoked after stamping, renewed", "5.6.2.4 step 3", None, revoked={"signer": STAMPED + HOUR}, **_RENEWAL),
    Story("revoked, never stamped", "5.2.6", Sub.REVOKED_NO_POE, **_B, revoked={"signer": STAMPED + HOUR}),
    Story("suspended before signing", "5.5.4 step 7", Sub.TRY_LATER, revoked={"signer": (SIGNED - DAY, HELD)}),
    Story("suspended after stamping", "5.5.4 step 7", None, revoked={"signer": (STAMPED + HOUR, HELD)}),
    Story("the authority revoked before signing", "5.2.6", Sub.REVOKED_CA_NO_POE, revoked={"ca": SIGNED - DAY}, stamp_stranger=True),
    Story(
        "revoked, and the entry dropped after expiry",
        "5.2.6",
        Sub.TRY_LATER,
        revoked={"signer": SIGNED - DAY},
        dropped=ENDED,
        at=LATER,
        status=(LATER - DAY,),
        list_authority=True,
    ),
    Story(
        "suspended before signing, and the entry dropped after expiry",
        "5.2.6",
        Sub.TRY_LATER,
        revoked={"signer": (SIGNED - DAY, HELD)},
        dropped=ENDED,
        at=LATER,
        status=(CHECKED, LATER - DAY),
    ),
    Story(
        "revoked after stamping, told only after expiry by lists that do not say what they keep",
        "5.2.6",
        Sub.TRY_LATER,
        revoked={"signer": STAMPED + HOUR},
        at=LATER,
        status=(LATER - DAY,),
    ),
    Story(
        "revoked before stamping, told only after expiry",
        "5.2.6",
        Sub.REVOKED_NO_POE,
        revoked={"signer": SIGNED - DAY},
        told_from=ENDED,
        at=LATER,
        status=(CHECKED, LATER - DAY),
    ),
    Story("a content stamp after the revocation", "5.3.4 step 4", Sub.REVOKED, content_stamped=(SIGNED,), revoked={"signer": SIGNED - DAY}),
    Story(
        "a content stamp after the end",
        "5.3.4 step 4",
        Sub.EXPIRED,
        content_stamped=(SIGNED,),
        claimed=SIGNED - 20 * DAY,
        signer={"not_after": SIGNED - 10 * DAY},
        status=(SIGNED - 15 * DAY, CHECKED),
        policy="eu",
    ),
    Story("OCSP by a stranger", "RFC 6960 4.2.2.2", Sub.TRY_LATER, list_signer=False, ocsp="stranger"),
    Story("OCSP by somebody whom nobody made a responder", "RFC 6960 4.2.2.2", Sub.TRY_LATER, list_signer=False, ocsp="unpurposed", policy="eu"),
    Story("OCSP by a responder whose certificate had ended", "5.2.6", Sub.TRY_LATER, list_signer=False, ocsp="ended", policy="eu"),
    Story(
        "OCSP: unknown",
        "RFC 6960 2.2",
        Sub.TRY_LATER,
        list_signer=False,
        ocsp="issuer",
        policy="eu",
        ocsp_answer={"status": pki.x509_ocsp.OCSPCertStatus.UNKNOWN},
    ),
    Story("OCSP: revoked, though the list says nothing yet", "5.2.6", Sub.REVOKED_NO_POE, ocsp="issuer", ocsp_answer={"revoked_at": SIGNED - DAY}),
    Story("OCSP by a responder whose own status nobody tells", "5.2.6", Sub.TRY_LATER, list_signer=False, ocsp="checked", policy="eu"),
    Story(
        "no status of the authority, though the responder needs none",
        "5.2.6",
        Sub.TRY_LATER,
        policy="eu",
        ocsp="sound",
        list_signer=False,
        list_authority=False,
    ),
    Story(
        "no status, and the signer has his authority's name",
        "5.2.6",
        Sub.TRY_LATER,
        list_signer=False,
        signer={"subject": pki.name_of("Example Issuing CA"), "key_identifiers": False},
    ),
    Story("the responder's certificate ended since", "5.2.6", Sub.REVOCATION_OUT_OF_BOUNDS_NO_POE, **_T, ocsp="ending", list_signer=False),
    Story("the responder's certificate ended since, archived before", "5.6.2.4 step 1", None, ocsp="ending", list_signer=False),
    Story(
        "the responder's certificate ended since, archived after",
        "5.6.2.4 step 1",
        Sub.REVOCATION_OUT_OF_BOUNDS_NO_POE,
        ocsp="ending",
        list_signer=False,
        archived=(CHECKED + 18 * HOUR,),
    ),
    Story(
        "the responder's certificate ended since, beside an older list",
        "5.2.6",
        None,
        **_T,
        ocsp="ending",
        ocsp_answer={"this_update": CHECKED + HOUR},
    ),
    Story(
        "revoked, as told by a responder whose certificate ended since",
        "5.2.6",
        Sub.REVOKED_NO_POE,
        **_T,
        ocsp="ending",
        ocsp_answer={"this_update": CHECKED - HOUR, "revoked_at": SIGNED - DAY},
    ),
    Story(
        "suspended, as told by a responder whose certificate ended since",
        "5.2.6",
        Sub.TRY_LATER,
        **_T,
        ocsp="ending",
        ocsp_answer={"this_update": CHECKED + HOUR, "revoked_at": SIGNED - DAY, "reason": HELD},
    ),
    Story(
        "an older list suffices for nothing that was suspended since",
        "5.2.6",
        Sub.REVOCATION_OUT_OF_BOUNDS_NO_POE,
        **_T,
        status=(CHECKED - 2 * HOUR, CHECKED),
        told_from=CHECKED - HOUR,
        revoked={"signer": (SIGNED - DAY, HELD)},
        ocsp="ending",
        ocsp_answer={"this_update": CHECKED + HOUR},
    ),
    Story("status by a weak algorithm", "5.2.8.4", Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, **_B, list_signer=False, **_SHA1_ANSWER),
    Story("status by a weak algorithm, beside an older list", "5.2.8.4", None, **_B, **_SHA1_ANSWER),
    Story(
        "a later list takes no revocation back",
        "RFC 5280 5.3.1",
        Sub.REVOKED_NO_POE,
        ocsp="issuer",
        ocsp_answer={"revoked_at": SIGNED - DAY, "this_update": CHECKED - HOUR},
    ),
    Story(
        "OCSP by a responder who vouches for himself",
        "RFC 6960 4.2.2.2.1",
        Sub.TRY_LATER,
        policy="eu",
        list_signer=False,
        ocsp="vouching for himself",
    ),
    Story("OCSP by a responder of the authority above", "RFC 6960 4.2.2.2", Sub.TRY_LATER, list_signer=False, ocsp="superior"),
    Story("OCSP by a responder of the authority above, eu", "RFC 6960 4.2.2.2", None, list_signer=False, ocsp="superior", policy="eu"),
    Story("OCSP by a responder of the authority beside", "RFC 6960 4.2.2.2", Sub.TRY_LATER, list_signer=False, ocsp="neighbour", policy="eu"),
    Story(
        "OCSP by somebody certified for something else", "RFC 6960 4.2.2.2", Sub.TRY_LATER, list_signer=False, ocsp="otherwise purposed", policy="eu"
    ),
    Story("OCSP about a certificate of another authority", "RFC 6960 4.1.1", Sub.TRY_LATER, list_signer=False, ocsp="about another", policy="eu"),
    Story(
        "OCSP with somebody else's signature",
        "RFC 6960 3.2",
        Sub.TRY_LATER,
        list_signer=False,
        ocsp="sound",
        policy="eu",
        ocsp_answer={"signed_by": pki.private_key("p256")},
    ),
    Story(
        "a revoked responder's word counts for nothing",
        "RFC 6960 4.2.2.2.1",
        None,
        ocsp="checked",
        ocsp_answer={"revoked_at": SIGNED - DAY},
        revoked={"responder": SIGNED - 2 * DAY},
    ),
    Story("a list with somebody else's signature", "RFC 5280 6.3.3 (g)", Sub.TRY_LATER, policy="eu", lists={"signed_by": pki.private_key("p256")}),
    Story("an authority that may not sign lists", "RFC 5280 6.3.3 (f)", Sub.TRY_LATER, policy="eu", authority={"key_usage": ("key_cert_sign",)}),
    Story("only the signer's status is older than the signature", "5.6.2.4 step 5", Sub.TRY_LATER, lists={"this_update": SIGNED - 60 * DAY}),
    Story("the authority revoked since, renewed", "5.6.2.4 step 3", None, **_RENEWAL, given=(RENEWED + 3 * DAY,), revoked={"ca": LATER}),
    Story(
        "the authority revoked before its status was proved",
        "5.6.2.4 step 3 a)",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        archived=(),
        **_RENEWAL,
        given=(RENEWED + 3 * DAY,),
        revoked={"ca": LATER},
    ),
    Story("the authority revoked before signing, renewed", "5.6.2.2", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_RENEWAL, revoked={"ca": SIGNED - DAY}),
    Story(
        "revoked before signing, as an authority tells that was itself revoked by then",
        "5.6.2.4 step 3",
        Sub.REVOKED_NO_POE,
        **_RENEWAL,
        revoked={"ca": LATER, "signer": SIGNED - DAY},
        told_from=LATER,
    ),
    Story(
        "signed before the certificate began, renewed",
        "5.6.2.4 step 3",
        Sub.NOT_YET_VALID,
        claimed=SIGNED + 11 * DAY,
        signer={"not_before": SIGNED + 10 * DAY},
        archived=(),
        **{**_RENEWAL, "status": (SIGNED + 20 * DAY, RENEWED - HOUR)},
    ),
    # 5.2.7
    Story(
        "the document is not there", "5.2.7", Sub.SIGNED_DATA_NOT_FOUND, signature={"references": (replace(_REFERENCE, found=False, intact=False),)}
    ),
    Story("the document was changed", "5.2.7", Sub.HASH_FAILURE, signature={"references": (replace(_REFERENCE, intact=False),)}),
    Story("nothing is signed by the signature", "5.2.7", Sub.SIGNED_DATA_NOT_FOUND, signature={"references": ()}),
    Story("the value is another's", "5.2.7", Sub.SIG_CRYPTO_FAILURE, signature={"value": b"0" * 70}),
    Story("the algorithm is unknown", "5.2.7", Sub.SIG_CRYPTO_FAILURE, signature={"algorithm": None}),
    Story("the algorithm is not the key's", "5.2.7", Sub.SIG_CRYPTO_FAILURE, signature={"algorithm": Algorithm("rsa-pkcs1", "sha256")}),
    Story("changed, and no anchor", "5.3.4 step 5", Sub.HASH_FAILURE, stranger=True, signature={"references": (replace(_REFERENCE, intact=False),)}),
    # 5.2.8
    Story("no reference to the certificate", "5.2.8", Sub.SIG_CONSTRAINTS_FAILURE, signature={"signer_reference": SignerReference(0)}),
    Story("no reference to the certificate, eu", "5.2.8", None, policy="eu", signature={"signer_reference": SignerReference(0)}),
    Story(
        "two references to the certificate",
        "RFC 5035 3",
        Sub.SIG_CONSTRAINTS_FAILURE,
        policy="eu",
        signature={"signer_reference": SignerReference(2, digest_matches=True)},
    ),
    Story("no signing time", "5.2.8", Sub.SIG_CONSTRAINTS_FAILURE, claimed=None),
    Story("a signing time outside of the certificate", "5.2.8", Sub.SIG_CONSTRAINTS_FAILURE, claimed=ISSUED - DAY),
    Story("a signing time outside of the certificate, signer expired", "5.5.4 step 9", Sub.SIG_CONSTRAINTS_FAILURE, claimed=ISSUED - DAY, at=LATER),
    Story("the same, archived and renewed", "5.6.3.4 step 9", Sub.SIG_CONSTRAINTS_FAILURE, claimed=ISSUED - DAY, **_RENEWAL),
    Story("no signed attributes", "5.2.8", Sub.SIG_CRYPTO_FAILURE, signature={"signed": Digest.of("sha256", b"something else")}),
    Story("SHA-1 in the signature", "TS 119 312", Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, signature={"mechanisms": ("sha1",)}),
    Story("SHA-1 in the signer's certificate", "TS 119 312", Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, signature={}, signer={"digest": "sha1"}),
    Story("SHA-1 in the status", "TS 119 312", Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, lists=_weak("sha1")),
    Story("RSA of 1024 bits", "TS 119 312", Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, signer={"key": "rsa1024"}),
    Story("Ed25519", "policy", None, signer={"key": "ed25519"}),
    Story("ML-DSA-65", "policy", None, signer={"key": "ml-dsa-65"}),
    Story("Ed25519 is not in the catalogue of TS 119 312", "policy", Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, policy="eu", signer={"key": "ed25519"}),
    Story("no attributes at all", "5.2.8", Sub.SIG_CONSTRAINTS_FAILURE, bare=True),
    # RSA PKCS#1 v1.5 ends with 2028 in the strict timetable.
    Story("RSA after its end, stamped before", "5.5.4 step 4 c)", None, **_T, **_RSA_DONE, signer={"key": "rsa3072", "not_after": DECADES}),
    Story(
        "RSA after its end, never stamped",
        "5.2.8.4",
        Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        **_B,
        **_RSA_DONE,
        signer={"key": "rsa3072", "not_after": DECADES},
        given=(RENEWED - HOUR,),
    ),
    Story("an RSA authority after its end, archived before", "5.6.2.4 step 4", None, authority={"key": "rsa3072"}, **_RSA_DONE),
    Story(
        "an RSA authority after its end, stamped only",
        "5.5.4 step 10",
        Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        **_T,
        **_RSA_DONE,
        authority={"key": "rsa3072"},
        signer={"not_after": DECADES},
    ),
    Story(
        "an RSA authority after its end, archived after",
        "5.6.2.4 step 4",
        Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        authority={"key": "rsa3072"},
        signer={"not_after": DECADES},
        archived=(),
        renewed=(RENEWED - DAY,),
        **_RSA_DONE,
    ),
    Story(
        "an RSA unit after its end, renewed before",
        "5.6.3.4 step 5 c) ii",
        None,
        unit={"key": "rsa3072"},
        renewed=(LATER + DAY,),
        **{**_RSA_DONE, "status": (CHECKED, LATER)},
    ),
    Story(
        "an RSA unit after its end, renewed after",
        "5.6.3.4 step 5 c) ii",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        unit={"key": "rsa3072"},
        renewed=(RENEWED - DAY,),
        **_RSA_DONE,
    ),
    Story(
        "RSA after its end, eu",
        "TS 119 312",
        None,
        **_B,
        **_RSA_DONE,
        signer={"key": "rsa3072", "not_after": DECADES},
        given=(RENEWED - HOUR,),
        policy="eu",
    ),
    Story(
        "an RSA authority after its end, its signer stamped after",
        "5.6.2.2 step 2 d)",
        Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        authority={"key": "rsa3072"},
        signer={"not_after": DECADES - DAY},
        archived=(),
        unit={"not_after": datetime(2040, 1, 1, tzinfo=UTC)},
        archived_material=(ARCHIVED,),
        stamped=(RENEWED,),
        at=DECADES,
        policy='name = "own"\n[status]\nfreshness = "ignore"\n',
    ),
    # 5.4: stamps
    Story(
        "the stamp's imprint does not match",
        "5.5.4 step 3 a)",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        **_T,
        at=LATER,
        stamp={"intact": False, "covers": frozenset()},
    ),
    Story("the unit is of another root", "5.4", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, stamp_stranger=True),
    Story("the unit is no unit", "RFC 3161 2.3", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, unit={"purposes": ()}),
    Story("the unit's purpose is not critical", "RFC 3161 2.3", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, unit={"purposes_critical": False}),
    Story("the unit is an authority", "RFC 3161 2.3", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, unit={"ca": True}),
    Story("the unit revoked for compromise", "5.4", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, revoked={"unit": (STAMPED + HOUR, COMPROMISED)}),
    Story(
        "the unit was not valid when it stamped", "RFC 3161 2.2", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, unit={"not_before": CHECKED - HOUR}
    ),
    Story("a stamp that is not valid takes nothing away", "5.5.4 step 3", None, **_T, stamp_stranger=True, at=CHECKED + HOUR),
    Story(
        "the unit revoked after the archive was renewed",
        "5.6.2.4 step 3",
        None,
        **_RENEWAL,
        given=(RENEWED + 3 * DAY,),
        revoked={"unit": (RENEWED + DAY, COMPROMISED)},
    ),
    Story(
        "the unit revoked before the archive was renewed",
        "5.6.2.2 step 2 b)",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        **_RENEWAL,
        given=(RENEWED + 3 * DAY,),
        revoked={"unit": (RENEWED - DAY, COMPROMISED)},
    ),
    Story("the unit is no unit, eu", "RFC 3161 2.3", Sub.OUT_OF_BOUNDS_NOT_REVOKED, **_T, at=LATER, unit={"purposes": ()}, policy="eu"),
    Story(
        "the unit's certificate had ended when it stamped",
        "RFC 3161 2.2",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        **_T,
        at=LATER,
        unit={"not_after": SIGNED - DAY},
        status=(SIGNED - 2 * DAY, CHECKED),
    ),
    Story(
        "the stamp is another signature's",
        "5.5.4 step 3 a)",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        **_T,
        at=LATER,
        stamp={"covers": frozenset({identify(b"another")})},
    ),
    Story(
        "two stamps, one after the end of the certificate",
        "5.5.4 step 3 b)",
        None,
        archived=(),
        stamped=(STAMPED + 10 * DAY, STAMPED),
        signer={"not_after": STAMPED + 5 * DAY},
        at=STAMPED + 20 * DAY,
    ),
    Story(
        "two stamps of one second",
        "5.6.3.4 step 5 a)",
        None,
        stamped=(RENEWED,),
        archived=(),
        renewed=(RENEWED,),
        claimed=RENEWED - DAY,
        signer={"not_after": DECADES},
        status=(RENEWED - HOUR,),
        at=datetime(2031, 1, 1, tzinfo=UTC),
    ),
    # 5.5.4 step 4 e), 5
    Story("a content stamp younger than the signature's", "5.5.4 step 4 e)", Sub.TIMESTAMP_ORDER_FAILURE, content_stamped=(STAMPED + HOUR,)),
    Story("a content stamp younger by less than the accuracies", "RFC 3161 2.4.2", None, content_stamped=(STAMPED + timedelta(seconds=1),)),
    # 5.6: evidence records
    Story(
        "the record's data was changed",
        "5.6.3.4 step 1",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        archived=(),
        recorded=(ARCHIVED, RENEWED),
        record={"intact": False},
        **{k: v for k, v in _RENEWAL.items() if k != "renewed"},
    ),
    Story(
        "a token of the record is missing",
        "RFC 4998 5",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        archived=(),
        recorded=(ARCHIVED, RENEWED),
        record={"tokens": (identify(b"missing"),)},
        **{k: v for k, v in _RENEWAL.items() if k != "renewed"},
    ),
    Story("the record was not renewed", "5.6.3.4 step 1", Sub.OUT_OF_BOUNDS_NOT_REVOKED, archived=(), recorded=(ARCHIVED,), at=DECADES),
    Story(
        "data of the record is another",
        "5.6.3.4 step 1",
        Sub.OUT_OF_BOUNDS_NOT_REVOKED,
        archived=(),
        recorded=(ARCHIVED, RENEWED),
        record={"references": (Reference("document", found=True, intact=False),)},
        **{k: v for k, v in _RENEWAL.items() if k != "renewed"},
    ),
)
