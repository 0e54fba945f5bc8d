"""Lists of digests, as the tools that write them do."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services import program
from trust.codecs.sums import Sum, parsed

A = hashlib.sha256(b"a").hexdigest()
B = hashlib.sha512(b"a").hexdigest()

LINES = {
    A: Sum("", A, "", ""),
    f"{A}  a b.txt": Sum("", A, "a b.txt", "a b.txt"),
    f"{A} *a.bin": Sum("", A, "a.bin", "a.bin"),
    f"{A}  *a.bin": Sum("", A, "*a.bin", "*a.bin"),
    f"{A}   a": Sum("", A, " a", " a"),
    f"{A}  a ": Sum("", A, "a ", "a "),
    f"{A} a": Sum("", A, "a", "a"),
    f"{A}\ta": Sum("", A, "a", "a"),
    f"{A}  ": Sum("", A, "", ""),
    f"\\{A}  a\\nb\\\\c\\r": Sum("", A, "a\nb\\c\r", "a\\nb\\\\c\\r"),
    f"{A}  a\\nb": Sum("", A, "a\\nb", "a\\nb"),
    f"{A}  a\x0bb\u2028c\x85d": Sum("", A, "a\x0bb\u2028c\x85d", "a\x0bb\u2028c\x85d"),
    f"sha3_256:{A}": Sum("sha3_256", A, "", ""),
    f"SHA-256:{A.upper()}  a": Sum("sha256", A.upper(), "a", "a"),
    f"SHA256 (a (1).txt) = {A}": Sum("sha256", A, "a (1).txt", "a (1).txt"),
    f"\\SHA512 (a\\nb) = {B}": Sum("sha512", B, "a\nb", "a\\nb"),
    f"SHA2-256(a)= {A}": Sum("sha256", A, "a", "a"),
    f"SHA3-256(a)= {A}": Sum("sha3_256", A, "a", "a"),
}


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line(line: str) -> None:
    assert parsed(line) == LINES[line]


@pytest.mark.parametrize(
    "line", ["", "a.txt", f" {A}", f"{A}x", A[:31], f"\\{A}  a\\tb", f"\\{A}  a\\", f"SHA256 () = {A}", f"SHA256 (a) {A}"], ids=range(9)
)
def test_what_is_no_such_line(line: str) -> None:
    assert parsed(line) is None


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_line_or_none(text: str) -> None:
    for line in (text, f"\\{A}  {text}", f"\\SHA256 ({text}) = {A}"):
        found = parsed(line)
        assert found is None or found.digits


@pytest.mark.parametrize("more", [[], ["--binary"], ["--tag"]], ids=["text", "binary", "tag"])
def test_what_sha256sum_writes(more: list[str], tmp_path: Path) -> None:
    names = ["a", " a", "a ", "*a", "a\nb", "a\\b", "a) = b", "請求書", "a\u2028b", "a\x0cb"]
    for name in names:
        (tmp_path / name).write_text(name)
    out = subprocess.run([program("sha256sum"), *more, "--", *names], cwd=tmp_path, capture_output=True, check=True).stdout
    found = [parsed(line) for line in out.decode().split("\n")[:-1]]
    assert [(each.name, each.digits) for each in found if each] == [(name, hashlib.sha256(name.encode()).hexdigest()) for name in names]
