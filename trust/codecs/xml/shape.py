"""Elements held to their schema, as far as a table says: which children in which order, which attributes, and no text where elements stand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trust.codecs.xml.names import split

ANY = "~"
"""In a model: an element of another namespace than its parent's."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an element may hold."""

    children: "re.Pattern[str]"
    """Names of its children, each followed by a comma."""
    attributes: frozenset[str]

    @classmethod
    def of(cls, model: str, *attributes: str) -> "Shape":
        return cls(re.compile(model), frozenset(attributes))


Shapes = Mapping[tuple[str, str], Shape]
"""By namespace and name."""


def misfit(element: Any, shapes: Shapes) -> str | None:
    """What is wrong with this element alone; None where nothing is, or where the table does not have it."""
    space, name = split(element.tag)
    if (shape := shapes.get((space, name))) is None:
        return None
    children = [split(child.tag) for child in element.iterchildren("*")]
    if shape.children.fullmatch("".join(f"{child if of == space else ANY}," for of, child in children)) is None:
        return f"{name} holds elements that its schema does not have there"
    # Attributes of other namespaces (xsi:schemaLocation) mean nothing to who reads the element.
    if any(not attribute.startswith("{") and attribute not in shape.attributes for attribute in element.attrib):
        return f"{name} has an attribute that its schema does not have"
    if (element.text or "").strip() or any((child.tail or "").strip() for child in element):
        return f"{name} holds text, where its schema has elements alone"
    return None
