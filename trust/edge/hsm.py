"""Private keys behind PKCS#11: in a hardware security module, or SoftHSM. They are made there, sign there, and never leave.

**One session on one thread.** python-pkcs11 initialises a module without locks, and sessions in several threads crash the process. So each module
has one thread of ours, on which everything that touches it happens, with one session for each token; everybody else waits for its answer, a
bounded time. A module that hangs makes its callers wait once; until it comes back they are told at once that it is away.

**Lost sessions.** Whatever error a module reports, its sessions are dropped and the call is made once more on new ones, the second time with the
module initialised anew. A PIN that was refused is not tried again: three wrong ones lock many tokens.
"""

import copy
import hashlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import MGF, Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from trust.algorithms import Algorithm, pss, under
from trust.edge.keystore import SIGNING_DIGESTS, algorithm_of, encoded
from trust.edge.units import KeySettings
from trust.errors import KakuinError, Misconfigured, NotFound, Unacceptable, Unavailable
from trust.model import Cert

SECONDS = 10.0
"""For one call: signing takes milliseconds, and a module over a network may have to be reached again."""
MAKING_SECONDS = 300.0
"""For a new key: an RSA-4096 in a small module takes minutes."""

_CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
_RSA_BITS = {"rsa3072": 3072, "rsa4096": 4096}
_ED25519 = "1.3.101.112"
_RSA = {"sha256": Mechanism.SHA256_RSA_PKCS, "sha384": Mechanism.SHA384_RSA_PKCS, "sha512": Mechanism.SHA512_RSA_PKCS}
_PSS = {
    "sha256": (Mechanism.SHA256_RSA_PKCS_PSS, Mechanism.SHA256, MGF.SHA256),
    "sha384": (Mechanism.SHA384_RSA_PKCS_PSS, Mechanism.SHA384, MGF.SHA384),
    "sha512": (Mechanism.SHA512_RSA_PKCS_PSS, Mechanism.SHA512, MGF.SHA512),
}
_PIN_ERRORS = (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.PinInvalid, pkcs11.PinLenRange)

T = TypeVar("T")


class Module:
    """One PKCS#11 library with its thread. Its methods with an underscore run on that thread alone."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._late: Future[Any] | None = None
        """A call that took too long, and may still be in the library."""
        self._library: Any = None
        self._sessions: dict[str, Any] = {}
        self._refused_pins: dict[str, bytes] = {}
        """By token: the digest of a PIN that it did not take."""
        # A daemon: a library that hangs must not keep the process from ending.
        threading.Thread(target=self._run, name="pkcs11", daemon=True).start()

    def _run(self) -> None:
        while True:
            job, future = self._work.get()
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001  # whoever waits gets it
                future.set_exception(error)

    def call(self, token: str, pin: Callable[[], str], job: Callable[[Any], T], seconds: float = SECONDS) -> T:
        """`job` with a session of `token`, on the module's thread. Unavailable when module or token do not answer; what `job` raises."""
        if self._late is not None and not self._late.done():
            raise Unavailable("the PKCS#11 module hangs")
        future: Future[T] = Future()
        self._work.put((partial(self._attempted, token, pin, job), future))
        try:
            return future.result(seconds)
        except TimeoutError:
            self._late = future
            raise Unavailable(f"the PKCS#11 module did not answer within {seconds:g} seconds") from None

    def _attempted(self, token: str, pin: Callable[[], str], job: Callable[[Any], T]) -> T:
        failure: pkcs11.PKCS11Error | None = None
        for mend in (None, self._drop, self._restart):
            try:
                if mend is not None:
                    mend()
                return job(self._session(token, pin))
            except _PIN_ERRORS as error:
                self._refused_pins[token] = _digest(pin())
                raise Unavailable(f"token {token!r} does not take the PIN ({type(error).__name__})") from error
            except pkcs11.PKCS11Error as error:
                failure = error
        self._drop()
        raise Unavailable(f"token {token!r}: {type(failure).__name__}") from failure

    def _session(self, token: str, pin: Callable[[], str]) -> Any:
        if token not in self._sessions:
            if self._library is None:
                self._library = _load(self.path)
            secret = pin()
            if self._refused_pins.get(token) == _digest(secret):
                raise Unavailable(f"token {token!r} did not take the PIN before, and it is the same: it is not tried again")
            self._sessions[token] = self._library.get_token(token_label=token).open(user_pin=secret, rw=True)
        return self._sessions[token]

    def _drop(self) -> None:
        """Forget the sessions; close those that can be closed."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            try:
                session.close()
            except pkcs11.PKCS11Error:
                continue  # lost already

    def _restart(self) -> None:
        """Initialise the library anew: some see a token that was away only then."""
        self._drop()
        if self._library is not None:
            self._library.reinitialize()


def _load(path: str) -> Any:
    try:
        return pkcs11.lib(path)
    except RuntimeError as error:  # the dynamic loader's words
        raise Unavailable(f"PKCS#11 module {path} cannot be loaded") from error


def _digest(pin: str) -> bytes:
    return hashlib.sha256(pin.encode()).digest()


_MODULES: dict[str, Module] = {}
_MAKING = threading.Lock()


def module(path: str) -> Module:
    """The one of this process for the library at `path`."""
    with _MAKING:
        if path not in _MODULES:
            _MODULES[path] = Module(path)
        return _MODULES[path]


class TokenKey:
    """`trust.ports.Key` over a key in a token. Nothing is opened before the first signature, so that a token that is away stops nobody else."""

    def __init__(self, unit: KeySettings, label: str, certificate: Cert, chain: tuple[Cert, ...]) -> None:
        public = certificate.x509.public_key()
        self._unit = unit
        self._label = label
        self._certificate = certificate
        self._chain = chain
        self._algorithm = pss("sha256") if unit.padding == "pss" and isinstance(public, rsa.RSAPublicKey) else algorithm_of(public)
        self._public = encoded(public)
        self._width = public.curve.key_size if isinstance(public, ec.EllipticCurvePublicKey) else 0
        if self._algorithm.scheme not in ("ecdsa", "rsa-pkcs1", "rsa-pss", "ed25519"):
            raise Misconfigured(f"{self._algorithm} is not made behind PKCS#11 here")
        self._module = module(unit.pkcs11_module)
        self._held: tuple[Any, Any] = (None, None)
        """The session in which the key was found, and its handle."""

    @property
    def certificate(self) -> Cert:
        return self._certificate

    @property
    def chain(self) -> tuple[Cert, ...]:
        return self._chain

    @property
    def algorithm(self) -> Algorithm:
        return self._algorithm

    def sign(self, data: bytes) -> bytes:
        return self._called(partial(self._signed, data))

    def under(self, digest: str) -> "TokenKey":
        """trust.ports.SealKey. PKCS #11 has no SHA3 for RSA that modules are known to offer; ECDSA's digest is made on this side."""
        rsa_digests = _PSS if self._algorithm.scheme == "rsa-pss" else _RSA
        possible = rsa_digests if self._algorithm.scheme.startswith("rsa") else SIGNING_DIGESTS
        if digest not in possible:
            raise Unacceptable(f"this key in its token signs with one of {', '.join(possible)}")
        other = copy.copy(self)
        other._algorithm = under(self._algorithm, digest)  # of this class
        return other

    def find(self) -> None:
        """Look whether the key is there, and use it for nothing. Unavailable."""
        self._called(partial(_private, label=self._label, public=self._public))

    def _called(self, job: Callable[[Any], T]) -> T:
        try:
            return self._module.call(self._unit.pkcs11_token, self._unit.pin, job)
        except Unavailable:
            raise
        except KakuinError as error:  # no key of that name, no PIN: it may be there at the next attempt
            raise Unavailable(str(error)) from error

    def _signed(self, data: bytes, session: Any) -> bytes:
        """On the module's thread."""
        if self._held[0] is not session:
            self._held = (session, _private(session, self._label, self._public))
        return _signature(self._held[1], self._algorithm, self._width, data)

    def __repr__(self) -> str:
        return f"TokenKey({self._certificate.name!r})"


def _signature(key: Any, algorithm: Algorithm, width: int, data: bytes) -> bytes:
    digest = algorithm.digest or ""
    match algorithm.scheme:
        case "ecdsa":
            # The raw mechanism: SoftHSM, and many modules, have no other.
            raw = key.sign(_cut(hashlib.new(digest, data).digest(), width), mechanism=Mechanism.ECDSA)
            half = len(raw) // 2
            return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        case "rsa-pss":
            mechanism, hashing, mask = _PSS[digest]
            return bytes(key.sign(data, mechanism=mechanism, mechanism_param=(hashing, mask, algorithm.salt)))
        case "rsa-pkcs1":
            return bytes(key.sign(data, mechanism=_RSA[digest]))
    return bytes(key.sign(data, mechanism=Mechanism.EDDSA))


def _cut(digest: bytes, width: int) -> bytes:
    """FIPS 186-5 section 6.4.1: the leftmost bits, where the digest is longer than the curve's order."""
    return digest[: (width + 7) // 8]


def _private(session: Any, label: str, public: bytes) -> Any:
    """The private half of the key pair with this label and SubjectPublicKeyInfo. A token may hold several of a label: those before a roll-over."""
    for candidate in _found(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: label}):
        found = _public(candidate)
        if found is not None and encoded(found) == public:
            keys = _found(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: candidate[Attribute.ID]})
            fitting = [key for key in keys if key.key_type == candidate.key_type]
            # Ceremonies give one identifier to several pairs: then the label decides. A wrong one is noticed, because tokens are checked.
            for key in sorted(fitting, key=lambda key: key.label != label):
                return key
    raise NotFound(f"the token has no key pair {label!r} that belongs to the unit's certificate")


def _found(session: Any, template: dict[Attribute, Any]) -> list[Any]:
    """All of them: a search that is left half-way blocks its session."""
    return list(session.get_objects(template))


def _public(candidate: Any) -> PublicKeyTypes | None:
    """A public key object as a key; None for a kind that is not used here."""
    if candidate.key_type == KeyType.RSA:
        modulus, exponent = candidate[Attribute.MODULUS], candidate[Attribute.PUBLIC_EXPONENT]
        return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    if candidate.key_type not in (KeyType.EC, KeyType.EC_EDWARDS):
        return None
    parameters, point = bytes(candidate[Attribute.EC_PARAMS]), _unwrapped(bytes(candidate[Attribute.EC_POINT]))
    if candidate.key_type == KeyType.EC_EDWARDS:
        return ed25519.Ed25519PublicKey.from_public_bytes(point) if len(point) == 32 else None
    for curve in _CURVES.values():
        if parameters == encode_named_curve_parameters(curve.name):
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    return None


def _unwrapped(point: bytes) -> bytes:
    """PKCS #11 section 6.3.3: CKA_EC_POINT is an OCTET STRING around the point; some tokens leave it out."""
    if point[:1] == b"\x04" and len(point) > 2:
        if point[1] < 0x80 and len(point) == point[1] + 2:
            return point[2:]
        if point[1] == 0x81 and len(point) == point[2] + 3:
            return point[3:]
    return point


def label_of(unit: KeySettings, name: str) -> str:
    """Of the unit's key pairs in its token."""
    return unit.pkcs11_key or f"kakuin-{name}"


def token_key(unit: KeySettings, name: str, certificate: Cert, chain: tuple[Cert, ...]) -> TokenKey:
    """The key `name`, as its unit's settings say where it is."""
    return TokenKey(unit, label_of(unit, name), certificate, chain)


def make_key(unit: KeySettings, name: str, key_type: str, taken: frozenset[bytes] = frozenset()) -> PublicKeyTypes:
    """The public half of a key pair in the unit's token that has no certificate yet: one that waits there, from a ceremony or an interruption, or
    a new one. `taken`: SubjectPublicKeyInfo of those that have. Unacceptable for a type that no token makes here; Unavailable.
    """
    if key_type not in {*_CURVES, *_RSA_BITS, "ed25519"}:
        raise Unacceptable(f"a key behind PKCS#11 is one of {', '.join((*_CURVES, *_RSA_BITS))}, ed25519, got {key_type[:20]!r}")
    job = partial(_made, label=label_of(unit, name), key_type=key_type, taken=taken)
    return module(unit.pkcs11_module).call(unit.pkcs11_token, unit.pin, job, MAKING_SECONDS)


def _made(session: Any, label: str, key_type: str, taken: frozenset[bytes]) -> PublicKeyTypes:
    for candidate in _found(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: label}):
        found = _public(candidate)
        if found is not None and encoded(found) not in taken:
            _require_type(found, key_type, label)
            return found
    options: dict[str, Any] = {
        "store": True,
        "label": label,
        "id": os.urandom(16),
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
    }
    if key_type in _RSA_BITS:
        public, _ = session.generate_keypair(KeyType.RSA, _RSA_BITS[key_type], **options)
    else:
        kind = KeyType.EC_EDWARDS if key_type == "ed25519" else KeyType.EC
        curve = encode_named_curve_parameters(_ED25519 if key_type == "ed25519" else _CURVES[key_type].name)
        parameters = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: curve}, local=True)
        if kind == KeyType.EC_EDWARDS:
            options["mechanism"] = Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        public, _ = parameters.generate_keypair(**options)
    made = _public(public)
    if made is None:
        raise Unavailable("the token made a key that cannot be read back")
    return made


def _require_type(key: PublicKeyTypes, key_type: str, label: str) -> None:
    match key:
        case ec.EllipticCurvePublicKey():
            found = next((name for name, curve in _CURVES.items() if key.curve.name == curve.name), key.curve.name)
        case rsa.RSAPublicKey():
            found = f"rsa{key.key_size}"
        case _:
            found = "ed25519"
    if found != key_type:
        raise Unacceptable(f"a key pair {label!r} of type {found} waits in the token, and {key_type} is wanted: delete it, or set key_type")
