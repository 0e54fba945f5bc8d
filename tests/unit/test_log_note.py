"""Signed notes, checkpoints, cosignatures and receipts: read as C2SP writes them, and refused where they are anything else."""

import base64
import contextlib
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from trust.errors import Malformed, Unacceptable
from trust.log import note, receipt
from trust.log.note import Checkpoint, Kind, Note, VerifierKey
from trust.log.page import entry_data
from trust.log.receipt import Receipt
from trust.log.tree import leaf_hash, node_hash

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
LOG = VerifierKey("log.example/1", Kind.LOG, PRIVATE.public_key().public_bytes_raw())
WITNESS = VerifierKey("witness.example/w", Kind.WITNESS, OTHER.public_key().public_bytes_raw())
TOKEN = entry_data("token", 1_700_000_000_000_000, b"a token")
SEALED = b"a sealed file"
SEAL = entry_data("seal", 5, b'{"sealed":"' + hashlib.sha256(SEALED).hexdigest().encode() + b'"}')
ROOT = node_hash(leaf_hash(TOKEN), leaf_hash(SEAL))
CHECKPOINT = Checkpoint(LOG.name, 2, ROOT)


def signed(checkpoint: Checkpoint = CHECKPOINT, *, cosigned: bool = True) -> Note:
    text = checkpoint.text
    lines = [note.signature(LOG, PRIVATE.sign, text)]
    if cosigned:
        lines.append(note.signature(WITNESS, OTHER.sign, text, 1_700_000_000))
    return Note(text, tuple(lines))


def test_the_specifications_own_example() -> None:
    """C2SP signed-note, verifier keys, example."""
    key = note.verifier_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    line = "example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    parsed = note.parse_note(f"This is an example message.\n\n\u2014 {line}\n".encode())
    assert parsed.signed_by([key]) == (key,)
    with pytest.raises(Malformed, match="does not verify"):
        Note("This is another message.\n", parsed.signatures).signed_by([key])


def test_a_checkpoint_and_its_cosignature() -> None:
    data = bytes(signed())
    assert note.parse_note(data) == signed()
    assert note.opened(data, LOG, [WITNESS]) == (CHECKPOINT, (WITNESS,))
    assert note.opened(data, LOG) == (CHECKPOINT, ())
    assert note.cosigned_at(signed().signatures[1]) == 1_700_000_000
    assert note.verifier_key(str(LOG)) == LOG and note.verifier_key(f"{WITNESS}\n") == WITNESS


def test_signatures_of_strangers_are_ignored_and_wrong_ones_are_not() -> None:
    stranger = replace(LOG, name="log.example/2")
    more = signed().with_signatures([note.signature(stranger, OTHER.sign, CHECKPOINT.text)])
    assert note.opened(bytes(more), LOG) == (CHECKPOINT, ())
    forged = signed(cosigned=False).with_signatures([note.Signature(WITNESS.name, WITNESS.id, signed().signatures[1].value[:8] + bytes(64))])
    assert note.opened(bytes(forged), LOG) == (CHECKPOINT, ())
    with pytest.raises(Malformed, match=r"witness.example/w, and does not verify"):
        note.opened(bytes(forged), LOG, [WITNESS])
    with pytest.raises(Malformed, match=r"not signed by log.example/2"):
        note.opened(bytes(signed()), stranger)
    with pytest.raises(Malformed, match=r"origin is log.example/1, got another"):
        note.opened(bytes(signed(replace(CHECKPOINT, origin="log.example/3"))), LOG)


STRANGERS = {
    "a long name": [note.Signature("n" * 300, b"1234", bytes(64))],
    "a name with characters that nobody sees": [note.Signature("w\u200b\u00ad.example", b"1234", bytes(64))],
    "the longest signatures that there are": [note.Signature(f"ml-dsa-87.example/{n}", b"12%02d" % n, bytes(8 + 4627)) for n in range(15)],
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_strangers_sign_with_is_their_affair(name: str) -> None:
    """C2SP signed-note: signatures of unknown keys must be ignored, and 16 accepted at least."""
    assert note.opened(bytes(signed(cosigned=False).with_signatures(STRANGERS[name])), LOG) == (CHECKPOINT, ())


@pytest.mark.parametrize("name", ["", "a+b", "a\u00a0b", "a\u2003b", "a\u3000b", "a\tb"])
def test_names_that_no_key_has(name: str) -> None:
    with pytest.raises(Malformed):
        note.parse_note(bytes(signed().with_signatures([note.Signature(name, b"1234", bytes(64))])))


def test_a_log_and_a_witness_sign_differently() -> None:
    with pytest.raises(Unacceptable):
        note.signature(LOG, PRIVATE.sign, "x\n", 5)
    with pytest.raises(Unacceptable):
        note.signature(WITNESS, OTHER.sign, "x\n")
    as_log = VerifierKey(WITNESS.name, Kind.LOG, WITNESS.public)
    assert as_log.id != WITNESS.id


def test_a_cosignature_of_ml_dsa_is_over_what_c2sp_says() -> None:
    """C2SP tlog-cosignature, ML-DSA-44 signed message: label, name, time, origin, the whole tree."""
    private = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    key = VerifierKey("w.example/pq", Kind.WITNESS_ML_DSA, private.public_key().public_bytes_raw())
    assert key.id == hashlib.sha256(b"w.example/pq\n\x06" + key.public).digest()[:4] and note.verifier_key(str(key)) == key
    line = note.signature(key, private.sign, CHECKPOINT.text, 1_700_000_000)
    numbers = [(1_700_000_000).to_bytes(8, "big"), bytes(8), (2).to_bytes(8, "big")]
    message = b"subtree/v1\n\0" + b"\x0cw.example/pq" + numbers[0] + b"\x0dlog.example/1" + numbers[1] + numbers[2] + ROOT
    private.public_key().verify(line.value[8:], message)
    assert len(line.value) == 8 + 2420 and line.value[:8] == numbers[0] and note.cosigned_at(line) == 1_700_000_000
    whole = signed().with_signatures([line])
    assert note.opened(bytes(whole), LOG, [WITNESS, key]) == (CHECKPOINT, (WITNESS, key))
    later = note.Signature(key.name, key.id, (1_700_000_001).to_bytes(8, "big") + line.value[8:])
    with pytest.raises(Malformed, match="does not verify"):
        note.opened(bytes(signed().with_signatures([later])), LOG, [key])
    never = note.Signature(key.name, key.id, bytes(8) + private.sign(message.replace(numbers[0], bytes(8))))
    with pytest.raises(Malformed, match="does not verify"):
        note.opened(bytes(signed().with_signatures([never])), LOG, [key])
    renamed = VerifierKey("w.example/other", Kind.WITNESS_ML_DSA, key.public)
    with pytest.raises(Malformed, match="does not verify"):
        note.opened(bytes(signed().with_signatures([replace(line, name=renamed.name, id=renamed.id)])), LOG, [renamed])
    with pytest.raises(Malformed, match="at most 255 bytes"):
        VerifierKey("証" * 86, Kind.WITNESS_ML_DSA, key.public)
    with pytest.raises(Malformed, match="1312 bytes, got 32"):
        VerifierKey("w", Kind.WITNESS_ML_DSA, bytes(32))
    far = replace(CHECKPOINT, origin="o" * 256)
    with pytest.raises(Malformed, match="at most 255 bytes"):
        note.signature(key, private.sign, far.text, 1)


GOOD = bytes(signed())
LINES = GOOD.split(b"\n")
BAD = {
    "no signature": CHECKPOINT.text.encode(),
    "no signature after the gap": CHECKPOINT.text.encode() + b"\n",
    "no last line feed": GOOD[:-1],
    "carriage returns": GOOD.replace(b"\n", b"\r\n"),
    "not utf-8": GOOD.replace(b"log.example", b"log.ex\xffample"),
    "a hyphen for the dash": GOOD.replace("\u2014".encode(), b"-"),
    "two spaces": GOOD.replace(b"/w ", b"/w  "),
    "base64 without padding": GOOD.replace(b"=\n", b"\n"),
    "leading zero": GOOD.replace(b"\n2\n", b"\n02\n"),
    "negative": GOOD.replace(b"\n2\n", b"\n-2\n"),
    "over 2**63": GOOD.replace(b"\n2\n", b"\n9999999999999999999\n"),
    "a root of 31 bytes": GOOD.replace(LINES[2], base64.b64encode(bytes(31))),
    "an empty origin": GOOD.replace(LOG.name.encode() + b"\n2", b"\n2", 1),
    "too long": GOOD + b"\n" * note.MAX_NOTE,
    "too many signatures": GOOD + (LINES[4] + b"\n") * note.MAX_SIGNATURES,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_checkpoint(name: str) -> None:
    with pytest.raises(Malformed) as caught:
        note.opened(BAD[name], LOG)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "log.example/1+00000000+" + str(LOG).rpartition("+")[2], str(LOG)[:-4], "log.example/1+00000000+Ag==", "a b+x+AA=="]
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(Malformed):
        note.verifier_key(text)


def test_a_receipt_shows_a_token() -> None:
    made = Receipt(0, (leaf_hash(SEAL),), signed(), receipt.extra_of("token", TOKEN))
    data = bytes(made)
    assert data.startswith(b"c2sp.org/tlog-proof@v1\nextra ") and b"a token" not in base64.b64decode(data.split()[2])
    parsed = receipt.parse_receipt(data)
    assert parsed == made
    shown = receipt.verify(parsed, b"a token", LOG, [WITNESS])
    assert (shown.checkpoint, shown.said.kind, shown.said.at, shown.witnesses) == (CHECKPOINT, "token", 1_700_000_000_000_000, (WITNESS,))
    for wrong, content in (
        (parsed, b"another token"),
        (replace(parsed, index=1), b"a token"),
        (replace(parsed, path=()), b"a token"),
        (replace(parsed, extra=None), b"a token"),
        (replace(parsed, extra=TOKEN), b""),
        (replace(parsed, extra=b"token\n" + bytes(8)), b"a token"),
        (replace(parsed, note=signed(replace(CHECKPOINT, origin="x"))), b"a token"),
    ):
        with pytest.raises(Malformed):
            receipt.verify(wrong, content, LOG)


def test_a_receipt_shows_a_seal_by_its_digest() -> None:
    made = Receipt(1, (leaf_hash(TOKEN),), signed(), receipt.extra_of("seal", SEAL))
    assert receipt.verify(receipt.parse_receipt(bytes(made)), SEALED, LOG).said.kind == "seal"
    with pytest.raises(Malformed, match="another sealed file"):
        receipt.verify(made, b"another file", LOG)


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_strangers_bytes_are_malformed_and_nothing_else(data: bytes, at: int, cut: int) -> None:
    mixed = GOOD[:at] + data + GOOD[at + cut :]
    for parse in (note.parse_note, receipt.parse_receipt, lambda d: note.opened(d, LOG, [WITNESS])):
        for each in (data, mixed, b"c2sp.org/tlog-proof@v1\nindex 1\n\n" + mixed):
            with contextlib.suppress(Malformed):
                parse(each)
