"""Canonical XML 1.0, 1.1 and Exclusive XML Canonicalization 1.0, of whole documents and of document subsets.

libxml2 through lxml canonicalises whole trees only and loses what a subset inherits; this walk does both, and the tests hold it
byte for byte against libxml2 on whole documents and against libxmlsec1 on subsets. An element that inherits nothing, because it is canonicalised
exclusively, and of which nothing is left out, is libxml2's to write, in a tenth of the time.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from trust.codecs.xml.base_uri import join
from trust.codecs.xml.names import EXC, XML
from trust.codecs.xml.nodes import Chosen, NodeSet
from trust.errors import Malformed


@dataclass(frozen=True, slots=True)
class Method:
    """One canonicalisation algorithm with its parameters."""

    family: str
    """`1.0`, `1.1` or `exclusive`."""
    comments: bool = False
    prefixes: frozenset[str | None] = frozenset()
    """Exclusive only: InclusiveNamespaces PrefixList; None stands for `#default`."""


METHODS: Final[Mapping[str, Method]] = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": Method("1.0"),
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": Method("1.0", comments=True),
    "http://www.w3.org/2006/12/xml-c14n11": Method("1.1"),
    "http://www.w3.org/2006/12/xml-c14n11#WithComments": Method("1.1", comments=True),
    "http://www.w3.org/2001/10/xml-exc-c14n#": Method("exclusive"),
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments": Method("exclusive", comments=True),
}
DEFAULT: Final = METHODS["http://www.w3.org/TR/2001/REC-xml-c14n-20010315"]
"""XML Signature clause 4.4.3.2: what makes octets of a node set where nothing else is named."""


def method_of(element: Any) -> Method | None:
    """What a ds:CanonicalizationMethod or ds:Transform element names; None where it is no canonicalisation known here."""
    method = METHODS.get(element.get("Algorithm", ""))
    if method is None or method.family != "exclusive":
        return method
    listed = element.find(f"{{{EXC}}}InclusiveNamespaces")
    if listed is None:
        return method
    names = (listed.get("PrefixList") or "").split()
    return Method(method.family, method.comments, frozenset(None if n == "#default" else n for n in names))


_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE: Final = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})
_TEXT_MARKS: Final = re.compile(r"[&<>\r]")
_ATTRIBUTE_MARKS: Final = re.compile(r'[&<"\t\n\r]')
_XML_PREFIX: Final = f"{{{XML}}}"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NAME: Final = etree.XPath("name(@*[$i])")


def _text(value: str) -> str:
    return value.translate(_TEXT) if _TEXT_MARKS.search(value) else value


def _value(value: str) -> str:
    return value.translate(_ATTRIBUTE) if _ATTRIBUTE_MARKS.search(value) else value


def canonicalize(nodes: NodeSet, method: Method) -> bytes:
    """The canonical form of the node set, UTF-8. Malformed for a namespace that is a relative URI (C14N 1.0 clause 1.3)."""
    if (quick := _by_libxml2(nodes, method)) is not None:
        return quick
    return walked(nodes, method)


def _by_libxml2(nodes: NodeSet, method: Method) -> bytes | None:
    """None where it is not for libxml2, or where it refuses: then the walk tells why."""
    if nodes.apex is None or not nodes.whole or method.family != "exclusive" or method.prefixes or not isinstance(nodes.apex.tag, str):
        return None
    try:
        return bytes(etree.tostring(nodes.apex, method="c14n", exclusive=True, with_comments=nodes.comments and method.comments))
    except (etree.C14NError, ValueError):
        return None


def walked(nodes: NodeSet, method: Method) -> bytes:
    """`canonicalize` by the walk alone."""
    out = _Walk(nodes, method)
    if nodes.apex is not None:
        out.subtree(nodes.apex)
    else:
        for node in nodes.tree.prolog():
            out.outside(node, after="\n")
        out.subtree(nodes.tree.root)
        for node in nodes.tree.epilog():
            out.outside(node, before="\n")
    return "".join(out.parts).encode()


_Rendered = dict[str | None, str]
"""Namespaces by prefix, None for the default."""


class _Walk:
    """One pass in document order, without recursion."""

    def __init__(self, nodes: NodeSet, method: Method) -> None:
        self.parts: list[str] = []
        self.method = method
        self.exclusive = method.family == "exclusive"
        self.comments = nodes.comments and method.comments
        self.hidden = nodes.hidden
        self.chosen = nodes.chosen
        self.top = nodes.apex

    def outside(self, node: Any, before: str = "", after: str = "") -> None:
        """A comment or processing instruction beside the document element (C14N 1.0 clause 2.3)."""
        shown = self._aside(node)
        if shown:
            self.parts.append(before + shown + after)

    def _aside(self, node: Any) -> str:
        if self.chosen is not None and node not in self.chosen.nodes:
            return ""
        if node.tag is etree.Comment:
            return f"<!--{_breaks(node.text)}-->" if self.comments else ""
        if node.tag is etree.PI:
            return f"<?{node.target} {_breaks(node.text)}?>" if node.text else f"<?{node.target}?>"
        raise Malformed("an xml document holds a node that has no canonical form")

    def subtree(self, top: Any) -> None:
        """`top` and all inside it: its tail is not."""
        write, chosen, hidden = self.parts.append, self.chosen, self.hidden
        if top in hidden:
            return
        rendered: _Rendered = {}
        parent_shown = False
        # (element, its children to come, its end tag, what was rendered above it, whether its parent is shown)
        stack: list[tuple[Any, Any, str, _Rendered, bool]] = []
        node = top
        while True:
            if isinstance(node.tag, str):
                above, above_shown, end = rendered, parent_shown, ""
                parent_shown = chosen is None or node in chosen.nodes
                if parent_shown:
                    start, end, rendered = self._element(node, rendered, parent_shown=above_shown)
                    write(start)
                text = node.text
                if text and (chosen is None or (node, False) in chosen.texts):
                    write(_text(text))
                stack.append((node, iter(node), end, above, above_shown))
            else:
                write(self._aside(node))
                if node is top:
                    return
                self._tail(node)
            while True:
                element, rest, end, above, above_shown = stack[-1]
                node = next(rest, None)
                if node is None:
                    write(end)
                    rendered, parent_shown = above, above_shown
                    stack.pop()
                    if not stack:
                        return
                    self._tail(element)
                elif hidden and node in hidden:
                    self._tail(node)
                else:
                    break

    def _tail(self, node: Any) -> None:
        tail = node.tail
        if tail and (self.chosen is None or (node, True) in self.chosen.texts):
            self.parts.append(_text(tail))

    def _element(self, element: Any, rendered: _Rendered, *, parent_shown: bool) -> tuple[str, str, _Rendered]:
        """Start tag, end tag, and the namespaces rendered from here on."""
        tag, prefix = element.tag, element.prefix
        uri, name = "", tag
        if tag[0] == "{":
            uri, _, name = tag[1:].partition("}")
        if prefix:
            name = f"{prefix}:{name}"
        items: list[tuple[str, str]] = element.items()
        if self.chosen is None and (parent_shown or self.exclusive) and not any(key[0] == "{" for key, _ in items):
            # Nearly every element there is: nothing to inherit, no prefixes but its own.
            if self.exclusive and not self.method.prefixes:
                new = [(prefix, uri)] if rendered.get(prefix, "") != uri else []
                return self._tags(name, new, sorted(items), {**rendered, prefix: uri} if new else rendered)
            if not self.exclusive and element.nsmap == rendered:
                return self._tags(name, [], sorted(items), rendered)
        return self._rare(element, name, rendered, parent_shown=parent_shown)

    def _rare(self, element: Any, name: str, rendered: _Rendered, *, parent_shown: bool) -> tuple[str, str, _Rendered]:
        """The same by the book."""
        scope = element.nsmap
        items = self._attributes(element)
        if not parent_shown and not self.exclusive and element.getparent() is not None:
            items = self._inherited(element, items)
        whole = self.chosen is None or element not in self.chosen.bare
        named = [(_qualified(element, key, scope), key, value) for key, value in items]
        wanted = self._namespaces(element, [q for q, _, _ in named], scope, rendered, whole=whole)
        new = [(p, uri) for p, uri in wanted.items() if rendered.get(p, "") != uri]
        if not self.exclusive:
            rendered = wanted
        elif new:
            rendered = {**rendered, **dict(new)}
        named.sort(key=_by_name)
        return self._tags(name, new, [(q, value) for q, _, value in named], rendered)

    @staticmethod
    def _tags(name: str, new: list[tuple[str | None, str]], attributes: list[tuple[str, str]], rendered: _Rendered) -> tuple[str, str, _Rendered]:
        start = f"<{name}"
        for p, uri in sorted(new, key=_by_prefix) if len(new) > 1 else new:
            if uri and not _SCHEME.match(uri):
                raise Malformed("namespace is a relative uri: it has no canonical form")
            start += f' xmlns:{p}="{_value(uri)}"' if p else f' xmlns="{_value(uri)}"'
        for key, value in attributes:
            start += f' {key}="{_value(value)}"'
        return start + ">", f"</{name}>", rendered

    def _attributes(self, element: Any) -> list[tuple[str, str]]:
        items: list[tuple[str, str]] = element.attrib.items()
        chosen = self.chosen
        if chosen is not None and element in chosen.bare:
            items = [(key, value) for key, value in items if (element, key) in chosen.attributes]
        return items

    def _namespaces(self, element: Any, names: list[str], scope: _Rendered, rendered: _Rendered, *, whole: bool) -> _Rendered:
        """The namespace nodes to render unless an output ancestor has: all in scope, or those visibly utilised (Exclusive C14N clause 3)."""
        if self.exclusive:
            used: set[str | None] = {element.prefix}
            used.update(n.partition(":")[0] for n in names if ":" in n)
            wanted = {p: scope.get(p) or "" for p in used if p is None or p in scope}
            for p in self.method.prefixes:
                if p in scope or (p is None and rendered.get(None)):
                    wanted[p] = scope.get(p) or ""
        else:
            wanted = {p: uri or "" for p, uri in scope.items()}
            if None not in wanted and rendered.get(None):
                wanted[None] = ""
        wanted.pop("xml", None)
        if not whole and self.chosen is not None:
            for p in list(wanted):
                if wanted[p] and (element, p) not in self.chosen.namespaces:
                    if p is None:
                        wanted[p] = ""
                    else:
                        del wanted[p]
        return wanted

    def _inherited(self, element: Any, items: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """C14N 1.0 and 1.1 clause 2.4: what an element takes over in the xml namespace when its parent is not in the node set."""
        own = {key for key in element.attrib if key.startswith(_XML_PREFIX)}
        inherited: dict[str, str] = {}
        older = self.method.family == "1.0"
        for ancestor in element.iterancestors():
            for key, value in ancestor.attrib.items():
                if not key.startswith(_XML_PREFIX) or key in own or key in inherited:
                    continue
                if older or key[len(_XML_PREFIX) :] in ("lang", "space"):
                    inherited[key] = value
        items = items + list(inherited.items())
        if older:
            return items
        return self._fixed_base(element, items)

    def _fixed_base(self, element: Any, items: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """C14N 1.1 clause 2.4: xml:base joined with those of the ancestors that are left out in an unbroken row."""
        key = f"{_XML_PREFIX}base"
        values = []
        for ancestor in element.iterancestors():
            if self._shows(ancestor):
                break
            if (value := ancestor.get(key)) is not None:
                values.append(value)
        if not values:
            return items
        own = element.get(key)
        chain = ([own] if own is not None else []) + values
        base = functools.reduce(lambda reference, outer: join(outer, reference), chain)
        rest = [(k, v) for k, v in items if k != key]
        return [*rest, (key, base)] if base else rest

    def _shows(self, element: Any) -> bool:
        if self.chosen is not None:
            return element in self.chosen.nodes
        return self.top is None or any(a is self.top for a in (element, *element.iterancestors()))


def _breaks(text: str | None) -> str:
    return text.replace("\r", "&#xD;") if text else ""


def _qualified(element: Any, key: str, scope: _Rendered) -> str:
    """The name of an attribute as written: lxml tells the namespace, and the prefix only when asked through XPath."""
    if key[0] != "{":
        return key
    uri, _, name = key[1:].partition("}")
    if uri == XML:
        return f"xml:{name}"
    prefixes = [p for p, u in scope.items() if u == uri and p]
    if len(prefixes) == 1:
        return f"{prefixes[0]}:{name}"
    at = list(element.attrib).index(key)
    return str(_NAME(element, i=at + 1))


def _by_prefix(declared: tuple[str | None, str]) -> str:
    return declared[0] or ""


def _by_name(named: tuple[str, str, str]) -> tuple[str, str]:
    uri, _, name = named[1].rpartition("}")
    return uri[1:], name


def subset(chosen: Chosen, nodes: NodeSet) -> NodeSet:
    """The chosen ones among the nodes."""
    return NodeSet(nodes.tree, nodes.apex, nodes.comments, nodes.hidden, chosen)
