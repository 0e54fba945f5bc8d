"""A small strict check of JSON Schema (2020-12): the keywords that our schemas use and no others, and every object closed.

The published schema leaves objects open, because fields may be added; what we write today must be in it.
"""

import re
from collections.abc import Iterator
from typing import Any

_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "null": lambda v: v is None,
}
_KNOWN = {"type", "properties", "required", "items", "enum", "pattern", "minimum", "anyOf", "$ref"} | {"description", "title", "$schema", "$defs"}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$") -> Iterator[str]:
    """What is wrong with `value`, place by place."""
    root = root or schema
    if unknown := set(schema) - _KNOWN:
        raise NotImplementedError(f"schema keywords {unknown}")
    if "$ref" in schema:
        yield from faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema:
        each = [list(faults(value, s, root, at)) for s in schema["anyOf"]]
        if all(each):
            yield from min(each, key=len)
    kinds = schema.get("type")
    if kinds is not None and not any(_TYPES[k](value) for k in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{at}: {kinds} expected, got {value!r:.60}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: one of {schema['enum']} expected, got {value!r:.60}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{at}: {schema['pattern']} expected, got {value!r:.60}"
    if "minimum" in schema and isinstance(value, int | float) and value < schema["minimum"]:
        yield f"{at}: at least {schema['minimum']} expected, got {value}"
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{at}: {k} is missing" for k in schema.get("required", ()) if k not in value)
        for key, inner in value.items():
            if key not in schema["properties"]:
                yield f"{at}: {key} is not in the schema"
            else:
                yield from faults(inner, schema["properties"][key], root, f"{at}.{key}")
    if isinstance(value, list) and "items" in schema:
        for number, inner in enumerate(value):
            yield from faults(inner, schema["items"], root, f"{at}[{number}]")
