"""An instance: a folder with settings, keys, certificates and a database; made once, then opened.

    kakuin.toml            settings
    kakuin.db              certificates, journal, API keys (unless database.url says otherwise)
    keys/NAME.pem          encrypted PKCS#8: root, ca, tsu, ocsp, seal-<法人番号>
    keys/passphrase        of a demonstration only
    certificates/NAME.pem  each with its issuers behind it
    */retired/, */next/    those that were renewed, and those that are about to be: trust.edge.renewal
    anchors/root.pem       what recipients need
    log/                   the log's key, and the verifier key for whoever checks the log: trust.log.keys

It is made by `trust.edge.founding`.
"""

import fcntl
import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from trust.edge import settings as configuration
from trust.edge.clock import now as machine_clock
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.edge.files import told, write_atomically
from trust.edge.keystore import FileKey, algorithm_of, generate, padded, pem_of, read_certificates, read_key, secret_in, sign, write_key
from trust.edge.seals import organisation_of
from trust.edge.settings import Settings
from trust.edge.units import DEFAULT_UNIT, KeySettings, UnitSettings, unit_name
from trust.errors import Conflict, Misconfigured, NotFound
from trust.model import Cert
from trust.ports import Clock, SealKey
from trust.registry import DEMONSTRATION, CorporateNumber, corporate_number

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from trust.edge.renewal import Renewal
    from trust.log.journal import Journal
    from trust.log.note import VerifierKey
    from trust.log.publish import Publisher
    from trust.pki.profiles import Subject
    from trust.pki.service import CertificateAuthority, Terms

DATABASE = "kakuin.db"
KEYS, CERTIFICATES, ANCHORS, LOG = "keys", "certificates", "anchors", "log"
PASSPHRASE_FILE = "passphrase"


@dataclass(frozen=True, slots=True)
class Organisation:
    """One that has a seal here."""

    number: CorporateNumber
    name: str
    certificate: Cert

    @property
    def key_name(self) -> str:
        return f"seal-{self.number}"


def open_database(folder: Path, settings: Settings) -> "Engine":
    """The engine of the instance in `folder`. Errors as of `trust.edge.engine.connect`."""
    said = settings.database
    return connect(said.url or sqlite_url(folder / DATABASE), folder / said.password_file if said.password_file else None)


class Instance:
    """An open instance. Keys are unlocked when they are first asked for; close() at the end, or use it as a context."""

    def __init__(self, folder: Path, settings: Settings, secret: bytes | None, clock: Clock) -> None:
        self.folder = folder
        self.settings = settings
        self.anchors = folder / ANCHORS
        self.clock = clock
        self.new = False
        """Made by this very call of `make_instance`."""
        self.migrated_from: str | None = None
        """The older schema that opening it replaced."""
        self.engine = open_database(folder, settings)
        self._secret = secret
        self._keys: dict[str, SealKey] = {}

    @classmethod
    def open(cls, folder: Path, secret: bytes | None = None, *, clock: Clock = machine_clock, environ: Mapping[str, str] = os.environ) -> "Instance":
        """The instance in `folder`, its database brought up to this version. Without `secret`, a demonstration uses the passphrase beside its keys.

        NotFound where there is none; Misconfigured, in one line, for what is wrong with it; Unavailable when its database does not answer.
        """
        folder = folder.absolute()
        if not folder.is_dir():
            raise NotFound(f"there is no folder {folder}: make an instance with `kakuin init`")
        opened = cls(folder, configuration.load(folder, environ), secret, clock)
        if not opened.settings.database.url and not (folder / DATABASE).exists():
            raise Misconfigured(f"database {folder / DATABASE} is missing: restore it from a backup, it holds what was issued")
        opened.migrated_from = bring_up(opened.engine)
        return opened

    def __enter__(self) -> "Instance":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Record what waits for the journal, then let the database go."""
        if "journal" in self.__dict__:
            self.journal.close()
        self.engine.dispose()

    @property
    def demonstration(self) -> bool:
        """It has the seal of the demonstration organisation: what it issues means nothing."""
        return (self.folder / CERTIFICATES / f"seal-{DEMONSTRATION}.pem").exists()

    @property
    def organisations(self) -> tuple[Organisation, ...]:
        """Those with a seal here, by number."""
        found = []
        for path in sorted((self.folder / CERTIFICATES).glob("seal-*.pem")):
            certificate = read_certificates(path)[0]
            found.append(Organisation(CorporateNumber(path.stem.removeprefix("seal-")), certificate.name, certificate))
        return tuple(found)

    @property
    def key_names(self) -> tuple[str, ...]:
        """Of the keys that lie here."""
        return tuple(sorted(path.stem for path in (self.folder / KEYS).glob("*.pem")))

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Of the keys whose certificates lie here, whether or not they do."""
        return tuple(sorted(path.stem for path in (self.folder / CERTIFICATES).glob("*.pem")))

    def certificates(self, name: str) -> tuple[Cert, ...]:
        """Of the key `name`, its own and its issuers'; no passphrase is needed. NotFound."""
        if not name.replace("-", "").isalnum():
            raise NotFound("there is no key of that name here")
        return read_certificates(f"{self.folder}/{CERTIFICATES}/{name}.pem")

    def certificate(self, name: str) -> Cert:
        """The key's own certificate."""
        return self.certificates(name)[0]

    def key(self, name: str) -> SealKey:
        """`root`, `ca`, `tsu`, `tsu-<unit>`, `ocsp` or `seal-<法人番号>`. NotFound; Misconfigured when the passphrase is missing or wrong."""
        if name not in self._keys:
            certificate, *chain = self.certificates(name)
            unit = self.key_settings(name)
            if unit is not None and unit.in_token:
                from trust.edge.hsm import token_key

                self._keys[name] = token_key(unit, name, certificate, tuple(chain))
                return self._keys[name]
            private = read_key(self._key_file(name), self.secret)
            try:
                self._keys[name] = FileKey(private, certificate, tuple(chain), padded(private, "pkcs1" if unit is None else unit.padding))
            except Misconfigured:
                from trust.edge.renewal import waiting

                if waiting(self.folder, name):
                    raise Misconfigured(f"the renewal of {name} was interrupted: `kakuin ca renew {name}` finishes it") from None
                raise
        return self._keys[name]

    def key_settings(self, key: str) -> KeySettings | None:
        """Of the time-stamping unit, or of the organisation's seal, whose key has this name; None for a key of another purpose."""
        unit, number = unit_name(key), organisation_of(key)
        if number is not None:
            return self.settings.seals.get(number, KeySettings())
        return None if unit is None else self.settings.units.get(unit, UnitSettings())

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the time-stamping units that are here: `tsu` first."""
        found = [unit for path in (self.folder / CERTIFICATES).glob("tsu*.pem") if (unit := unit_name(path.stem)) is not None]
        return tuple(sorted(found, key=lambda unit: (unit != DEFAULT_UNIT, unit)))

    def add_unit(self, unit: str) -> Cert:
        """Make a key and a certificate for the time-stamping unit `unit`, as its settings say. Conflict while it is here."""
        from trust.edge import renewal

        with held(self.folder):
            made = renewal.add_unit(self, unit)
        self._listed(made)
        return made

    def remove_unit(self, unit: str) -> Cert:
        """Put the key and the certificate of a unit away, under `retired`. NotFound; Conflict for the unit of /tsa, which has to be there."""
        from trust.edge import renewal

        with held(self.folder):
            return renewal.remove_unit(self, unit)

    def forget(self, name: str) -> None:
        """Another key has its place now. Whoever was given the old one keeps it: a service that runs goes on with it until it is started again."""
        self._keys.pop(name, None)

    def _key_file(self, name: str) -> Path:
        return self.folder / KEYS / f"{name}.pem"

    @property
    def secret(self) -> bytes:
        """The passphrase of the keys. Misconfigured where there is none."""
        if self._secret is None:
            beside = self.folder / KEYS / PASSPHRASE_FILE
            if not beside.exists():
                raise Misconfigured("the keys need their passphrase: --passphrase-file FILE, or KAKUIN_PASSPHRASE_FILE in the environment")
            self._secret = secret_in(beside, "passphrase file")
        return self._secret

    @functools.cached_property
    def journal(self) -> "Journal":
        """What the installation issues is in it before anybody sees it."""
        from trust.log.journal import Journal

        return Journal(self.engine, self.clock)

    @functools.cached_property
    def authority(self) -> "CertificateAuthority":
        from trust.pki.service import CertificateAuthority
        from trust.pki.store import CertificateStore

        store = CertificateStore(self.engine)
        return CertificateAuthority(store, self.journal, self.clock, key=self.key, certificate=self.certificate, terms=_terms(self.settings))

    def found_log(self) -> "VerifierKey":
        """Make the key of the log, under the name that the settings say. Conflict when it has one."""
        from trust.log import keys
        from trust.log.note import Kind

        return keys.make(self.folder / LOG, self.settings.log_origin, Kind.LOG, self.secret)

    @property
    def log_key(self) -> "VerifierKey":
        """The log's verifier key; no passphrase is needed. NotFound where none was made; Misconfigured when the settings name another log."""
        from trust.log import keys

        try:
            found = keys.verifier(self.folder / LOG)
        except NotFound:
            raise NotFound("the log of this installation has no key yet: `kakuin log init` makes it") from None
        if self.settings.log.origin not in ("", found.name):
            raise Misconfigured(f"log.origin is {self.settings.log.origin}, but the log's key was made for {found.name}: a log keeps its name")
        return found

    def publisher(self) -> "Publisher":
        """What signs the log's checkpoints. Errors as of log_key; Misconfigured for a wrong passphrase."""
        from trust.log import keys
        from trust.log.publish import Publisher

        key = self.log_key
        sign = keys.unlocked(self.folder / LOG, self.secret).sign
        interval = timedelta(milliseconds=self.settings.log.interval_ms)
        return Publisher(self.engine, key, sign, self.clock, interval, self.journal.alongside)

    def add_organisation(self, name: str, number: str) -> Organisation:
        """Make a key and a seal certificate for an organisation: a new one, or one whose seal was revoked or has ended.

        Conflict while it has a seal that holds; Malformed for a bad name or number.
        """
        from trust.pki.profiles import Subject

        digits = corporate_number(number)
        key, subject = f"seal-{digits}", Subject(name, name, digits)
        if (self.folder / CERTIFICATES / f"{key}.pem").exists():
            from trust.edge import renewal

            with held(self.folder):
                renewal.must_be_over(self, key, self.clock())
                certificate = renewal.succeed(self, key, subject).certificate
        else:
            certificate = self._enrol_seal(key, subject)
        self._listed(certificate)
        return Organisation(digits, certificate.name, certificate)

    def renew(self, name: str) -> "Renewal":
        """Give `tsu`, `ocsp` or `seal-<法人番号>` a new key and certificate, before or after the end of the old ones, which are kept.

        May be called again after an interruption, and finishes it. NotFound, Unacceptable; Conflict for a seal that was revoked, or while another
        process changes the instance.
        """
        from trust.edge import renewal

        with held(self.folder):
            renewal.must_not_be_revoked(self, name)
            done = renewal.succeed(self, name)
        self._listed(done.certificate)
        return done

    def _listed(self, certificate: Cert) -> None:
        """Publish a list that is not from before a new certificate: until there is one, nobody can tell that it was not revoked."""
        self.authority.crl("ca", after=certificate.not_before)

    def _enrol_seal(self, name: str, subject: "Subject") -> Cert:
        """A key of the kind, and in the place, that the settings say; then its certificate."""
        from trust.edge import renewal

        subject.name()  # refuse before anything is written
        made = self.authority.issue("seal", subject, renewal.new_key(self, name, self._key_file(name)))
        write_atomically(self.folder / CERTIFICATES / f"{name}.pem", pem_of((made, *self.certificates("ca"))))
        return made

    def enrol(self, name: str, profile: str, subject: "Subject") -> Cert:
        """A key, then its certificate. After an interruption between the two the key that lies there is taken."""
        subject.name()  # refuse before anything is written
        path = self._key_file(name)
        if path.exists():
            private = read_key(path, self.secret)
        else:
            private = generate(self.settings.pki.key_type)
            write_key(path, private, self.secret)
        if profile == "root":
            from trust.pki.issue import Issuer

            algorithm = algorithm_of(private.public_key())
            root = Issuer(subject.name(), private.public_key(), algorithm, functools.partial(sign, private, algorithm))
            chain: tuple[Cert, ...] = (self.authority.found(subject, root),)
        else:
            from trust.pki.profiles import PROFILES

            chain = (self.authority.issue(profile, subject, private.public_key()), *self.certificates(PROFILES[profile].issuer))
        write_atomically(self.folder / CERTIFICATES / f"{name}.pem", pem_of(chain))
        self._keys[name] = FileKey(private, chain[0], chain[1:])
        return chain[0]


def _terms(settings: Settings) -> "Terms":
    from trust.pki.issue import Addresses
    from trust.pki.profiles import PROFILES
    from trust.pki.service import Terms

    names = {n for p in PROFILES.values() for n in (p.days_setting, p.key_days_setting) if n is not None}
    return Terms(
        Addresses(settings.pki_url),
        settings.pki.policy,
        {name: getattr(settings.pki, name) for name in names},
        {"root": timedelta(days=settings.pki.root_crl_days), "ca": timedelta(hours=settings.pki.crl_hours)},
        timedelta(minutes=settings.pki.ocsp_minutes),
    )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder is there and nobody else makes or changes an instance in it."""
    if not folder.parent.is_dir():
        raise Misconfigured(f"there is no folder {folder.parent} to make {folder.name} in")
    with told(f"make {folder}"):
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError:
            raise Conflict(f"{folder} is not a folder") from None
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(f"another process is making or changing the instance in {folder}") from error
        yield
    finally:
        os.close(handle)
