"""The log's own key, in the instance: Ed25519, encrypted as the others are, and its verifier key for everybody. A witness's is kept the same way.

    log/key.pem         encrypted PKCS#8
    log/verifier-key    one line, NAME+ID+KEY: what whoever checks this log needs beforehand

The name of the key is the log's origin. It is fixed when the key is made: a log under another name is another log.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from trust.edge.files import read_small, told, write_atomically
from trust.edge.keystore import generate, read_key, write_key
from trust.errors import Conflict, KakuinError, Misconfigured, NotFound
from trust.log.note import Kind, Sign, VerifierKey, verifier_key

FOLDER, KEY, VERIFIER_KEY = "log", "key.pem", "verifier-key"


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key that signs notes, unlocked."""

    verifier: VerifierKey
    sign: Sign


def make(folder: Path, name: str, kind: Kind, secret: bytes) -> VerifierKey:
    """A new key in `folder`, which is made where it is missing. Conflict when one lies there: it is never replaced."""
    with told(f"make {folder}"):
        folder.mkdir(exist_ok=True)
    if (folder / VERIFIER_KEY).exists():
        raise Conflict(f"there is a key in {folder} already, and a log keeps its key")
    path = folder / KEY
    if path.exists():  # an interruption between the two files
        private = read_key(path, secret)
    else:
        private = generate(kind.algorithm.scheme)
    verifier = VerifierKey(name, kind, _signing(private, kind, path).public_key().public_bytes_raw())
    if not path.exists():
        write_key(path, private, secret)
    write_atomically(folder / VERIFIER_KEY, f"{verifier}\n".encode())
    return verifier


def verifier(folder: Path) -> VerifierKey:
    """NotFound where `folder` has no key; Misconfigured where it is none."""
    try:
        text = read_small(folder / VERIFIER_KEY, "verifier key", 4096).decode()
    except NotFound:
        raise NotFound(f"there is no key in {folder}") from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{folder / VERIFIER_KEY} is no verifier key: it is not UTF-8") from error
    try:
        return verifier_key(text)
    except KakuinError as error:
        raise Misconfigured(f"{folder / VERIFIER_KEY} is no verifier key: {error}") from error


def unlocked(folder: Path, secret: bytes) -> NoteKey:
    """The key with its verifier key. Misconfigured when the two do not belong together, or the passphrase is wrong."""
    known = verifier(folder)
    private = _signing(read_key(folder / KEY, secret), known.kind, folder / KEY)
    if private.public_key().public_bytes_raw() != known.public:
        raise Misconfigured(f"{folder / KEY} and {folder / VERIFIER_KEY} are not one key: restore both from one backup")
    return NoteKey(known, private.sign)


def _signing(private: object, kind: Kind, path: Path) -> Ed25519PrivateKey | MLDSA44PrivateKey:
    if not isinstance(private, MLDSA44PrivateKey if kind is Kind.WITNESS_ML_DSA else Ed25519PrivateKey):
        raise Misconfigured(f"key {path} is of {kind.algorithm.scheme}, got another type")
    return private
