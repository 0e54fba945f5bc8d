"""Elements held to their schema, as far as a table says: which children in which order, which attributes, and what text."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trust.codecs.xml.names import DS, EXC, XADES_132, split, text_of

ANY = "~"
"""In a model: an element of another namespace than its parent's. Of XML Signature, XAdES 1.3.2 and exclusive canonical XML: `ds:`, `x:`, `e:Name`."""
_PREFIXES: Final = {DS: "ds:", XADES_132: "x:", EXC: "e:"}
_OTHER: Final = r"(?:~|(?:ds|x|e):\w+)"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What an element may hold. One is itself and no other: what is remembered about it is found by that."""

    children: "re.Pattern[str] | None"
    """Names of its children, each followed by a comma; None: whatever."""
    attributes: frozenset[str]
    needs: frozenset[str]
    """Those that must be there."""
    text: Callable[[str], bool] | None = None
    """For elements that hold text alone: whether it is of the type."""
    mixed: bool = False
    """Text may stand between its elements."""

    @classmethod
    def of(cls, model: str | None, *attributes: str, text: Callable[[str], bool] | None = None, mixed: bool = False) -> "Shape":
        """`model` None: anything. An attribute that must be there has `!` after its name. With `text`, `model` is empty."""
        names = frozenset(a.removesuffix("!") for a in attributes)
        needs = frozenset(a.removesuffix("!") for a in attributes if a.endswith("!"))
        return cls(None if model is None else re.compile(model.replace(ANY, _OTHER)), names, needs, text, mixed or model is None)


Shapes = Mapping[tuple[str, str], Shape]
"""By namespace and name."""


def misfit(element: Any, shapes: Shapes) -> str | None:
    """What is wrong with this element alone; None where nothing is, or where the table does not have it."""
    shape = shapes.get(split(element.tag))
    return None if shape is None else unlike(element, shape)


def unlike(element: Any, shape: Shape) -> str | None:
    """What is wrong with this element alone."""
    tag, held, given = element.tag, tuple([c.tag for c in element.iterchildren("*")]) if len(element) else (), tuple(element.keys())
    # The elements of one signature are built like those of the next.
    small = len(held) + len(given) <= _FEW and len(tag) + sum(map(len, held)) + sum(map(len, given)) <= _SHORT
    why = (_built if small else _built.__wrapped__)(shape, tag, held, given)
    if why is not None:
        return why
    if shape.text is not None:
        return None if shape.text(text_of(element).strip(_SPACE)) else f"{split(tag)[1]} holds text of another type than its schema has"
    if not shape.mixed and ((element.text or "").strip(_SPACE) or any((child.tail or "").strip(_SPACE) for child in element)):
        return f"{split(tag)[1]} holds text, where its schema has elements alone"
    return None


_FEW, _SHORT = 20, 2_000
"""Names of children and attributes, and characters of them, of an element about whose build something is remembered."""


@functools.lru_cache(maxsize=2048)
def _built(shape: Shape, tag: str, held: tuple[str, ...], given: tuple[str, ...]) -> str | None:
    """Of children and attributes, by their names."""
    space, name = split(tag)
    if shape.children is not None and shape.children.fullmatch("".join(_label(split(child), space) for child in held)) is None:
        return f"{name} holds elements that its schema does not have there"
    # Attributes of other namespaces (xsi:schemaLocation) mean nothing to who reads the element.
    if any(not attribute.startswith("{") and attribute not in shape.attributes for attribute in given):
        return f"{name} has an attribute that its schema does not have"
    if not shape.needs.issubset(given):
        return f"{name} lacks an attribute that its schema has"
    return None


_SPACE: Final = " \t\r\n"


def _label(tag: tuple[str, str], parent: str) -> str:
    space, name = tag
    return f"{name}," if space == parent else f"{_PREFIXES[space]}{name}," if space in _PREFIXES else f"{ANY},"


# Types of XML Schema part 2, of text without the white space around it.

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*(?:[AQgw]==|[AEIMQUYcgkosw048]=)?")
_BLANKS: Final = str.maketrans("", "", _SPACE)
_MOMENT: Final = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d+", re.ASCII)


def is_text(text: str) -> bool:  # noqa: ARG001
    """xsd:string, xsd:anyURI."""
    return True


def is_base64(text: str) -> bool:
    """xsd:base64Binary (clause 3.2.16): also its last unused bits are zero."""
    packed = text.translate(_BLANKS)
    return len(packed) % 4 == 0 and _BASE64.fullmatch(packed) is not None


def is_moment(text: str) -> bool:
    """xsd:dateTime (clause 3.2.7)."""
    return _MOMENT.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """xsd:integer (clause 3.3.13)."""
    return _NUMBER.fullmatch(text) is not None
