"""The Merkle tree of RFC 6962: known roots, and proofs that hold for what they show and for nothing else."""

import contextlib
import functools
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trust.errors import Malformed, NotFound, Unacceptable
from trust.log import layout, tree
from trust.log.layout import ENTRIES, Tile
from trust.log.tree import EMPTY, EMPTY_ROOT, Frontier, leaf_hash, node_hash, root_of

# The leaves of the reference implementation's tests (Certificate Transparency, merkletree); its roots for 0 to 8 of them.
LEAVES = tuple(
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
MOST = 1400
"""Leaves: more than five full tiles, so that a tile of level 1 is begun."""


@functools.cache
def hashes() -> tuple[bytes, ...]:
    return tuple(leaf_hash(n.to_bytes(4, "big")) for n in range(MOST))


@functools.cache
def nodes() -> tuple[bytes, ...]:
    """Over full tiles of level 0."""
    return tuple(root_of(hashes()[at : at + 256]) for at in range(0, MOST - 255, 256))


def tiles(level: int, number: int, width: int) -> bytes:
    row = (hashes(), nodes())[level]
    return b"".join(row[number * 256 : number * 256 + width])


@functools.cache
def root(size: int) -> bytes:
    return reference(hashes()[:size])


def reference(leaves: tuple[bytes, ...]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(reference(leaves[:k]), reference(leaves[k:]))


sizes = st.integers(1, MOST)


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_known_roots(size: int) -> None:
    assert root_of(map(leaf_hash, LEAVES[:size])).hex() == ROOTS[size]


def test_a_known_path() -> None:
    """The reference implementation's first path of its tree of eight leaves."""
    leaves = [leaf_hash(each) for each in LEAVES]
    path = tree.inclusion(lambda _l, _n, width: b"".join(leaves[:width]), 0, 8)
    assert [each.hex() for each in path] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


@given(sizes, st.integers(0, MOST))
@settings(max_examples=60, deadline=None)
def test_a_tree_grows_to_the_same_root_in_any_steps(size: int, first: int) -> None:
    first = min(first, size)
    half, lower = EMPTY.grown(hashes()[:first])
    whole, upper = half.grown(hashes()[first:size])
    assert whole.root() == root(size) and whole.size == size
    assert [n.hash for n in (*lower, *upper) if n.level == 1] == list(nodes()[: size // 256])
    assert tree.frontier_of(tiles, size) == whole


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_inclusion(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion(tiles, index, size)
    leaf = hashes()[index]
    assert tree.includes(leaf, index, size, path, root(size))
    other = data.draw(st.integers(0, MOST - 1))
    if other != index:
        assert not tree.includes(hashes()[other], index, size, path, root(size))
        assert not tree.includes(leaf, other, size, path, root(size))
    assert not tree.includes(leaf, index, size, path, hashes()[0] if size > 1 else EMPTY_ROOT)
    assert not tree.includes(leaf, index, size, (*path, leaf), root(size))
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not tree.includes(leaf, index, size, (*path[:at], leaf_hash(path[at]), *path[at + 1 :]), root(size))
        assert not tree.includes(leaf, index, size, path[:-1], root(size))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_consistency(data: st.DataObject) -> None:
    new = data.draw(sizes)
    old = data.draw(st.integers(1, new))
    path = tree.consistency(tiles, old, new)
    assert tree.extends(old, root(old), new, root(new), path)
    assert tree.extends(0, EMPTY_ROOT, new, root(new), ())
    forged = leaf_hash(b"forged")
    assert not tree.extends(old, forged, new, root(new), path)
    assert not tree.extends(old, root(old), new, forged, path)
    assert not tree.extends(old, root(old), new, root(new), (*path, forged))
    assert not tree.extends(0, forged, new, root(new), ())
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not tree.extends(old, root(old), new, root(new), (*path[:at], forged, *path[at + 1 :]))
        assert not tree.extends(old, root(old), new, root(new), path[1:])
        assert not tree.extends(new, root(new), old, root(old), path)


def test_two_trees_of_one_size_are_the_same_or_not() -> None:
    assert tree.extends(5, root(5), 5, root(5), ())
    assert not tree.extends(5, root(5), 5, root(6), ())
    assert not tree.extends(5, root(5), 5, root(5), (root(5),))


def test_what_no_tree_has() -> None:
    with pytest.raises(Unacceptable, match="a tree of 3 leaves"):
        tree.inclusion(tiles, 3, 3)
    with pytest.raises(Unacceptable, match="smaller tree to a larger"):
        tree.consistency(tiles, 4, 3)
    with pytest.raises(Malformed, match="a frontier of 3 leaves has 2 hashes"):
        Frontier(3, (b"x" * 32,))
    with pytest.raises(Malformed, match="tile 0 of level 0 is 96 bytes, got 3"):
        tree.inclusion(lambda *_: b"xyz", 0, 3)


PATHS = {
    Tile(0, 0): "tile/0/000",
    Tile(1, 5, 17): "tile/1/005.p/17",
    Tile(2, 1_234_067): "tile/2/x001/x234/067",
    Tile(0, 1000, 255): "tile/0/x001/000.p/255",
    Tile(ENTRIES, 999): "tile/entries/999",
}


@pytest.mark.parametrize("tile", PATHS, ids=lambda t: PATHS[t])
def test_tiles_have_the_paths_that_c2sp_gives_them(tile: Tile) -> None:
    assert tile.path == PATHS[tile]
    assert layout.tile_at(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/0/x000/001",
        "tile/0/1000",
        "tile/0/001/000",
        "tile/64/000",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/8/0/000",
        "tile/-1/000",
        "tile/entries/000.p/",
        "tile/0/../0/000",
        "tile/0/000\n",
        "tile/63/001",
        "tile/0/\u0660\u0660\u0660",
        "checkpoint",
    ],
    ids=repr,
)
def test_what_is_no_tiles_path(path: str) -> None:
    with pytest.raises(NotFound):
        layout.tile_at(path)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
@settings(max_examples=40, deadline=None)
def test_bundles_are_read_as_they_were_written(entries: list[bytes]) -> None:
    data = layout.bundle(entries)
    assert layout.unbundled(data, len(entries)) == entries
    for wrong in (len(entries) + 1, len(entries) - 1):
        with pytest.raises(Malformed):
            layout.unbundled(data, wrong)
    for cut in (data[:-1], data + b"\0"):
        with pytest.raises(Malformed):
            layout.unbundled(cut, len(entries))


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_strangers_leaves_are_read_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        said = layout.said_by(data)
        assert said.kind.encode() + b"\n" + said.at.to_bytes(8, "big") + said.body == data
