"""The operation: a document, and what it is to be held against, become a verdict.

Extract first, judge second; nothing is fetched, no file is opened.
"""

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from trust.errors import KakuinError
from trust.model import Cert, Crl, Digest, Document, Evidence, Ocsp, utc
from trust.ports import Clock
from verifier.bundle import Bundle, ordered
from verifier.conclusion import conclude
from verifier.policy import Policy, load
from verifier.process import Context, validate
from verifier.question import Question
from verifier.read import read
from verifier.report.json import outline, report
from verifier.report.parties import Json
from verifier.verdict import Indication, Verdict

DEFAULT_POLICY = "strict"
MOST_SURROUNDINGS = 4
"""Sets of anchors and status that are remembered, with what was worked out about them: a batch names one, or a few in turn."""
_NOTHING = Document.of(b"")

__all__ = ["DEFAULT_POLICY", "Question", "Verifier", "answer", "brief", "finding", "gathered", "judge"]


def judge(question: Question) -> Verdict:
    """The verdict. Malformed when the document is of a format that is known here and is broken beyond judging; TooLarge above a reader's limits."""
    evidence = gathered(question)
    context = _surroundings(question).context
    return conclude(evidence, validate(evidence, context), context)


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What a question has in common with those about other documents, at whatever time they are asked."""

    question: Question
    """One of them."""
    context: Context

    @functools.cached_property
    def bundle(self) -> str:
        return Bundle.of(self.question).digest

    def are_of(self, other: Question) -> bool:
        """Compared whole: the same objects in most cases, which costs nothing."""
        own = self.question
        return (
            own.policy is other.policy
            and (own.anchors, own.certificates, own.crls, own.ocsps) == (other.anchors, other.certificates, other.crls, other.ocsps)
            and (own.records, own.unobtained) == (other.records, other.unobtained)
        )

    def at(self, time: datetime) -> "_Surroundings":
        return self if time == self.context.time else _Surroundings(replace(self.question, at=time), self.context.at(time))


_recent: deque[_Surroundings] = deque(maxlen=MOST_SURROUNDINGS)


def _surroundings(question: Question) -> _Surroundings:
    """Those of the last questions that are this one's too; what depends on nothing else is worked out once for all of them."""
    known = next((s for s in tuple(_recent) if s.are_of(question)), None)
    if known is None:
        given = (ordered(question.certificates), ordered(question.crls), ordered(question.ocsps))
        context = Context(question.at, ordered(question.anchors), question.policy, *given)
        found = _Surroundings(replace(question, document=_NOTHING, detached=()), context)
    elif (found := known.at(question.at)) is known:
        return known
    else:
        with contextlib.suppress(ValueError):  # another thread did the same
            _recent.remove(known)
    _recent.appendleft(found)
    return found


def gathered(question: Question) -> Evidence:
    """What the document, and the evidence records beside it, say for themselves; nothing of it judged."""
    evidence = read(question.document, question.detached, question.certificates)
    if not question.records:
        return evidence
    from verifier.formats import ers

    try:
        return ers.beside(evidence, question.document, question.detached, question.records)
    except KakuinError as error:
        raise type(error)(f"evidence record beside the document: {error}") from error


def answer(question: Question) -> Json:
    """The verdict as the JSON report: what runs in the sandbox, where the file is a stranger's."""
    verdict, around = judge(question), _surroundings(question)
    return report(
        verdict,
        document=question.document,
        anchors=len(around.context.anchors),
        bundle=question.bundle or around.bundle,
        unobtained=[asdict(u) for u in question.unobtained],
    )


@dataclass(frozen=True)
class Verifier:
    """Verifies against anchors and a policy that stand unless the caller names others."""

    clock: Clock
    policy: Policy = field(default_factory=lambda: load(DEFAULT_POLICY))
    anchors: tuple[Cert, ...] = ()

    def question(
        self,
        document: Document,
        detached: Sequence[Document] = (),
        *,
        anchors: Sequence[Cert] | None = None,
        at: datetime | None = None,
        policy: Policy | None = None,
        certificates: Sequence[Cert] = (),
        crls: Sequence[Crl] = (),
        ocsps: Sequence[Ocsp] = (),
        records: Sequence[Document] = (),
    ) -> Question:
        """What verify() asks: this verifier's anchors and policy where none are named, now where no time is. The clock is read here alone."""
        return Question(
            document,
            utc(at) if at is not None else self.clock(),
            policy or self.policy,
            self.anchors if anchors is None else tuple(anchors),
            tuple(detached),
            tuple(certificates),
            tuple(crls),
            tuple(ocsps),
            tuple(records),
        )

    def verify(
        self,
        document: Document,
        detached: Sequence[Document] = (),
        *,
        anchors: Sequence[Cert] | None = None,
        at: datetime | None = None,
        policy: Policy | None = None,
        certificates: Sequence[Cert] = (),
        crls: Sequence[Crl] = (),
        ocsps: Sequence[Ocsp] = (),
        records: Sequence[Document] = (),
    ) -> Verdict:
        """One verdict for the whole document, and for each signature, time-stamp and evidence record in it.

        `detached` is the content of signatures that stand apart; `certificates`, `crls`, `ocsps` and `records` are given beside the document and
        believed for nothing but what they prove. Nothing is fetched. A document that cannot be judged raises Malformed or TooLarge.
        """
        asked = self.question(
            document,
            detached,
            anchors=anchors,
            at=at,
            policy=policy,
            certificates=certificates,
            crls=crls,
            ocsps=ocsps,
            records=records,
        )
        return judge(asked)

    def tokens(
        self,
        tokens: Iterable[tuple[bytes, Digest]],
        *,
        anchors: Sequence[Cert] | None = None,
        at: datetime | None = None,
        policy: Policy | None = None,
        certificates: Sequence[Cert] = (),
        crls: Sequence[Crl] = (),
        ocsps: Sequence[Ocsp] = (),
    ) -> Iterator[Verdict | KakuinError]:
        """RFC 3161 tokens (or responses), each with the digest that it should stamp: a verdict each, in their order, as verify() gives it; the
        error in its place for one that cannot be judged.

        All are judged at one time, that of the call, so that what they share, the unit's certificate, its chain and their status, is judged once.
        Each has its own look at signature, imprint and time. Nothing is kept: a million tokens take the memory of one.
        """
        about = self.question(_NOTHING, anchors=anchors, at=at, policy=policy, certificates=certificates, crls=crls, ocsps=ocsps)
        context = _surroundings(about).context

        def verdicts() -> Iterator[Verdict | KakuinError]:
            for token, digest in tokens:
                try:
                    evidence = read(Document.of(token), (Document(None, None, None, (digest,)),), about.certificates)
                    yield conclude(evidence, validate(evidence, context), context)
                except KakuinError as error:
                    yield error

        return verdicts()

    def token_judge(
        self,
        *,
        anchors: Sequence[Cert] | None = None,
        at: datetime | None = None,
        policy: Policy | None = None,
        certificates: Sequence[Cert] = (),
        crls: Sequence[Crl] = (),
        ocsps: Sequence[Ocsp] = (),
    ) -> Callable[[bytes, Document | None], Verdict]:
        """For audits: judges RFC 3161 tokens (or responses) one at a time, all at the time of this call, each with the document that it should stamp.
        Without one the imprint is taken for what it says, and everything else is judged. Malformed for what is no token.
        """
        from verifier.formats import tst

        about = self.question(_NOTHING, anchors=anchors, at=at, policy=policy, certificates=certificates, crls=crls, ocsps=ocsps)
        context = _surroundings(about).context

        def verdict(data: bytes, document: Document | None) -> Verdict:
            token = tst.token_of(data, about.certificates)
            evidence = tst.beside(token, (document or Document(None, None, None, (token.imprint,)),))
            return conclude(evidence, validate(evidence, context), context)

        return verdict


def brief(question: Question) -> Json:
    """The JSON report without what grows with the number of files that are signed: for whoever compares a document before and after a change."""
    return outline(judge(question))


def finding(question: Question, signature: bytes) -> tuple[bool, str, str, tuple[str, ...]]:
    """Of the signature with this value: whether it passes, its level, and why not; of the file, what it shows that no signature covers. For a sealer
    that checks what it made.

    What else the file holds is somebody else's: a document with a broken signature can be sealed, and stays a document with a broken signature.
    """
    verdict = judge(question)
    exposed = tuple(f"{u.name}: {u.why}" for u in verdict.evidence.uncovered if u.grave)
    for found in verdict.signatures:
        if found.signature.value == signature:
            why = [f"{found.indication} {found.sub_indication or ''}", *(s.what for s in found.trace if not s.ok)]
            return found.indication is Indication.PASSED, found.signature.level, "; ".join(why), exposed
    return False, "", "the signature is not found in the file", exposed
