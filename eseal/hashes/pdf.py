"""A PDF sealed where it is: field, look, byte range, values and time-stamps are written here, and a server elsewhere is told digests of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from eseal.confined import at_most, sound
from eseal.draft import Draft, assembled
from eseal.drafting import Holder
from eseal.formats.pdf_cms import Answer
from eseal.hashes.client import Made, Next, There, facts_of
from eseal.hashes.steps import COURSES
from eseal.hashes.told import key_in, octets_in, status_in
from eseal.service import Runner, sealed_name
from eseal.spec import Format, Level, Spec, level_named, media_type
from trust.codecs.signed_data import signed_data
from trust.errors import Malformed
from trust.model import Digest, Document

MOST_STEPS = 2
"""Of each kind: one more where the first did not fit."""
SENT = ("digest", "commitment", "role", "policy", "policy_hash", "policy_uri", "content_timestamp", "degrade", "organisation")
"""Options that are of the signature, and the server's business; all others are written into the PDF."""


def seal_pdf_at(there: There, document: Document, spec: Spec, asked: Mapping[str, str | None], run: Runner) -> Made:
    """As eseal.hashes.client.seal_hashes_at(). The PDF is read by a process of `run`, which has no API key. Errors are those of
    eseal.formats.pades.seal() and of the server. Unchecked."""
    sent = {**{name: asked.get(name) for name in SENT}, "format": str(Format.PADES), "level": str(spec.level)}
    key = key_in(there.key(sent))
    steps = _Steps(there, document.name, sent, spec.level)
    calls: Mapping[str, Callable[..., Any]] = MappingProxyType(
        {"sign": at_most(MOST_STEPS, "signatures", steps.sign), "finish": at_most(MOST_STEPS, "time-stamps", steps.finish)}
    )
    holder = Holder(key.certificates[0], key.certificates[1:], key.algorithm)
    draft = run("eseal.drafting:elsewhere", document, spec, holder, key.time, calls=calls, returns=Draft)
    sound(draft, document, spec)
    facts = steps.facts
    warnings = [*draft.warnings, *facts["warnings"]]
    made = assembled(document, draft.pieces, sealed_name(document.name, spec), media_type(spec)[0])
    return {**facts, "format": str(spec.format), "packaging": str(spec.packaging), "warnings": warnings}, made


class _Steps:
    """The server's answers for one PDF, as the process that writes it asks for them."""

    def __init__(self, there: There, name: str | None, sent: Mapping[str, str | None], level: Level) -> None:
        self._there, self._name, self._sent, self._level = there, name, sent, level
        self._due: Next | None = None
        self.facts: dict[str, Any] = {}

    def sign(self, digests: tuple[Digest, ...]) -> Answer:
        told = Document(self._name, None, None, digests)
        if (Format.PADES, self._level) not in COURSES:
            self.facts, contents = self._there.first([told], self._sent)
            return _answer(contents.read(1 << 20))
        first = self._there.first_told([told], self._sent)
        self.facts = facts_of(first)
        self._due = Next.of(first["next"], [told]) if "next" in first else None
        given = _answer(octets_in(first.get("signature"), "signature"))
        found = status_in(first.get("values"))
        if self._due is not None:
            return replace(given, found=found, room=self._due.room, last=False)
        if found.certs and self._level is Level.B_LT:
            self._reached()
        return replace(given, found=found)

    def finish(self, imprint: Digest) -> Answer:
        if self._due is None:
            raise Malformed("there is no second step")
        last = self._there.last_told(self._due, imprint)
        self.facts = {**facts_of(last), "warnings": [*self.facts["warnings"], *facts_of(last)["warnings"]]}
        self._reached()
        return Answer(octets_in(last.get("token"), "token"), status_in(last.get("values")))

    def _reached(self) -> None:
        self.facts = {**{k: v for k, v in self.facts.items() if k != "asked_level"}, "level": str(self._level)}


def _answer(contents: bytes) -> Answer:
    """With the signature value that is in it. Malformed for what is no CMS with one signature."""
    signers = signed_data(contents).signers
    if len(signers) != 1:
        raise Malformed(f"the server's signature has {len(signers)} signers, expected 1")
    return Answer(contents, value=signers[0].value)


def reached(facts: Mapping[str, Any]) -> Level:
    """The level that the server's answers make."""
    return level_named(str(facts["level"]))
