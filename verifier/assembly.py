"""The verifier as an instance's settings want it: strangers' documents are read in the confined process, and this authority's own lists are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from trust.errors import KakuinError
from trust.model import Cert, Crl, Document, Ocsp
from verifier import sources
from verifier.question import Question
from verifier.service import Verifier, finding

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.edge.operations.tally import Tally
    from trust.edge.sandbox import Sandbox
    from verifier.report.parties import Json

FETCHED = ("certificates", "crls", "ocsps", "unobtained")
"""What a look elsewhere adds to a question."""


def verifier_of(instance: "Instance") -> Verifier:
    """Trusts this instance's anchors where a request names none."""
    return Verifier(instance.clock, anchors=sources.certificates([instance.anchors]))


class Given(Protocol):
    """What comes beside a document; a frozen dataclass."""

    @property
    def anchors(self) -> tuple[Cert, ...]: ...

    @property
    def certificates(self) -> tuple[Cert, ...]: ...

    @property
    def crls(self) -> tuple[Crl, ...]: ...

    @property
    def ocsps(self) -> tuple[Ocsp, ...]: ...


G = TypeVar("G", bound=Given)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an installation's questions are answered."""

    instance: "Instance"
    sandbox: "Sandbox"
    verifier: Verifier

    def answer(self, question: Question) -> "Json":
        """The JSON report on a stranger's document."""
        return self.sandbox.run("verifier.service:answer", self._completed(question), returns=dict)

    def etsi(self, question: Question) -> bytes:
        """The same as an ETSI validation report."""
        return self.sandbox.run("verifier.shapes:etsi_report", self._completed(question), returns=bytes)

    def counted(self, tally: "Tally", question: Question) -> "Json":
        """The JSON report, counted by its conclusion among the service's figures."""
        from trust.edge.operations.metrics import VERIFICATIONS

        try:
            made = self.answer(question)
        except KakuinError:
            tally.count(VERIFICATIONS, "failed_to_judge")
            raise
        tally.count(VERIFICATIONS, str(made.get("conclusion")))
        return made

    def checked(self, sealed: Document, detached: Sequence[Document], signature: bytes) -> tuple[Any, ...]:
        """What is to be said of the signature with this value, among others in the file (`verifier.service.finding`)."""
        return self._found(self.verifier.question(sealed, detached), signature)

    def checked_here(self, sealed: Document, detached: Sequence[Document], signature: bytes) -> tuple[Any, ...]:
        """The same in this process, for what it wrote itself and no stranger."""
        return finding(self.informed(self.verifier.question(sealed, detached)), signature)

    def checked_inner(self, sealed: Document, detached: Sequence[Document], signature: bytes) -> tuple[Any, ...]:
        """Of the CMS of a PDF, without the PDF, in which the signing time stands."""
        return self._found(self.verifier.question(sealed, detached, policy=self.verifier.policy.without_signing_time()), signature)

    def _found(self, question: Question, signature: bytes) -> tuple[Any, ...]:
        return self.sandbox.run("verifier.service:finding", self.informed(question), signature, returns=tuple)

    def examined(self, document: Document, detached: Sequence[Document], known: Given) -> "Json":
        """As much of the report as says what a document's signatures are, without a look elsewhere."""
        return self.sandbox.run("verifier.service:brief", self._about(document, detached, known), returns=dict)

    def looked(self, document: Document, detached: Sequence[Document], known: G, *, allow_private: bool | None = None) -> G:
        """What is given, with what is missing."""
        found = self.fetched(self._about(document, detached, known), allow_private=allow_private)
        return replace(known, certificates=found.certificates, crls=found.crls, ocsps=found.ocsps)  # type: ignore[type-var]

    def _about(self, document: Document, detached: Sequence[Document], known: Given) -> Question:
        """Whoever is trusted by the caller is trusted besides this instance: its own time-stamps are in what comes out."""
        anchors = tuple(dict.fromkeys((*known.anchors, *self.verifier.anchors)))
        asked = self.verifier.question(document, detached, anchors=anchors, certificates=known.certificates, crls=known.crls, ocsps=known.ocsps)
        return self.informed(asked)

    def informed(self, question: Question) -> Question:
        """With this authority's own status lists: a seal below B-LT carries none."""
        lists = tuple(self.instance.authority.crl(issuer).crl for issuer in ("root", "ca"))
        return replace(question, crls=(*question.crls, *lists))

    def fetched(self, question: Question, *, allow_private: bool | None = None) -> Question:
        """With what is missing. The confined process asks, and has no network itself. `allow_private` None: as the operator says."""
        from trust.edge.fetch import Fetcher

        private = self.instance.settings.verifier.allow_private_networks if allow_private is None else allow_private
        fetcher = Fetcher(allow_private=private)
        calls: dict[str, Callable[..., Any]] = {"get": fetcher.get, "post": fetcher.post}
        known = self.sandbox.run("verifier.online:informed", question, calls=calls, returns=Question)
        # The documents come back without their content; what was fetched is a stranger's anyhow.
        return replace(question, **{name: getattr(known, name) for name in FETCHED})

    def _completed(self, question: Question) -> Question:
        """With what is missing, where the operator lets the service fetch."""
        informed = self.informed(question)
        return self.fetched(informed) if self.instance.settings.verifier.online else informed
