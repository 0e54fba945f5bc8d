"""What of the document shown today no reference covers: decoys beside the signed element, fields that a filter takes out, unsigned ds:Objects.

Only what a person or a program would take for content counts: elements, attributes and text outside the signatures, and the ds:Objects inside them.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from trust.codecs import asn1
from trust.codecs.xml import NodeSet, Tree
from trust.codecs.xml.names import DS, XML, ds, split
from trust.model import Scope, Uncovered
from verifier.formats.xades.references import Resolved
from verifier.formats.xades.structure import Frame

MAX_REPORTED: Final = 20
_HARMLESS: Final = frozenset(("http://www.w3.org/2001/XMLSchema-instance",))
"""Namespaces of attributes that say nothing to a reader."""


_VERSIONS: Final = frozenset(("version", "format"))
"""Attributes of a wrapper that name its own format, as DigiDoc's do."""


@dataclass(eq=False)
class _Cover:
    """Node sets of all references, ready to be asked about one node at a time."""

    sets: list[NodeSet]
    shallow: list[NodeSet]
    """Of references whose base64 transform strips tags: they cover text, and no structure."""
    own: dict[Any, Frame]
    """The signatures of the document."""

    @functools.cached_property
    def tops(self) -> dict[Any, list[NodeSet]]:
        found: dict[Any, list[NodeSet]] = {}
        for s in self.sets:
            found.setdefault(s.tree.root if s.apex is None else s.apex, []).append(s)
        return found

    @functools.cached_property
    def texts(self) -> frozenset[Any]:
        return frozenset(s.apex for s in self.shallow)

    @functools.cached_property
    def spines(self) -> dict[int, frozenset[Any]]:
        """For each set, the elements in which something is hidden."""
        return {id(s): _ancestors(s.hidden) for s in self.sets}

    @functools.cached_property
    def holders(self) -> frozenset[Any]:
        """Elements in which a signature stands, or something that a reference leads to."""
        picked = (n for s in self.sets if s.chosen is not None for n in s.chosen.nodes)
        return _ancestors((*self.own, *self.tops, *(a for a in self.texts if a is not None), *picked))

    def whole(self, nodes: NodeSet, element: Any) -> bool:
        """Whether the set, in which the element is, holds everything inside it."""
        return nodes.chosen is None and element not in self.spines[id(nodes)]


def _ancestors(elements: Iterable[Any]) -> frozenset[Any]:
    found: set[Any] = set()
    for element in elements:
        for ancestor in element.iterancestors():
            if ancestor in found:
                break
            found.add(ancestor)
    return frozenset(found)


def uncovered(tree: Tree, frames: Sequence[Frame], references: Iterable[Resolved]) -> tuple[Uncovered, ...]:
    """EN 319 102-1 leaves it to the reader of the report; here it is told: what stands in the file and is nobody's."""
    every = [r for top in references for r in (top, *top.entries)]
    sets = [r.nodes for r in every if r.nodes is not None and r.reference.found and not r.text_only]
    shallow = [r.nodes for r in every if r.nodes is not None and r.reference.found and r.text_only]
    found = list(_partial(every))
    for one in _walk(tree, _Cover(sets, shallow, {f.element: f for f in frames})):
        found.append(one)
        if len(found) >= MAX_REPORTED:
            found.append(Uncovered("further places", "more than are listed are not covered by any signature"))
            break
    return tuple(found)


def _partial(references: Iterable[Resolved]) -> Iterator[Uncovered]:
    for r in references:
        if r.document is not None and r.reference.found and r.reference.scope is Scope.PARTIAL:
            yield Uncovered(r.reference.name, "a filter takes only a part of the companion into the signature")
        elif r.absent and r.entry:
            yield Uncovered(r.reference.name, "named by a signed manifest and not given: nothing was checked")


def _walk(tree: Tree, cover: _Cover) -> Iterator[Uncovered]:
    """From the root downwards; a subtree that is covered whole is not entered. Each entry carries the node sets that may cover what is inside."""
    stack: list[tuple[Any, list[NodeSet]]] = [(tree.root, [])]
    yield from _beside(tree, cover)
    while stack:
        element, above = stack.pop()
        sets = above + cover.tops.get(element, [])
        if element in cover.own:
            yield from _strangers(cover.own[element])
            stack.extend((o, sets) for o in _objects(cover.own[element]))
            continue
        live = [s for s in sets if _shows(s, element)]
        if any(cover.whole(s, element) for s in live) or _text_covered(cover, element):
            continue
        children = [c for c in element if isinstance(c.tag, str) and not _qualifies(c)]
        if live:
            yield from _bare(element, live)
        elif element.tag == ds("Object") and children:
            pass
        elif element not in cover.holders:
            yield Uncovered(path(element), "no signature covers this element")
            continue
        else:
            yield from _wrapper(element)
        stack.extend((child, sets) for child in reversed(children))


def _shows(nodes: NodeSet, element: Any) -> bool:
    """Whether the element itself is in the set; its apex is above or here."""
    if nodes.chosen is not None:
        return element in nodes.chosen.nodes and element not in nodes.hidden
    return nodes.shows(element)


def _text_covered(cover: _Cover, element: Any) -> bool:
    """An element without children or attributes of meaning, whose text a base64 transform has taken."""
    return element in cover.texts and len(element) == 0 and not list(_attributes(element))


def _bare(element: Any, live: list[NodeSet]) -> Iterator[Uncovered]:
    """An element that is in the set, of which attributes or text are not."""
    for key in _attributes(element):
        if not any(_has_attribute(s, element, key) for s in live):
            yield Uncovered(f"{path(element)}/@{asn1.printable(split(key)[1], 40)}", "no signature covers this attribute")
    for owner, tail in _texts(element):
        if not any(s.chosen is None or (owner, tail) in s.chosen.texts for s in live):
            yield Uncovered(path(element), "no signature covers text of this element")
            return


def _has_attribute(nodes: NodeSet, element: Any, key: str) -> bool:
    chosen = nodes.chosen
    return chosen is None or element not in chosen.bare or (element, key) in chosen.attributes


def _texts(element: Any) -> Iterator[tuple[Any, bool]]:
    """Text directly inside that is more than white space."""
    if element.text and element.text.strip():
        yield element, False
    for child in element:
        if child.tail and child.tail.strip():
            yield child, True


def _attributes(element: Any) -> Iterator[str]:
    """Attributes that could mean something: Ids, xml: and schema hints cannot."""
    for key in element.attrib:
        space, local = split(key)
        if space in _HARMLESS or space == XML or local.lower() == "id" or element.tag == ds("Object"):
            continue
        yield key


def _wrapper(element: Any) -> Iterator[Uncovered]:
    """An element around signed parts: what it says itself is nobody's."""
    for key in _attributes(element):
        grave = key.lower() not in _VERSIONS
        yield Uncovered(f"{path(element)}/@{asn1.printable(split(key)[1], 40)}", "no signature covers this attribute", grave)
    if any(True for _ in _texts(element)):
        yield Uncovered(path(element), "no signature covers text of this element")


_PARTS: Final = frozenset(map(ds, ("SignedInfo", "SignatureValue", "KeyInfo", "Object")))


def _qualifies(element: Any) -> bool:
    """QualifyingProperties of any version (early DigiDoc left the namespace out): they say nothing about the document to a reader of it."""
    space, name = split(element.tag)
    return name == "QualifyingProperties" and (space in ("", DS) or space.startswith("http://uri.etsi.org/01903/"))


def _strangers(frame: Frame) -> Iterator[Uncovered]:
    """What hides in a ds:Signature where nothing of the kind belongs."""
    for child in frame.element.iterchildren("*"):
        if child.tag not in _PARTS:
            yield Uncovered(path(child), "no signature covers this element inside the signature")


def _objects(frame: Frame) -> Iterator[Any]:
    """The ds:Objects that hold something for a reader."""
    for holder in frame.objects:
        if any(not _qualifies(c) for c in holder.iterchildren("*")) or (holder.text or "").strip():
            yield holder


def _beside(tree: Tree, cover: _Cover) -> Iterator[Uncovered]:
    """A style sheet named beside the root changes what is shown; only a reference to the whole document covers it."""
    if any(s.apex is None for s in cover.sets):
        return
    for node in (*tree.prolog(), *tree.epilog()):
        if node.tag is etree.PI and node.target == "xml-stylesheet":
            yield Uncovered("xml-stylesheet", "no signature covers the style sheet instruction")


def path(element: Any) -> str:
    """Local names from the root, made harmless."""
    names = [split(e.tag)[1] for e in (element, *element.iterancestors())][::-1]
    if len(names) > 6:
        names = [*names[:2], "…", *names[-3:]]
    return "/" + "/".join(asn1.printable(n, 40) for n in names)
