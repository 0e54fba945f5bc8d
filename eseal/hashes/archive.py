"""Archive time-stamps of signatures over documents that are elsewhere: what they hash behind the documents, and the signature with one in it.

For the confined process, as eseal.drafting: plain values and callables only.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from eseal.draft import Draft
from eseal.extend import Tools
from eseal.extend_material import Known, Material
from eseal.spec import Format
from trust.model import Digest
from trust.ports import Stamper, StatusSource

MODULES: Mapping[Format, str] = MappingProxyType({Format.XADES: "eseal.formats.xades.extend", Format.JADES: "eseal.formats.jades_extend"})
"""Each has awaited(data) and archived(data, imprint, tools)."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """The digest that whoever has the documents computes: over their octets, in their order, and then over these."""

    digest: str
    then: bytes


def awaited(form: Format, data: bytes) -> Awaited:
    """Of a signature as eseal.formats made it. Unacceptable for one that hashes something before the documents."""
    digest, then = importlib.import_module(MODULES[form]).awaited(data)
    return Awaited(digest, then)


def archived(form: Format, data: bytes, imprint: Digest, now: datetime, *, stamp: Stamper, status: StatusSource) -> Draft:
    """With the archive time-stamp over `imprint`. Unavailable when the authority gives no token or there is no status for its chain."""
    made, stamps = importlib.import_module(MODULES[form]).archived(data, imprint, Tools(stamp, Material(Known(), status), now))
    return Draft((made,), b"", tuple(t.der for t in stamps))
