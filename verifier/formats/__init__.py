"""Readers: bytes to Evidence. A format is recognised from its bytes, never from its name.

A reader is a module with two functions; no base class, no registration:

    claims(head)                 whether the first bytes are of this format
    read(document, detached)     the Evidence, or Malformed
"""

from collections.abc import Sequence
from typing import Protocol

from trust.model import Document, Evidence


class Reader(Protocol):
    def claims(self, head: bytes) -> bool: ...

    def read(self, document: Document, detached: Sequence[Document]) -> Evidence: ...
