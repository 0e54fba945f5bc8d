"""Successors: a new key and certificate in the place of those that end or were revoked. The old ones are kept.

    keys/next/NAME.pem             certificates/next/NAME.pem               while it happens
    keys/retired/NAME-SERIAL.pem   certificates/retired/NAME-SERIAL.pem     afterwards; SERIAL is that of the old certificate

Interrupted at whatever point, the next call finishes it: a key that waits is used, a certificate that waits is put in its place.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trust.edge.files import sync_folder, told, write_atomically
from trust.edge.keystore import encoded, generate, pem_of, read_certificates, read_key, write_key
from trust.edge.units import DEFAULT_UNIT, key_name, unit_name, wrong_name
from trust.errors import Conflict, NotFound, Unacceptable
from trust.model import Cert

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.pki.profiles import Subject

KEYS, CERTIFICATES, NEXT, RETIRED = "keys", "certificates", "next", "retired"
UNIT, RESPONDER, SEAL = "tsu", "ocsp", "seal-"
_NUMBER = re.compile(r" [0-9]{1,9}$")


@dataclass(frozen=True, slots=True)
class Renewal:
    """What took whose place."""

    name: str
    certificate: Cert
    retired: Cert


def renewable(name: str) -> bool:
    return name == RESPONDER or name.startswith(SEAL) or unit_name(name) is not None


def waiting(folder: Path, name: str) -> bool:
    """Whether a renewal was interrupted when nothing but files were left to move: the key and the certificate may not belong together."""
    return (folder / CERTIFICATES / NEXT / f"{name}.pem").exists()


def profile_of(name: str) -> str:
    """Unacceptable for a key that has no successor here."""
    if not renewable(name):
        # Both issue for as long as what hangs on them lasts: another one beside them is another installation.
        raise Unacceptable(
            f"what is renewed is tsu, ocsp or seal-<number>, got {name[:30]!r}: for a new root or issuing authority make a new instance"
        )
    if name.startswith(SEAL):
        return "seal"
    return RESPONDER if name == RESPONDER else UNIT


def succeed(instance: "Instance", name: str, subject: "Subject | None" = None) -> Renewal:
    """Give the key `name` a successor: under `subject`, or the subject of the one before; a time-stamping unit gets its next number.

    The caller holds the instance. NotFound, Unacceptable; Unavailable when it cannot be recorded, and then everything is as it was.
    """
    profile = profile_of(name)
    retired = instance.certificate(name)
    if not waiting(instance.folder, name):
        _prepare(instance, name, profile, subject or _same(instance, retired, profile), retired)
    certificate = _put_in_place(instance.folder, name, retired)
    unit = instance.key_settings(name)
    if unit is not None and unit.in_token:  # it moved there from a file, which is kept with the retired ones
        (instance.folder / KEYS / f"{name}.pem").unlink(missing_ok=True)
    instance.forget(name)
    return Renewal(name, certificate, retired)


def _same(instance: "Instance", retired: Cert, profile: str) -> "Subject":
    from trust.pki.profiles import Subject

    before = Subject.of(retired)
    if profile != UNIT:
        return before
    issued = (i.certificate.name for i in instance.authority.certificates() if i.profile == UNIT)
    return replace(before, common_name=next_name(before.common_name, issued))


def next_name(name: str, taken: Iterable[str]) -> str:
    """RFC 3161 section 2.4.2: the authority's name and the serial number together identify a token, and each unit counts from 1.

    So a unit's name ends in a number that no unit had before: `… Time-Stamping Unit 1`, then `… Time-Stamping Unit 2`.
    """
    stem = _NUMBER.sub("", name)
    numbers = [re.fullmatch(re.escape(stem) + r" ([0-9]{1,9})", other) for other in (name, *taken)]
    return f"{stem} {max((int(n[1]) for n in numbers if n), default=1) + 1}"


def _prepare(instance: "Instance", name: str, profile: str, subject: "Subject", retired: Cert) -> None:
    """Key, certificate, journal; in this order, so that what was recorded is never without its key."""
    subject.name()  # refuse before anything is written
    keys, certificates = instance.folder / KEYS / NEXT, instance.folder / CERTIFICATES / NEXT
    with told(f"write in {instance.folder}"):
        keys.mkdir(mode=0o700, exist_ok=True)
        certificates.mkdir(exist_ok=True)
    made = instance.authority.succeed(profile, subject, new_key(instance, name, keys / f"{name}.pem"), retired)
    write_atomically(certificates / f"{name}.pem", pem_of((made, *instance.certificates("ca"))))


def new_key(instance: "Instance", name: str, path: Path) -> PublicKeyTypes:
    """The public half of a key that no certificate has yet: made in the unit's token, or in a file at `path`; one that waits there is taken."""
    unit = instance.key_settings(name)
    key_type = instance.settings.pki.key_type if unit is None else unit.key_type or instance.settings.pki.key_type
    if unit is not None and unit.padding == "pss" and not key_type.startswith("rsa"):
        raise Unacceptable(f"padding pss is for RSA keys, and the key of {name} would be {key_type}: set its key_type to rsa3072 or rsa4096")
    if unit is not None and unit.in_token:
        from trust.edge.hsm import make_key

        taken = frozenset(encoded(i.certificate.x509.public_key()) for i in instance.authority.certificates())
        return make_key(unit, name, key_type, taken)
    if path.exists():
        return read_key(path, instance.secret).public_key()
    instance.key("ca")  # whose passphrase is that of all keys: nothing is written under another
    private = generate(key_type)
    write_key(path, private, instance.secret)
    return private.public_key()


def add_unit(instance: "Instance", unit: str) -> Cert:
    """One more time-stamping unit: its key, as its settings say, then its certificate. Conflict while there is one of that name.

    It is named after the unit that was there from the beginning, with its own name and a number that no unit had before.
    """
    from trust.pki.profiles import Subject

    if expected := wrong_name(unit):
        raise Unacceptable(f"unit {unit[:40]!r}: expected {expected}")
    name = key_name(unit)
    path = instance.folder / CERTIFICATES / f"{name}.pem"
    if path.exists():
        raise Conflict(f"there is a unit {unit} already: `kakuin tsa rollover {unit}` gives it a new key")
    first = Subject.of(instance.certificate(UNIT))
    stem = f"{_NUMBER.sub('', first.common_name)} {unit}"
    issued = [i.certificate.name for i in instance.authority.certificates() if i.profile == UNIT]
    subject = replace(first, common_name=next_name(f"{stem} 0", issued))
    subject.name()  # refuse before anything is written
    made = instance.authority.issue(UNIT, subject, new_key(instance, name, instance.folder / KEYS / f"{name}.pem"))
    write_atomically(path, pem_of((made, *instance.certificates("ca"))))
    return made


def remove_unit(instance: "Instance", unit: str) -> Cert:
    """Put a unit's key and certificate away for good. NotFound; Conflict for the first one, without which nothing is stamped."""
    if unit == DEFAULT_UNIT:
        raise Conflict(f"unit {unit} answers at /tsa and cannot be retired: `kakuin tsa rollover {unit}` gives it a new key")
    if unit not in instance.units:
        raise NotFound(f"there is no unit {unit[:40]!r} here, expected one of {', '.join(instance.units)}")
    name = key_name(unit)
    certificate = instance.certificate(name)
    with told(f"write in {instance.folder}"):
        _keep_pair(instance.folder, name, certificate)
        for part in (KEYS, CERTIFICATES):  # the certificate last: as long as it is there, this can be done again
            (instance.folder / part / f"{name}.pem").unlink(missing_ok=True)
            sync_folder(instance.folder / part)
    instance.forget(name)
    return certificate


def _put_in_place(folder: Path, name: str, retired: Cert) -> Cert:
    """Keep the old pair under its serial number, then move the key, and last the certificate: as long as that one waits, this can be done again."""
    successor = read_certificates(folder / CERTIFICATES / NEXT / f"{name}.pem")[0]
    with told(f"write in {folder}"):
        _keep_pair(folder, name, retired)
        for part in (KEYS, CERTIFICATES):
            arriving = folder / part / NEXT / f"{name}.pem"
            if arriving.exists():
                arriving.replace(folder / part / f"{name}.pem")
                sync_folder(folder / part)
    return successor


def _keep_pair(folder: Path, name: str, retired: Cert) -> None:
    for part in (KEYS, CERTIFICATES):
        kept = folder / part / RETIRED
        kept.mkdir(mode=0o700 if part == KEYS else 0o755, exist_ok=True)
        _keep(folder / part / f"{name}.pem", kept / f"{name}-{retired.serial:x}.pem", 0o600 if part == KEYS else 0o644)


def _keep(path: Path, kept: Path, mode: int) -> None:
    """Nothing where it was kept already, or is not there: a unit's old key may have been destroyed."""
    if path.exists() and not kept.exists():
        write_atomically(kept, path.read_bytes(), mode=mode)


def must_be_over(instance: "Instance", name: str, now: datetime) -> None:
    """An organisation is enrolled again when its seal was revoked or has ended. Conflict while it holds."""
    certificate = instance.certificate(name)
    if certificate.not_after < now or instance.authority.is_revoked(certificate):
        return
    digits = name.removeprefix(SEAL)
    raise Conflict(
        f"organisation {digits} has a seal here already, until {certificate.not_after:%Y-%m-%d}: `kakuin ca renew {name}` makes the next one"
    )


def must_not_be_revoked(instance: "Instance", name: str) -> None:
    """Whether an organisation may seal again after a revocation is decided by enrolling it anew. NotFound for a key that is not here."""
    profile_of(name)
    try:
        certificate = instance.certificate(name)
    except NotFound:
        raise NotFound(f"there is no key {name} here: {', '.join(n for n in instance.key_names if renewable(n))} can be renewed") from None
    if name.startswith(SEAL) and instance.authority.is_revoked(certificate):
        raise Conflict(f"the seal of {name.removeprefix(SEAL)} was revoked: `kakuin ca enrol` gives the organisation a new one")
