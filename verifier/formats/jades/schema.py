"""The JSON schemas of JAdES (ETSI TS 119 182-1 annex B): types, members, and how many there must be, of header parameters and of elements of etsiU.

What has another shape is read by one program and skipped by another. Names that the schemas do not know are left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Fits = Callable[[object], bool]


def _text(value: object) -> bool:
    return isinstance(value, str)


def _word(value: object) -> bool:
    """A text that says something: URIs, digest names, base64."""
    return isinstance(value, str) and bool(value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _object(value: object) -> bool:
    return isinstance(value, dict)


def _anything(value: object) -> bool:  # noqa: ARG001
    return True


def _listed(of: Fits, least: int = 1) -> Fits:
    return lambda value: isinstance(value, list) and len(value) >= least and all(of(entry) for entry in value)


def _members(known: Mapping[str, Fits], needs: tuple[str, ...] = (), *, one_of: tuple[str, ...] = (), together: tuple[str, ...] = ()) -> Fits:
    """An object that has these members alone, and one at least; of `one_of` exactly one, of `together` none or all."""

    def fits(value: object) -> bool:
        if not isinstance(value, dict) or not value or not value.keys() <= known.keys():
            return False
        chosen = not one_of or sum(name in value for name in one_of) == 1
        whole = sum(name in value for name in together) in (0, len(together))
        return chosen and whole and all(name in value for name in needs) and all(known[name](inner) for name, inner in value.items())

    return fits


_NAMED: Final = _members({"id": _word, "desc": _text, "docRefs": _listed(_text)}, ("id",))
"""oId."""
_PKI: Final = _members({"encoding": _text, "specRef": _text, "val": _word}, ("val",))
"""pkiOb."""
_TOKEN: Final = _members({"type": _text, "encoding": _text, "specRef": _text, "val": _word}, ("val",))
_STAMP: Final = _members({"canonAlg": _word, "tstTokens": _listed(_TOKEN)}, ("tstTokens",))
"""tstContainer."""
_DIGEST: Final = {"digAlg": _word, "digVal": _word}
_CERT_DIGEST: Final = _members(_DIGEST, ("digAlg", "digVal"))
_QUALIFIED: Final = _listed(
    _members({"mediaType": _text, "encoding": _text, "qVals": _listed(_anything)}, ("mediaType", "encoding", "qVals")),
)
"""qArrays."""
_NOTICE: Final = _members(
    {
        "noticeRef": _members({"organization": _text, "noticeNumbers": _listed(_whole)}, ("organization", "noticeNumbers")),
        "explText": _text,
    }
)
_PLACE: Final = ("addressCountry", "addressLocality", "addressRegion", "postOfficeBoxNumber", "postalCode", "streetAddress")

HEADER: Final[Mapping[str, Fits]] = {
    **dict.fromkeys(("sigT", "kid", "typ", "cty", "x5u", "jku"), _text),
    "iat": _whole,
    "jwk": _object,
    "x5t#o": _CERT_DIGEST,
    "sigX5ts": _listed(_CERT_DIGEST, 2),
    "srCms": _listed(_members({"commId": _NAMED, "commQuals": _listed(_object)}, ("commId",))),
    "sigPl": _members(dict.fromkeys(_PLACE, _text)),
    "srAts": _members(
        {
            "certified": _listed(_members({"x509AttrCert": _PKI, "otherAttrCert": _PKI}, one_of=("x509AttrCert", "otherAttrCert"))),
            "claimed": _QUALIFIED,
            "signedAssertions": _QUALIFIED,
        }
    ),
    "adoTst": _STAMP,
    "sigPId": _members(
        {
            **_DIGEST,
            "id": _NAMED,
            "digPSp": _flag,
            "sigPQuals": _listed(
                _members({"spUserNotice": _NOTICE, "spURI": _word, "spDSpec": _NAMED}, one_of=("spUserNotice", "spURI", "spDSpec")),
            ),
        },
        ("id",),
        together=("digAlg", "digVal"),
    ),
    "sigD": _members({"mId": _word, "pars": _listed(_word), "hashM": _word, "hashV": _listed(_word), "ctys": _listed(_text)}, ("mId",)),
}
"""RFC 7515 section 4.1, RFC 7519 section 4.1.6, clauses 5.1 and 5.2."""

_X_VALS: Final = _listed(_members({"x509Cert": _PKI, "otherCert": _PKI}, one_of=("x509Cert", "otherCert")))
_R_VALS: Final = _members({"crlVals": _listed(_PKI), "ocspVals": _listed(_PKI), "otherVals": _listed(_object)})
_X_REFS: Final = _listed(_members({**_DIGEST, "kid": _text, "x5u": _text}, ("digAlg", "digVal")))
_CRL_ID: Final = _members({"issuer": _text, "issueTime": _text, "number": _number, "uri": _text}, ("issuer", "issueTime"))
_RESPONDER: Final = _members({"byName": _text, "byKey": _text}, one_of=("byName", "byKey"))
_OCSP_ID: Final = _members({"responderId": _RESPONDER, "producedAt": _text, "uri": _text}, ("responderId", "producedAt"))
_R_REFS: Final = _members(
    {
        "crlRefs": _listed(_members({**_DIGEST, "crlId": _CRL_ID}, ("digAlg", "digVal"))),
        "ocspRefs": _listed(_members({**_DIGEST, "ocspId": _OCSP_ID}, ("ocspId", "digAlg", "digVal"))),
        "otherRefs": _listed(_object),
    }
)

ELEMENTS: Final[Mapping[str, Fits]] = {
    **dict.fromkeys(("sigTst", "arcTst", "sigRTst", "rfsTst"), _STAMP),
    **dict.fromkeys(("xVals", "axVals"), _X_VALS),
    **dict.fromkeys(("rVals", "arVals"), _R_VALS),
    **dict.fromkeys(("tstVD", "anyValData"), _members({"xVals": _X_VALS, "rVals": _R_VALS})),
    **dict.fromkeys(("xRefs", "axRefs"), _X_REFS),
    **dict.fromkeys(("rRefs", "arRefs"), _R_REFS),
    "sigPSt": _members({"sigPolDoc": _word, "sigPolLocalURI": _word, "spDSpec": _NAMED}, one_of=("sigPolDoc", "sigPolLocalURI")),
    "cSig": lambda value: isinstance(value, str | dict) and bool(value),
}
"""Clause 5.3 and annex A.1."""


def misshapen(found: Mapping[str, Any], shapes: Mapping[str, Fits]) -> Iterator[str]:
    """Names of those that are not of their shape."""
    return (name for name, value in found.items() if name in shapes and not shapes[name](value))
