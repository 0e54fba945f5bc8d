"""C14N 1.1 clause 2.4, the function join-URI-References: RFC 3986 clause 5.2 with the changes that let both arguments be relative."""

import re
from typing import Final

_PARTS: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def join(base: str, reference: str) -> str:
    """`reference` against `base`; a fragment is dropped, and so is the emptiness of a base that ends in `..`."""
    b_scheme, b_authority, b_path, b_query, _ = _split(base)
    scheme, authority, path, query, _ = _split(reference)
    if b_path == ".." or b_path.endswith("/.."):
        b_path += "/"
    if scheme is not None:
        return _unite(scheme, authority, _without_dots(path), query)
    if authority is not None:
        return _unite(b_scheme, authority, _without_dots(path), query)
    if not path:
        return _unite(b_scheme, b_authority, _without_dots(b_path), query if query is not None else b_query)
    if path.startswith("/"):
        return _unite(b_scheme, b_authority, _without_dots(path), query)
    if b_authority is not None and not b_path:
        merged = "/" + path
    else:
        merged = b_path[: b_path.rfind("/") + 1] + path
    return _unite(b_scheme, b_authority, _without_dots(merged), query)


def _split(uri: str) -> tuple[str | None, str | None, str, str | None, str | None]:
    match = _PARTS.fullmatch(uri)
    if match is None:
        return None, None, uri, None, None
    scheme, authority, path, query, fragment = match.groups()
    return scheme, authority, path or "", query, fragment


def _unite(scheme: str | None, authority: str | None, path: str, query: str | None) -> str:
    made = f"{scheme}:" if scheme is not None else ""
    if authority is not None:
        made += f"//{authority}"
    made += path
    return made if query is None else f"{made}?{query}"


def _without_dots(path: str) -> str:
    """RFC 3986 clause 5.2.4, with leading `..` segments kept where there is nothing left to take away, and runs of `/` made one."""
    path = re.sub("/+", "/", path)
    rooted = path.startswith("/")
    segments = path[1:].split("/") if rooted else path.split("/")
    kept: list[str] = []
    for i, segment in enumerate(segments):
        last = i == len(segments) - 1
        if segment == ".":
            if last:
                kept.append("")
        elif segment == "..":
            if kept and kept[-1] != "..":
                kept.pop()
            elif not rooted:
                kept.append("..")
            if last:
                kept.append("")
        else:
            kept.append(segment)
    joined = "/".join(kept)
    if not rooted and joined.startswith("/"):
        joined = joined.lstrip("/")
    return "/" + joined if rooted else joined
