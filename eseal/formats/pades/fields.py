"""Which signature field a seal goes into, and what that field asks for (ISO 32000-1 clauses 12.7.4.5 and 12.8)."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, enumerate_sig_fields

from eseal.formats.pades.paper import MAX_FIELDS, content, dictionary, elements, entry
from eseal.levels import Means
from eseal.pdf_seal import Lock, PdfSeal, Scope
from eseal.spec import Level, Spec
from trust.errors import Unacceptable

MOST_NAMED = 10
"""Fields that an error lists."""
_SUBFILTER = "/ETSI.CAdES.detached"
_DIGESTS = {"sha256": "SHA256", "sha384": "SHA384", "sha512": "SHA512"}


@dataclass(frozen=True, slots=True)
class Target:
    """A field, new or empty, and the rules that go with its seal."""

    name: str
    is_new: bool
    widget: Any = None
    """Of a field that is there: its annotation."""
    lock: FieldMDPSpec | None = None
    permission: int | None = None
    """DocMDP, or with a lock the /P in it: what is allowed after this seal."""
    certify: bool = False


def chosen(reader: PdfFileReader, spec: Spec, means: Means, digest: str) -> Target:
    """Unacceptable for a field that is not there or signed, for what its seed values rule out, and for certifying what is signed already."""
    pdf = spec.pdf
    if pdf.field is None:
        name = _new_name(reader, pdf.new_field)
        target = Target(name, is_new=True, lock=_locking(reader, pdf.lock, name))
        field: Any = None
    else:
        field = _empty(reader, pdf.field)
        target = Target(pdf.field, is_new=False, widget=_widget(field), lock=_lock_of(reader, field, pdf))
    certify = pdf.certify.permission if pdf.certify is not None else None
    seeds = dictionary(field, "/SV")
    if seeds is not None:
        certify = _seeded(seeds, spec, means, digest, certify)
    if certify is not None and _is_signed(reader):
        raise Unacceptable("the PDF is signed already: only its first seal can certify it")
    locked = entry(dictionary(field, "/Lock"), "/P")
    permission = certify if certify is not None else int(locked) if locked in (1, 2, 3) else None
    return Target(target.name, target.is_new, target.widget, target.lock, permission, certify is not None)


def signature_fields(reader: PdfFileReader) -> Iterator[tuple[str, bool, Any]]:
    """Full name, whether signed, and the field."""
    for name, value, reference in itertools.islice(enumerate_sig_fields(reader), MAX_FIELDS):
        yield str(name), value is not None, reference.get_object()


def field_name(root: Any, stem: str) -> str:
    """The first of Seal1, Seal2, … that is free."""
    taken = {str(entry(field, "/T")) for field in elements(dictionary(root, "/AcroForm"), "/Fields")}
    return next(name for name in (f"{stem}{n}" for n in itertools.count(1)) if name not in taken)


def _new_name(reader: PdfFileReader, asked: str | None) -> str:
    if asked is None:
        return field_name(reader.root, "Seal")
    if any(str(entry(field, "/T")) == asked for field in elements(dictionary(reader.root, "/AcroForm"), "/Fields")):
        raise Unacceptable("the PDF has a field of the name that the new one should get")
    return asked


def _empty(reader: PdfFileReader, name: str) -> Any:
    there = list(signature_fields(reader))
    empty = [n for n, signed, _ in there if not signed]
    listed = ", ".join(_shown(n) for n in empty[:MOST_NAMED]) + (", …" if len(empty) > MOST_NAMED else "")
    offered = f"empty ones are: {listed}" if empty else "it has no empty signature field"
    for found, signed, field in there:
        if found == name:
            if signed:
                raise Unacceptable(f"the signature field of that name is signed already; {offered}")
            return field
    raise Unacceptable(f"the PDF has no signature field of that name; {offered}")


def _shown(name: str) -> str:
    """A stranger's name in one line; Japanese ones are not escaped."""
    return "".join(c if c.isprintable() else "?" for c in name[:40])


def _widget(field: Any) -> Any:
    kids = list(elements(field, "/Kids"))
    if "/Rect" not in field and len(kids) == 1 and isinstance(kids[0], generic.DictionaryObject):
        return kids[0]
    if "/Rect" not in field:
        raise Unacceptable("the signature field has no place of its own on a page, or several")
    return field


def _is_signed(reader: PdfFileReader) -> bool:
    return dictionary(dictionary(reader.root, "/Perms"), "/DocMDP") is not None or any(signed for _, signed, _ in signature_fields(reader))


def _locking(reader: PdfFileReader, lock: Lock | None, name: str) -> FieldMDPSpec | None:
    """All are named, those of the document and the seal's own `name`: /All would forbid the document time-stamps that come after it, too."""
    if lock is None:
        return None
    if lock.scope is Scope.THESE and (unknown := set(lock.fields) - {name, *_every_name(reader)}):
        raise Unacceptable(f"the PDF has no form field called {_shown(min(unknown))}, which is to be locked")
    if lock.scope is not Scope.ALL:
        return FieldMDPSpec(FieldMDPAction(f"/{lock.scope.value}"), list(lock.fields))
    there = [str(entry(field, "/T")) for field in elements(dictionary(reader.root, "/AcroForm"), "/Fields") if entry(field, "/T") is not None]
    return FieldMDPSpec(FieldMDPAction.INCLUDE, list(dict.fromkeys([*there, name])))


def _every_name(reader: PdfFileReader) -> Iterator[str]:
    """Full names of the form's fields (ISO 32000-1 clause 12.7.3.2), and of those that only hold others."""
    waiting = [("", field) for field in elements(dictionary(reader.root, "/AcroForm"), "/Fields")]
    for _ in range(MAX_FIELDS):
        if not waiting:
            return
        above, field = waiting.pop()
        own = entry(field, "/T")
        full = above if own is None else f"{above}.{own}" if above else str(own)
        if own is not None:
            yield full
        waiting += [(full, kid) for kid in elements(field, "/Kids")]


def _lock_of(reader: PdfFileReader, field: Any, pdf: PdfSeal) -> FieldMDPSpec | None:
    """ISO 32000-1 table 233: the field says what is locked when it is signed, and a seal cannot say otherwise."""
    stated = dictionary(field, "/Lock")
    if stated is None:
        return _locking(reader, pdf.lock, pdf.field or "")
    if pdf.lock is not None:
        raise Unacceptable("the signature field says itself what its seal locks")
    if entry(stated, "/Action") not in tuple(a.value for a in FieldMDPAction):
        raise Unacceptable("the signature field asks for a lock of a kind that is not known")
    return FieldMDPSpec(FieldMDPAction(str(entry(stated, "/Action"))), [str(n) for n in elements(stated, "/Fields")])


def _seeded(seeds: Any, spec: Spec, means: Means, digest: str, certify: int | None) -> int | None:
    """ISO 32000-1 table 234: what the document's author wants of the seal in this field. The permission for certifying, where it wants that."""
    flags = entry(seeds, "/Ff") or 0
    wishes = _Wishes(seeds, spec, digest)
    for bit, key, is_unmet, what in _BINDING:
        if int(flags) & bit and key in seeds and is_unmet(wishes):
            raise Unacceptable(f"the signature field asks for {what}")
    stamp = dictionary(seeds, "/TimeStamp")
    if entry(stamp, "/Ff") == 1 and spec.level is Level.B_B:
        raise Unacceptable("the signature field asks for a time-stamp: seal at B-T or above")
    _certified_by(dictionary(seeds, "/Cert"), means)
    wanted = entry(dictionary(seeds, "/MDP"), "/P")
    if wanted is None:
        return certify
    if wanted not in (0, 1, 2, 3):
        raise Unacceptable("the signature field asks for a certification of a kind that is not known")
    if certify is not None and certify != wanted:
        raise Unacceptable("the signature field asks for another kind of certification" if wanted else "the signature field is not for certifying")
    return int(wanted) or None


@dataclass(frozen=True, slots=True)
class _Wishes:
    """Seed values, and the seal that shall meet them."""

    seeds: Any
    spec: Spec
    digest: str

    def names(self, key: str) -> list[str]:
        return [str(v) for v in elements(self.seeds, key)]

    def one(self, key: str) -> Any:
        return entry(self.seeds, key)

    def no_filter(self) -> bool:
        return bool(self.one("/Filter") != "/Adobe.PPKLite")

    def no_encoding(self) -> bool:
        return _SUBFILTER not in self.names("/SubFilter")

    def later(self) -> bool:
        return bool((self.one("/V") or 0) > 3)

    def reasons(self) -> bool:
        """A list with a full stop alone, or an empty one, forbids any reason."""
        listed, said = self.names("/Reasons"), self.spec.claims.reason
        return said is not None if listed in ([], ["."]) else said not in listed

    def attested(self) -> bool:
        return True

    def revocation(self) -> bool:
        return bool(self.one("/AddRevInfo")) and self.spec.level not in {Level.B_LT, Level.B_LTA}

    def digests(self) -> bool:
        return _DIGESTS.get(self.digest) not in self.names("/DigestMethod")

    def locked(self) -> bool:
        return str(self.one("/LockDocument")) not in {"/false", "/auto"}


_BINDING: tuple[tuple[int, str, Callable[[_Wishes], bool], str], ...] = (
    (1 << 0, "/Filter", _Wishes.no_filter, "another signature handler"),
    (1 << 1, "/SubFilter", _Wishes.no_encoding, "another encoding than ETSI.CAdES.detached"),
    (1 << 2, "/V", _Wishes.later, "seed values of a later version"),
    (1 << 3, "/Reasons", _Wishes.reasons, "another reason, or none"),
    (1 << 4, "/LegalAttestation", _Wishes.attested, "a legal attestation, which a seal does not make"),
    (1 << 5, "/AddRevInfo", _Wishes.revocation, "revocation data: seal at B-LT or above"),
    (1 << 6, "/DigestMethod", _Wishes.digests, "another digest algorithm"),
    (1 << 7, "/LockDocument", _Wishes.locked, "the whole document to be locked, which certifying does"),
    (1 << 8, "/AppearanceFilter", _Wishes.attested, "a look by its name"),
)
"""Bit of /Ff, the entry that it makes binding, whether the seal falls short of it, and what is asked for."""


def _certified_by(cert: Any, means: Means) -> None:
    """ISO 32000-1 table 235: constraints on the certificate of the signer."""
    flags = int(entry(cert, "/Ff") or 0)
    if not flags:
        return
    certificate, chain = means.key.certificate, means.key.chain
    if flags & 1 and certificate.der not in _ders(cert, "/Subject"):
        raise Unacceptable("the signature field asks for the seal of another certificate")
    if flags & 2 and not {c.der for c in chain} & set(_ders(cert, "/Issuer")):
        raise Unacceptable("the signature field asks for a certificate of another issuer")
    if flags & ~3:
        raise Unacceptable("the signature field constrains the certificate in a way that is not known here")


def _ders(cert: Any, key: str) -> list[bytes]:
    """Byte strings, or streams with them."""
    found = []
    for item in elements(cert, key):
        data = content(item) if isinstance(item, generic.StreamObject) else getattr(item, "original_bytes", None)
        found.append(data if data is not None else b"")
    return found
