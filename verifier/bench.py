"""Our own verifier on a machine that need have no instance, in a confined process of its own: for what a server elsewhere signed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from trust.edge.clock import now
from trust.edge.sandbox import Sandbox
from trust.model import Document
from verifier.service import Verifier

if TYPE_CHECKING:
    from verifier.report.parties import Json

T = TypeVar("T")


class Bench:
    """`with Bench(…)`: the process ends with it."""

    def __init__(self, preload: Sequence[str]) -> None:
        """`preload`: modules that it needs, as trust.edge.sandbox.Sandbox has them."""
        self._sandbox = Sandbox(preload, jobs=1)

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def run(self, target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[T]) -> T:
        """As trust.edge.sandbox.Sandbox.run."""
        return self._sandbox.run(target, *args, calls=calls, returns=returns)

    def examined(self, document: Document, detached: Sequence[Document] = ()) -> "Json":
        """The brief report, now and trusting nobody: whether what is there is intact, and of which shape."""
        return self._sandbox.run("verifier.service:brief", Verifier(now).question(document, detached), returns=dict)
