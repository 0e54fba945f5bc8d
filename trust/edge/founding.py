"""Making an instance: what must be known for one, and a folder that is there whole or not at all.

It is made in a folder beside its place and then moved there piece by piece, the settings last: an interruption leaves either nothing that counts or a
finished rest that the next call moves.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from trust.edge import settings as configuration
from trust.edge.clock import now as machine_clock
from trust.edge.engine import bring_up
from trust.edge.files import plainly, sync_folder, told, write_atomically
from trust.edge.instance import ANCHORS, CERTIFICATES, DATABASE, KEYS, LOG, PASSPHRASE_FILE, Instance, held
from trust.edge.keystore import pem_of
from trust.edge.seals import SEALS, seal_settings
from trust.edge.settings import DEVELOPMENT_CLOCK, KERNEL_CLOCK, Settings
from trust.errors import Conflict, Misconfigured
from trust.ports import Clock
from trust.registry import DEMONSTRATION, corporate_number

DEMONSTRATION_NAME = "Kakuin Demonstration (not a real organisation) 角印デモ用の架空組織"
_STAGE = ".kakuin-new"
_COMPLETE = "complete"
_PARTS = (KEYS, CERTIFICATES, ANCHORS, LOG, DATABASE, configuration.FILE)
"""In the order of moving: with the settings there, it is an instance."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What has to be known for one, each with its default: a demonstration, and called so."""

    organisation: str = DEMONSTRATION_NAME
    number: str = DEMONSTRATION
    operator: str | None = None
    """Who runs the installation: root, authority, time-stamping unit. The organisation itself where nothing is said."""
    operator_number: str | None = None
    base_url: str = ""
    """Where others reach the service."""
    pki_url: str = ""
    """Where others reach lists, OCSP and issuers; it is written into certificates. Below `base_url` where nothing is said, and then with http."""
    tsa_policy: str | None = None
    certificate_policy: str | None = None
    """OIDs; the examples of the settings where nothing is said."""
    host: str | None = None
    port: int | None = None
    key_type: str = "p256"
    seal_key: str | None = None
    """Type of the organisation's seal key, `rsa3072-pss` and the like among them; that of the others where nothing is said."""
    database_url: str = ""
    database_password_file: str = ""
    clock: str | None = None
    """The setting clock.sources, separated by commas; for a demonstration the development clock where nothing is said."""

    @property
    def demonstration(self) -> bool:
        return corporate_number(self.number) == DEMONSTRATION

    def settings(self, environ: Mapping[str, str] = MappingProxyType({})) -> Settings:
        """Checked as if they had been read from a file, and overridden by `environ` as a file is."""
        defaults = Settings()
        chosen: dict[str, dict[str, object]] = {
            "service": {
                "base_url": self.base_url,
                "host": defaults.service.host if self.host is None else self.host,
                "port": defaults.service.port if self.port is None else self.port,
            },
            "tsa": {
                "policy": self.tsa_policy or defaults.tsa.policy,
            },
            "clock": {"sources": self._clock_sources()},
            "pki": {"key_type": self.key_type, "base_url": self.pki_url, "policy": self.certificate_policy or defaults.pki.policy},
            "database": {"url": self.database_url, "password_file": self.database_password_file},
        }
        seals = {} if self.seal_key is None else {SEALS: {corporate_number(self.number): seal_settings(self.seal_key)}}
        made = configuration.combine(chosen | seals, environ, "answer")
        if made.pki.base_url or not made.service.base_url.startswith("https:"):
            return made
        chosen["pki"]["base_url"] = _plain(made.service.base_url)
        return configuration.combine(chosen | seals, environ, "answer")

    def _clock_sources(self) -> list[str]:
        if self.clock:
            return [name.strip() for name in self.clock.split(",")]
        return [DEVELOPMENT_CLOCK if self.demonstration else KERNEL_CLOCK]


def _plain(base_url: str) -> str:
    """RFC 5280 section 8: who fetches a list over TLS needs the status of the server's certificate first, and so on. Lists are signed themselves."""
    parts = urlsplit(base_url)
    if parts.port is not None:
        raise Misconfigured(f"{base_url} has TLS and a port of its own: say with --pki-url http://… where lists and OCSP answer without TLS")
    return f"http://{parts.netloc}{parts.path}/pki"


def make_instance(
    folder: Path,
    answers: Answers = Answers(),
    secret: bytes | None = None,
    *,
    clock: Clock = machine_clock,
    environ: Mapping[str, str] = os.environ,
) -> Instance:
    """Make an instance in `folder`, or open the one that is there (`new` tells which): a second call changes nothing.

    `environ` overrides the answers, as it overrides the settings file later, and is not written into it. A demonstration without `secret` gets a
    generated passphrase in a file beside its keys; everything else needs one. Misconfigured or Conflict, in one line, when the folder cannot be
    used. May be called again after an interruption.
    """
    settings = answers.settings(environ)
    folder = folder.absolute()
    with held(folder):
        if not (folder / configuration.FILE).exists():
            stage = folder / _STAGE
            if not (stage / _COMPLETE).exists():
                _refuse_strangers(folder, answers, secret)
                with told(f"write in {folder}"):
                    shutil.rmtree(stage, ignore_errors=True)
                    _build(stage, settings, answers, secret, clock)
                    (stage / _COMPLETE).touch()
                    sync_folder(stage)
            with told(f"write in {folder}"):
                _move(stage, folder)
            made = Instance.open(folder, secret, clock=clock, environ=environ)
            made.new = True
            return made
    return Instance.open(folder, secret, clock=clock, environ=environ)


def _refuse_strangers(folder: Path, answers: Answers, secret: bytes | None) -> None:
    try:
        taken = [name for name in _PARTS if (folder / name).exists()]
    except OSError as error:
        raise plainly(error, f"look into {folder}") from error
    if taken:
        raise Conflict(f"{folder} has {', '.join(taken)} but no {configuration.FILE}: restore it from a backup, or choose another folder")
    if secret is None and not answers.demonstration:
        raise Misconfigured("the keys need a passphrase: --passphrase-file FILE, or KAKUIN_PASSPHRASE_FILE in the environment")


def _build(stage: Path, settings: Settings, answers: Answers, secret: bytes | None, clock: Clock) -> None:
    """A whole instance in `stage`."""
    from trust.pki.profiles import Subject

    stage.mkdir(mode=0o700)
    (stage / KEYS).mkdir(mode=0o700)
    (stage / CERTIFICATES).mkdir()
    (stage / ANCHORS).mkdir()
    if secret is None:
        secret = secrets.token_urlsafe(24).encode()
        write_atomically(stage / KEYS / PASSPHRASE_FILE, secret + b"\n", mode=0o600)
    made = Instance(stage, settings, secret, clock)
    try:
        bring_up(made.engine)
        if not settings.database.url:
            (stage / DATABASE).chmod(0o600)
        operator = answers.operator or answers.organisation
        operator_number = answers.operator_number or (answers.number if answers.operator is None else None)
        name = "Kakuin Demonstration" if answers.demonstration else "Kakuin"
        of_operator = Subject("", operator, operator_number)
        for key, profile, common_name in (
            ("root", "root", f"{name} Root CA"),
            ("ca", "ca", f"{name} Issuing CA"),
            ("tsu", "tsu", f"{name} Time-Stamping Unit 1"),
            ("ocsp", "ocsp", f"{name} OCSP Responder"),
        ):
            made.enrol(key, profile, replace(of_operator, common_name=common_name))
        made.add_organisation(answers.organisation, answers.number)
        made.found_log()
        made.authority.crl("root")
        made.authority.crl("ca")
        write_atomically(stage / ANCHORS / "root.pem", pem_of(made.certificates("root")))
        write_atomically(stage / configuration.FILE, configuration.written(answers.settings()).encode(), mode=0o600)
    finally:
        made.close()


def _move(stage: Path, folder: Path) -> None:
    for name in _PARTS:
        if (stage / name).exists():
            (stage / name).rename(folder / name)
    sync_folder(folder)
    shutil.rmtree(stage)
