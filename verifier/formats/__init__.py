"""Readers: bytes to Evidence. A format is recognised from its bytes, never from its name.

A reader is a module with two functions; no base class, no registration:

    claims(head)                        whether the first bytes are of this format
    read(document, detached, certs)     the Evidence, or Malformed

`certs` are certificates given beside the document: candidates for signers and stamps whose certificate it does not carry
(`trust.codecs.cms.token` takes them too).
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from trust.model import Cert, Document, Evidence


class Reader(Protocol):
    def claims(self, head: bytes) -> bool: ...

    def read(self, document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence: ...
