"""Verdicts for a rehearsal (`trust.edge.rehearsal`): on what its office sealed, as questions come to a process that reads strangers' documents."""

from trust.edge.rehearsal import Example, Rehearsed
from trust.edge.wire import Luggage, decode, encode
from trust.errors import KakuinError
from trust.model import Cert, Crl
from verifier.chains import Finder, facts, signed_by
from verifier.revocation import Sources, answers
from verifier.service import Question, Verifier, answer, finding


def verdicts(rehearsed: Rehearsed) -> Rehearsed:
    """On every example, as a sealer asks and as a recipient does, and on what is known of those whose seals will come. KakuinError where an example
    is not confirmed: then this is no rehearsal of anything."""
    for example in rehearsed.examples:
        if not _found(rehearsed, example):
            raise KakuinError(f"rehearsal: {example.document.media_type} is not confirmed")
        answer(_question(rehearsed, example))
    _remember(rehearsed)
    return rehearsed


def paper(rehearsed: Rehearsed) -> Rehearsed:
    """On the first example, a PDF."""
    _found(rehearsed, rehearsed.examples[0])
    return rehearsed


def page(rehearsed: Rehearsed) -> Rehearsed:
    """On the second, an XML document."""
    _found(rehearsed, rehearsed.examples[1])
    return rehearsed


def _remember(rehearsed: Rehearsed) -> None:
    """Timeless facts about certificates and lists, which chains and signatures keep by their bytes: what they say, and who signed them."""
    certs = [known for known in rehearsed.known if isinstance(known, Cert)]
    sources = Sources((), [known for known in rehearsed.known if isinstance(known, Crl)])
    finder = Finder(certs, (c for c in certs if facts(c).self_issued and signed_by(c, c)))
    for path in (path for cert in certs for path in finder.paths(cert)):
        for index in range(len(path.certs) - 1):
            answers(path, index, sources, finder)


def _question(rehearsed: Rehearsed, example: Example) -> Question:
    office = rehearsed.office
    return Verifier(lambda: office.time, anchors=(office.anchor,)).question(example.document, example.apart, crls=office.lists)


def _found(rehearsed: Rehearsed, example: Example) -> bool:
    question, value = decode(encode((_question(rehearsed, example), example.value), Luggage()))
    return finding(question, value)[0]
