"""What the tests of extending share: an extender whose effects are in memory, with the real verifier before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from eseal.extend import Wanted
from eseal.extend_material import Known
from eseal.extend_service import Asked, Examine, Extender, Raised
from eseal.service import Runner, here
from eseal.spec import Level
from tests.pki import Pki, stamper
from trust.errors import Unavailable
from trust.model import Cert, Document
from trust.ports import Status
from verifier.policy import load
from verifier.question import Question
from verifier.service import brief


@dataclass
class Desk:
    """An installation that extends at the time `at`: its own authority and status, and a journal."""

    pki: Pki
    at: datetime
    recorded: list[tuple[str, bytes]] = field(default_factory=list)
    policy: str = "strict"
    run: Runner = here

    def examine(self, document: Document, detached: Sequence[Document], known: Known) -> Mapping[str, Any]:
        anchors = (*known.anchors, self.pki.root.certificate)
        lists = self.pki.crls(self.at)
        question = Question(
            document,
            self.at + timedelta(seconds=5),
            load(self.policy),
            anchors,
            tuple(detached),
            (*known.certificates, self.pki.ca.certificate),
            (*known.crls, *lists),
            known.ocsps,
        )
        return brief(question)

    def status(self, chain: Sequence[Cert]) -> Status:
        """As the installation's own authority: of its own certificates alone."""
        ours = {c.der for c in self.pki.certs}
        if any(c.der not in ours for c in chain):
            raise Unavailable("not issued here")
        return Status(crls=self.pki.crls(self.at), certs=(self.pki.ca.certificate, self.pki.root.certificate))

    def record(self, kind: str, body: bytes) -> int:
        self.recorded.append((kind, body))
        return len(self.recorded) - 1

    def extender(self, examine: Examine | None = None) -> Extender:
        return Extender(
            stamp=stamper(self.pki.tsu, self.at),
            status=self.status,
            record=self.record,
            clock=lambda: self.at,
            examine=examine or self.examine,
            run=self.run,
            anchors=(self.pki.root.certificate,),
        )

    def extend(
        self,
        document: Document | bytes,
        level: str,
        *detached: Document,
        known: Known | None = None,
        allow_indeterminate: bool = False,
        password: str | None = None,
    ) -> Raised:
        given = document if isinstance(document, Document) else Document.of(document, "document")
        asked = Asked(Wanted(Level(level), password), tuple(detached), known or Known(), allow_indeterminate=allow_indeterminate)
        return self.extender().extend(given, asked)
