"""Our own verifier on a machine that need have no instance, in a confined process of its own: for what a server elsewhere signed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from trust.edge.clock import now
from trust.edge.sandbox import Sandbox
from trust.model import Document
from verifier.assembly import Given
from verifier.service import Verifier

if TYPE_CHECKING:
    from verifier.report.parties import Json

T = TypeVar("T")
MEMORY, SECONDS = 8 << 30, 300.0
"""Limits of one job, in bytes and of processor time: the documents are the caller's own, and a PDF of 2 GB takes four times its size."""


class Bench:
    """`with Bench(…)`: the process ends with it."""

    def __init__(self, preload: Sequence[str]) -> None:
        """`preload`: modules that it needs, as trust.edge.sandbox.Sandbox has them."""
        self._sandbox = Sandbox(preload, memory_bytes=MEMORY, seconds=SECONDS, jobs=1)

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def run(self, target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[T]) -> T:
        """As trust.edge.sandbox.Sandbox.run."""
        return self._sandbox.run(target, *args, calls=calls, returns=returns)

    def examined(self, document: Document, detached: Sequence[Document] = (), known: Given | None = None) -> "Json":
        """The brief report, now, with what is `known` beside the document. Without it nobody is trusted, and what it tells is whether what is there
        is intact, and of which shape."""
        question = Verifier(now).question(document, detached)
        if known is not None:
            question = replace(question, anchors=known.anchors, certificates=known.certificates, crls=known.crls, ocsps=known.ocsps)
        return self._sandbox.run("verifier.service:brief", question, returns=dict)
