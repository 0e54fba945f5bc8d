"""What is wrong with an instance, and what to do: `kakuin doctor`. It looks, and changes nothing."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from trust.edge import settings as configuration
from trust.edge.clock import now as machine_clock
from trust.edge.engine import newest_revision, refused, revision
from trust.edge.instance import ANCHORS, CERTIFICATES, DATABASE, KEYS, LOG, PASSPHRASE_FILE, Instance, open_database
from trust.edge.keystore import FileKey
from trust.edge.landlock import version
from trust.edge.renewal import renewable, waiting
from trust.edge.settings import DEVELOPMENT_CLOCK, Settings
from trust.edge.units import UnitSettings, key_name
from trust.errors import KakuinError, NotFound, Unavailable
from trust.ports import Clock

_SOON = timedelta(days=30)
"""Before a certificate or key ends: time enough to make its successor known."""
_LITTLE_SPACE = 1 << 30
_NO_SPACE = 100 << 20
"""Bytes. A token takes about two kilobytes of journal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    """What to do; also where all is well and something should be known."""


def diagnose(folder: Path, secret: bytes | None = None, *, clock: Clock = machine_clock, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything that was looked at, in the order in which it should be mended. Never raises for what is wrong with the instance."""
    folder = folder.absolute()
    if not folder.is_dir():
        return [Finding("folder", ok=False, detail=f"there is no folder {folder}", remedy="make an instance with `kakuin init`")]
    try:
        settings = configuration.load(folder, environ)
    except KakuinError as error:
        return [
            Finding("settings", ok=False, detail=str(error), remedy=f"mend {folder / configuration.FILE}, or make an instance with `kakuin init`")
        ]
    return [
        Finding("settings", ok=True, detail=f"{folder / configuration.FILE} can be read"),
        *_permissions(folder),
        *_database(folder, settings),
        *_keys(folder, settings, secret, clock),
        _log(folder, settings, secret, clock),
        *_status(folder, settings, clock),
        *_clock(settings),
        *_space(folder),
        *_port(settings),
        _confinement(),
    ]


def _permissions(folder: Path) -> Iterator[Finding]:
    secrets = [folder / KEYS, *sorted((folder / KEYS).rglob("*")), folder / LOG / "key.pem", folder / DATABASE, folder / configuration.FILE]
    open_ones = [path for path in secrets if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_ones:
        names = ", ".join(str(path.relative_to(folder)) for path in open_ones)
        yield Finding(
            "permissions", ok=False, detail=f"others on this machine may read {names}", remedy=f"chmod -R go= {folder / KEYS} and chmod go= the rest"
        )
    elif not os.access(folder, os.W_OK):
        yield Finding("permissions", ok=False, detail=f"{folder} cannot be written", remedy="run as its owner, or mount its disk for writing")
    else:
        yield Finding("permissions", ok=True, detail="keys and database are readable by their owner alone")


def _database(folder: Path, settings: Settings) -> Iterator[Finding]:
    path = folder / DATABASE
    if not settings.database.url and not path.exists():
        yield Finding("database", ok=False, detail=f"{path} is missing", remedy="restore it from a backup: it holds what was issued")
        return
    try:
        engine = open_database(folder, settings)
        try:
            found, newest = revision(engine), newest_revision()
            with refused(engine), engine.connect() as connection:
                sound = connection.dialect.name != "sqlite" or connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok"
        finally:
            engine.dispose()
    except KakuinError as error:
        yield Finding("database", ok=False, detail=str(error), remedy="look at database.url, at the server or the disk; or restore from a backup")
        return
    if not sound:
        yield Finding("database", ok=False, detail="SQLite finds it damaged (quick_check)", remedy="restore it from a backup")
    elif found is not None and found > newest:
        yield Finding("database", ok=False, detail=f"it was written by a newer kakuin (schema {found}, here {newest})", remedy="upgrade kakuin")
    elif found != newest:
        yield Finding("database", ok=True, detail=f"schema {found or 'none'}, here {newest}", remedy="it is brought up when the service starts")
    else:
        yield Finding("database", ok=True, detail=f"sound, schema {found}")


def _keys(folder: Path, settings: Settings, secret: bytes | None, clock: Clock) -> Iterator[Finding]:
    """Without opening the database: what lies in the files."""
    instance = Instance(folder, settings, secret, clock)
    try:
        in_tokens = {key_name(unit) for unit in instance.units if settings.units.get(unit, UnitSettings()).in_token}
        in_tokens |= {o.key_name for o in instance.organisations if o.number in settings.seals and settings.seals[o.number].in_token}
        names = tuple(sorted({*instance.key_names, *in_tokens}))
        for needed in ("ca", "ocsp", "tsu"):
            if needed not in names:
                yield Finding(f"key {needed}", ok=False, detail=f"{KEYS}/{needed}.pem is missing", remedy="restore it from a backup")
        locked = secret is None and not (folder / KEYS / PASSPHRASE_FILE).exists()
        if locked:
            yield Finding("passphrase", ok=True, detail="not given, so the keys were not tried", remedy="run again with --passphrase-file FILE")
        for name in names:
            if waiting(folder, name):
                yield Finding(f"renewal of {name}", ok=False, detail="was interrupted", remedy=f"`kakuin ca renew {name}` finishes it")
            yield from _certificate(instance, name, clock())
            if name in in_tokens or not locked:
                yield _unlocked(instance, name)
        for unit in settings.units.keys() - instance.units:
            remedy = f"`kakuin tsa create {unit}`, or take its table out"
            yield Finding(f"unit {unit}", ok=False, detail=f"[unit.{unit}] stands in {configuration.FILE}, and there is no such unit", remedy=remedy)
    finally:
        instance.close()
    if (folder / KEYS / PASSPHRASE_FILE).exists():
        detail = "the passphrase lies beside the keys: whoever has the folder has them"
        yield Finding("passphrase", ok=instance.demonstration, detail=detail, remedy="right for a demonstration, and for nothing else")
    if not (folder / ANCHORS / "root.pem").exists():
        yield Finding("anchor", ok=False, detail=f"{ANCHORS}/root.pem is missing", remedy=f"copy it from {CERTIFICATES}/root.pem")


def _unlocked(instance: Instance, name: str) -> Finding:
    try:
        key = instance.key(name)
        if not isinstance(key, FileKey):
            from trust.edge.hsm import TokenKey

            if isinstance(key, TokenKey):
                key.find()
            return Finding(f"key {name}", ok=True, detail="is in its token, and belongs to its certificate")
    except Unavailable as error:
        return Finding(f"key {name}", ok=False, detail=str(error), remedy="look at the token, its PIN, and the pkcs11 settings of the unit")
    except KakuinError as error:
        return Finding(f"key {name}", ok=False, detail=str(error), remedy="give the right passphrase, or restore key and certificate from one backup")
    return Finding(f"key {name}", ok=True, detail="is unlocked and belongs to its certificate")


def _certificate(instance: Instance, name: str, now: datetime) -> Iterator[Finding]:
    what = f"certificate {name}"
    try:
        certificate = instance.certificate(name)
        end, period = certificate.not_after, "certificate"
        for extension in certificate.x509.extensions:
            if isinstance(extension.value, x509.PrivateKeyUsagePeriod) and extension.value.not_after is not None:
                end, period = extension.value.not_after.replace(tzinfo=end.tzinfo), "private key's use"
    except KakuinError as error:
        yield Finding(what, ok=False, detail=str(error), remedy="restore it from a backup, or write it out with `kakuin ca show`")
        return
    days = (end - now).days
    if now < certificate.not_before:
        yield Finding(what, ok=False, detail="begins in the future", remedy="look at this machine's clock")
    elif now > end:
        yield Finding(what, ok=False, detail=f"the {period} ended on {end:%Y-%m-%d}", remedy=_successor(name))
    elif end - now < _SOON:
        yield Finding(what, ok=False, detail=f"the {period} ends in {days} days, on {end:%Y-%m-%d}", remedy=_successor(name))
    else:
        yield Finding(what, ok=True, detail=f"the {period} ends in {days} days, on {end:%Y-%m-%d}")


def _successor(name: str) -> str:
    if renewable(name):
        return f"`kakuin ca renew {name}`, then start the service again"
    return "make a new instance, and tell those who trust this one: a root and an issuing authority have no successor here"


def _log(folder: Path, settings: Settings, secret: bytes | None, clock: Clock) -> Finding:
    """The key that signs the log's checkpoints."""
    from trust.log import keys

    instance = Instance(folder, settings, secret, clock)
    try:
        known = instance.log_key
        if secret is not None or (folder / KEYS / PASSPHRASE_FILE).exists():
            keys.unlocked(folder / LOG, instance.secret)
    except NotFound:
        return Finding("log", ok=False, detail="it has no key, so nobody can check what was issued", remedy="`kakuin log init` makes it")
    except KakuinError as error:
        return Finding("log", ok=False, detail=str(error), remedy="give the right passphrase, or restore the folder from a backup")
    finally:
        instance.close()
    return Finding("log", ok=True, detail=f"is called {known.name}, verifier key in {LOG}/{keys.VERIFIER_KEY}")


def _status(folder: Path, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """What became of the certificates in use, and the lists that were published last; the service renews these when it is asked for them."""
    from trust.pki.service import key_identifier
    from trust.pki.store import CertificateStore

    if not settings.database.url and not (folder / DATABASE).exists():
        return
    instance = Instance(folder, settings, None, clock)
    try:
        if revision(instance.engine) is None:
            return
        store = CertificateStore(instance.engine)
        for name in filter(renewable, sorted({*instance.key_names, *map(key_name, instance.units)})):
            certificate = instance.certificate(name)
            told = next((i for i in store.with_serial(certificate.serial) if i.certificate == certificate), None)
            if told is not None and told.revoked_at is not None:
                detail = f"was revoked on {told.revoked_at:%Y-%m-%d} ({told.reason}), and is still in use"
                remedy = "`kakuin ca enrol` when the organisation may seal again" if told.profile == "seal" else _successor(name)
                yield Finding(f"status of {name}", ok=False, detail=detail, remedy=remedy)
        for name in ("root", "ca"):
            newest = store.newest_crl(key_identifier(instance.certificate(name)))
            if newest is None or newest.next_update < clock():
                detail = "was never published" if newest is None else f"ran out on {newest.next_update:%Y-%m-%d}"
                yield Finding(f"list of {name}", ok=False, detail=detail, remedy=f"start the service, or `kakuin ca crl {name}`")
            else:
                yield Finding(f"list of {name}", ok=True, detail=f"number {newest.number}, good until {newest.next_update:%Y-%m-%d %H:%M} UTC")
    except KakuinError as error:
        yield Finding("lists", ok=False, detail=str(error), remedy="mend the database first")
    finally:
        instance.close()


def _clock(settings: Settings) -> Iterator[Finding]:
    from trust.edge.clock.keeper import looked
    from trust.timekeeping import REMEDIES

    if settings.development_clock:
        detail = f"{DEVELOPMENT_CLOCK}: nobody checks this machine's time, and its time-stamps prove nothing"
        yield Finding("clock", ok=True, detail=detail, remedy='for real work make another instance, with clock.sources = ["kernel"], and run chrony')
        return
    try:
        found = looked(settings)
    except KakuinError as error:
        yield Finding("clock", ok=False, detail=str(error), remedy=f"mend {configuration.FILE}")
        return
    if found.good:
        yield Finding("clock", ok=True, detail=f"synchronised, wrong by {(found.bound_us or 0) / 1000:g} ms at most")
    else:
        yield Finding("clock", ok=False, detail=f"{found.why}: no time-stamps are issued", remedy=REMEDIES[found.state])


def _space(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):.1f} GiB are free"
    remedy = "make room: when the disk is full nothing is issued" if free < _LITTLE_SPACE else ""
    yield Finding("disk", ok=free >= _NO_SPACE, detail=detail, remedy=remedy)


def _port(settings: Settings) -> Iterator[Finding]:
    host, port = settings.service.host, settings.service.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            detail = f"{host} port {port} is taken: by this service if it runs, or else by another program"
            yield Finding(
                "port",
                ok=True,
                detail=detail,
                remedy=f"if the service does not start: `kakuin serve --port`, or service.port in {configuration.FILE}",
            )
        else:
            yield Finding("port", ok=True, detail=f"{host} port {port} is free")


def _confinement() -> Finding:
    if version():
        return Finding("confinement", ok=True, detail="documents are read where no file, network or process can be reached (Landlock)")
    detail = "this kernel has no Landlock: documents are read within limits of memory and time alone"
    return Finding("confinement", ok=True, detail=detail, remedy="run the service under a user of its own, or on Linux 5.13 or newer with Landlock")
