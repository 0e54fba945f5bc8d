"""Settings: `kakuin.toml` in the instance's folder, then environment variables `KAKUIN_<SECTION>_<NAME>`, over documented defaults.

Every setting is a field below with its type, its default and its meaning; the file that `kakuin init` writes, the checks and the documentation are
made from these fields. What is not a field is an error that names it.
"""

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import urlsplit

from trust.edge.files import read_small
from trust.edge.operations.clients import wrong_networks
from trust.edge.operations.limits import wrong_rate
from trust.edge.seals import SEALS, read_seals
from trust.edge.units import TABLE, KeySettings, UnitSettings, read_units
from trust.edge.units import table as key_table
from trust.errors import Misconfigured, NotFound

FILE = "kakuin.toml"
PREFIX = "KAKUIN_"

KERNEL_CLOCK, CHRONY_CLOCK, NTP_CLOCK = "kernel", "chrony", "ntp"
DEVELOPMENT_CLOCK = "unsafe-development-clock"
"""Time-stamps under this clock prove nothing: nobody checks whether the machine's time is right."""
DEVELOPMENT_POLICY = "1.3.6.1.4.1.32473.1.999"
"""Stands in every token under the development clock, whatever policy is set: it says that the time is nobody's. (The arc for examples, RFC 5612.)"""
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_REQUESTS = ("none", "rest", "all")
LEAP_MODES = ("none", "pause", "stop")

KEY_TYPE_NAMES = ("p256", "p384", "rsa3072", "ed25519")
HASHES = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")

Check = Callable[[Any], str | None]
"""None, or what is expected instead."""

T = TypeVar("T")


def _setting(default: T, doc: str, check: Check | None = None) -> T:
    """A field with its documentation; typed as its default, as dataclasses.field is."""
    made: T = field(default=default, metadata={"doc": doc, "check": check})
    return made


def _between(low: float, high: float) -> Check:
    return lambda value: None if low <= value <= high else f"a number from {low:g} to {high:g}"


def _one_of(*names: str) -> Check:
    return lambda value: None if value in names else f"one of {', '.join(names)}"


def _some_of(*names: str) -> Check:
    return lambda value: None if value and set(value) <= set(names) and len(set(value)) == len(value) else f"some of {', '.join(names)}, each once"


def _clocks(value: tuple[str, ...]) -> str | None:
    trusted = (KERNEL_CLOCK, CHRONY_CLOCK, NTP_CLOCK)
    if value == (DEVELOPMENT_CLOCK,) or _some_of(*trusted)(value) is None:
        return None
    return f"some of {', '.join(trusted)}, each once; or {DEVELOPMENT_CLOCK} alone"


def _servers(value: tuple[str, ...]) -> str | None:
    host = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?)(?::[0-9]{1,5})?"
    sound = 1 <= len(value) <= 16 and len(set(value)) == len(value) and all(re.fullmatch(host, server) for server in value)
    return None if sound else "1 to 16 time servers, each once: host, host:port or [IPv6 address]:port"


def _oid(value: str) -> str | None:
    return None if re.fullmatch(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,30}", value) else "an object identifier such as 1.3.6.1.4.1.99999.1"


def _url(value: str) -> str | None:
    if not value:
        return None
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query and not parts.fragment and value.isascii()
    except ValueError:
        sound = False
    return None if sound and not value.endswith("/") else "an http or https address without a slash at its end"


def _origin(value: str) -> str | None:
    sound = value.isprintable() and len(value) <= 200 and not any(c.isspace() or c == "+" for c in value)
    return None if sound else "up to 200 visible characters without spaces and without +, such as seal.example.jp/log"


def _database(value: str) -> str | None:
    if re.match(r"postgresql(?:\+psycopg)?://[^/?#@]*:[^/?#]*@", value) or re.search(r"[?&]password=", value):
        return "an address without a password: it belongs into a file, database.password_file, or where PGPASSFILE says"
    return None if not value or re.match(r"(?:sqlite|postgresql(?:\+psycopg)?)://", value) else "sqlite:///… or postgresql://…"


@dataclass(frozen=True, slots=True)
class Service:
    """The HTTP service."""

    host: str = _setting("127.0.0.1", "Address to listen on. 127.0.0.1 is this machine alone; 0.0.0.0 every network.")
    port: int = _setting(8318, "Port to listen on. (318 is the port that IANA keeps for time-stamping.)", _between(0, 65535))
    base_url: str = _setting("", "Address under which others reach the service, without a slash at its end. Empty: http://host:port.", _url)
    document_limit_bytes: int = _setting(256 << 20, "Largest document that is taken for sealing or verifying, in bytes.", _between(1024, 1 << 40))
    body_limit_bytes: int = _setting(1 << 20, "Largest body of every other request, in bytes.", _between(1024, 1 << 30))
    trusted_proxies: tuple[str, ...] = _setting(
        (), "Proxies whose X-Forwarded-For is believed: networks or addresses. Without, whoever connects is the client.", wrong_networks
    )
    connections: int = _setting(2000, "Most connections at once; more are closed at once.", _between(1, 1_000_000))
    connections_each: int = _setting(200, "... of one client.", _between(1, 1_000_000))
    notice_seconds: float = _setting(
        0.0,
        "At the end: seconds for which /health/ready says no and requests are still taken, so that a load balancer looks elsewhere.",
        _between(0, 600),
    )
    drain_seconds: float = _setting(30.0, "... seconds that requests in flight may take after that.", _between(0, 3600))


@dataclass(frozen=True, slots=True)
class Tsa:
    """The time-stamp authority."""

    policy: str = _setting(
        "1.3.6.1.4.1.32473.1.1", "Policy of the tokens (OID). The default lies in the arc for examples (RFC 5612): register your own.", _oid
    )
    accuracy_ms: int = _setting(1000, "Accuracy stated in every token, in milliseconds. EN 319 421 wants 1000 or better.", _between(1, 60_000))
    hashes: tuple[str, ...] = _setting(HASHES, "Digest algorithms that are time-stamped; others are refused with badAlg.", _some_of(*HASHES))
    request_limit_bytes: int = _setting(65_536, "Largest time-stamp request, in bytes. Real ones have about 100.", _between(256, 1 << 20))
    eight_at_once: bool = _setting(
        True, "P-256 and RSA signatures are checked eight at a time where Intel's libcrypto_mb is installed and the processor can; false: one by one."
    )


@dataclass(frozen=True, slots=True)
class Clock:
    """What vouches for the time of time-stamps. While it does not, every request is refused with timeNotAvailable."""

    sources: tuple[str, ...] = _setting(
        (KERNEL_CLOCK,),
        f"All of these must vouch: {KERNEL_CLOCK} (adjtimex), {CHRONY_CLOCK}, {NTP_CLOCK} (a quorum of ntp_servers). "
        f"{DEVELOPMENT_CLOCK}: whatever the machine says; its tokens prove nothing.",
        _clocks,
    )
    poll_seconds: float = _setting(5.0, "From one look at the kernel and chrony to the next, in seconds.", _between(0.05, 300))
    chrony: str = _setting("127.0.0.1:323", "Where chronyd answers: host:port, or the path of its socket (which tells of NTS too).")
    nts_required: bool = _setting(False, "chrony's source must be authenticated by NTS; only chronyd's socket tells.")
    ntp_servers: tuple[str, ...] = _setting(
        ("ntp.nict.jp", "ptbtime1.ptb.de", "time.nist.gov"),
        "Asked where sources has ntp: laboratories that keep UTC, of Japan, Germany and the United States.",
        _servers,
    )
    ntp_quorum: int = _setting(0, "So many of them must agree. 0: more than half.", _between(0, 16))
    ntp_poll_seconds: float = _setting(
        256.0, "From one question to each of them to the next, in seconds. NICT asks for 180 or more.", _between(0.05, 86_400)
    )
    step_ms: float = _setting(
        10.0, "A jump of the clock by more than this is a step: nothing is issued before fresh readings.", _between(0.1, 60_000)
    )
    leap: str = _setting("pause", f"Around a leap second: {', '.join(LEAP_MODES)} (until the service is started again).", _one_of(*LEAP_MODES))
    leap_seconds: int = _setting(60, "... so many seconds before and after it, nothing is issued.", _between(1, 3600))
    evidence_minutes: float = _setting(
        10.0, "While tokens are issued the journal gets the clock's readings so often, in minutes.", _between(0.01, 1440)
    )


@dataclass(frozen=True, slots=True)
class Batches:
    """Many digests under one time-stamp: /v1/batches and /v1/batches/current."""

    limit: int = _setting(100_000, "Most digests of one request. Each is answered with some 8 kB.", _between(1, 1 << 24))
    seconds: float = _setting(1.0, "/v1/batches/current: seconds from the first digest of a batch until it closes.", _between(0.01, 20))
    most: int = _setting(10_000, "... digests at which it closes before.", _between(1, 1_000_000))
    waiting: int = _setting(20_000, "... digests that may wait for their records altogether; more are refused with 503.", _between(1, 1_000_000))


@dataclass(frozen=True, slots=True)
class Pki:
    """The certification authority. Validity is in days and counts for what is issued from then on."""

    base_url: str = _setting("", "Address of CRLs, OCSP and issuers that is written into certificates. Empty: the service's base_url + /pki.", _url)
    policy: str = _setting(
        "1.3.6.1.4.1.32473.2.1", "Policy of the certificates (OID). The default lies in the arc for examples (RFC 5612): register your own.", _oid
    )
    key_type: str = _setting("p256", f"Type of new keys: {', '.join(KEY_TYPE_NAMES)}.", _one_of(*KEY_TYPE_NAMES))
    root_days: int = _setting(7305, "The root: 20 years.", _between(1, 18_263))
    ca_days: int = _setting(3653, "The issuing authority: 10 years.", _between(1, 18_263))
    tsu_days: int = _setting(2192, "A time-stamping unit's certificate: 6 years.", _between(1, 18_263))
    tsu_key_days: int = _setting(366, "A unit's private key (EN 319 421: shorter than its certificate): 1 year.", _between(1, 18_263))
    seal_days: int = _setting(1096, "An organisation's seal: 3 years.", _between(1, 18_263))
    ocsp_days: int = _setting(366, "The OCSP responder, whose certificate cannot be revoked: 1 year.", _between(1, 18_263))
    crl_hours: int = _setting(72, "From a CRL of the issuing authority to the next. A new one is made at half of it.", _between(1, 8784))
    root_crl_days: int = _setting(90, "The same for the root's CRL.", _between(1, 366))
    ocsp_minutes: int = _setting(60, "How long an OCSP answer may be kept.", _between(1, 43_200))


@dataclass(frozen=True, slots=True)
class Log:
    """The journal as a Merkle log (C2SP tlog-tiles): its checkpoints and who else looks at them."""

    origin: str = _setting("", "The log's name, fixed when its key is made. Empty: the service's base_url without its scheme, and /log.", _origin)
    interval_ms: int = _setting(1000, "At most one checkpoint in this time, in milliseconds.", _between(50, 86_400_000))
    entries: bool = _setting(True, "Serve the entries too, to everybody: digests and certificates, never documents. Without, only hashes are served.")
    witnesses: tuple[str, ...] = _setting((), "Witnesses that are asked to cosign: the address and the verifier key of each, with a space between.")
    quorum: int = _setting(0, "A checkpoint is shown when so many of them have cosigned it.", _between(0, 32))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may ask: an address, of IPv6 its /64. So much at once, and then so much in a second, minute or hour; empty: no limit."""

    tsa: str = _setting("500/s burst 5000", "Time-stamps.", wrong_rate)
    batches: str = _setting("100/s burst 1000", "Batches.", wrong_rate)
    seals: str = _setting("20/s burst 200", "Seals and extensions, for an API key.", wrong_rate)
    verifications: str = _setting("5/s burst 50", "Verifications.", wrong_rate)
    log: str = _setting("100/s burst 2000", "Reading the log, receipts.", wrong_rate)
    pki: str = _setting("100/s burst 1000", "Lists, OCSP, issuers.", wrong_rate)
    unlimited: tuple[str, ...] = _setting(("127.0.0.0/8", "::1/128"), "Networks and addresses without limits: this machine.", wrong_networks)
    clients: int = _setting(10_000, "Clients that are remembered; who asked longest ago is forgotten first.", _between(100, 10_000_000))


@dataclass(frozen=True, slots=True)
class Operations:
    """What the service tells those who operate it."""

    networks: tuple[str, ...] = _setting(
        ("127.0.0.0/8", "::1/128"), "Networks and addresses that get metrics, and the details of /health. Others get 200 or 503.", wrong_networks
    )
    log_level: str = _setting("info", f"Least of what is logged: {', '.join(LOG_LEVELS)}.", _one_of(*LOG_LEVELS))
    log_requests: str = _setting(
        "rest", f"Requests that leave a line in the log: {', '.join(LOG_REQUESTS)}. rest: all but granted time-stamps.", _one_of(*LOG_REQUESTS)
    )


@dataclass(frozen=True, slots=True)
class Database:
    """What is kept: certificates, the journal, API keys."""

    url: str = _setting("", "sqlite:///path or postgresql://user@host/name. Empty: kakuin.db in the instance's folder.", _database)
    password_file: str = _setting("", "File with PostgreSQL's password, in the instance's folder or by its full path. Empty: as PGPASSFILE says.")


@dataclass(frozen=True, slots=True)
class Confined:
    """The processes that read strangers' documents."""

    memory_bytes: int = _setting(1 << 30, "Memory of one such process beyond what it imports, in bytes.", _between(64 << 20, 1 << 40))
    seconds: float = _setting(30.0, "Processor time for one document; four times that by the wall clock.", _between(0.1, 3600))
    processes: int = _setting(0, "How many run at once, shared by the workers. 0: one for each processor.", _between(0, 1024))
    waiting: int = _setting(4, "How many a service keeps ready, some 11 MB each. 0: each is made when it is needed.", _between(0, 256))


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verification for others, over HTTP. (`kakuin verify` fetches where it is told to with --online.)"""

    online: bool = _setting(False, "Fetch status and issuers that a document lacks, from the addresses that its certificates name.")
    allow_private_networks: bool = _setting(False, "... also from addresses of private networks. Whoever sends documents chooses the addresses.")


@dataclass(frozen=True, slots=True)
class Visible:
    """Visible seals on PDF."""

    font: str = _setting(
        "", "Font file of their letters: TrueType, OpenType or a collection. Empty: a Japanese font of Debian's, where one is installed."
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them; the defaults are those of an installation that has said nothing."""

    service: Service = Service()
    tsa: Tsa = Tsa()
    batches: Batches = Batches()
    clock: Clock = Clock()
    pki: Pki = Pki()
    log: Log = Log()
    limits: Limits = Limits()
    operations: Operations = Operations()
    database: Database = Database()
    confined: Confined = Confined()
    verifier: Verifier = Verifier()
    visible: Visible = Visible()
    units: Mapping[str, UnitSettings] = field(default_factory=dict)
    """Of time-stamping units, by name: `[unit.NAME]`."""
    seals: Mapping[str, KeySettings] = field(default_factory=dict)
    """Of organisations' seal keys, by corporate number: `[organisation.NUMBER]`."""

    @property
    def base_url(self) -> str:
        """Where others reach the service, without a slash at the end."""
        host = f"[{self.service.host}]" if ":" in self.service.host else self.service.host
        return self.service.base_url or f"http://{host}:{self.service.port}"

    @property
    def development_clock(self) -> bool:
        """Nobody vouches for the time of time-stamps."""
        return self.clock.sources == (DEVELOPMENT_CLOCK,)

    def token_policy(self, policy: str) -> str:
        """The policy that stands in tokens of a unit whose policy is `policy`: under the development clock another, which says so."""
        return DEVELOPMENT_POLICY if self.development_clock else policy

    @property
    def log_origin(self) -> str:
        """The name that a log gets whose key is made now."""
        return self.log.origin or f"{self.base_url.partition('://')[2]}/log"

    @property
    def pki_url(self) -> str:
        """Where others reach CRLs, OCSP and issuers' certificates, without a slash at the end."""
        return self.pki.base_url or f"{self.base_url}/pki"


SECTIONS: dict[str, type] = {name: kind for name, kind in get_type_hints(Settings).items() if isinstance(kind, type)}

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", tuple[str, ...]: "a list of texts"}


def load(folder: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the instance in `folder`. NotFound without a settings file; Misconfigured, naming the setting, for whatever is wrong."""
    path = folder / FILE
    try:
        text = read_small(path, "settings file").decode()
        found = tomllib.loads(text)
    except NotFound:
        raise NotFound(f"there is no instance in {folder} (no {FILE}): make one with `kakuin init`") from None
    except (ValueError, RecursionError) as error:  # TOML that is none, and numbers and nesting of any size
        raise Misconfigured(f"{path} is not TOML: {str(error).lower()}") from error
    return combine(found, environ, str(path))


def combine(found: Mapping[str, Any], environ: Mapping[str, str], source: str) -> Settings:
    """Settings from a parsed file and an environment, over the defaults."""
    values: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    units, seals = read_units(found.get(TABLE, {}), source), read_seals(found.get(SEALS, {}), source)
    for section, table in _moved(found).items():
        if section in (TABLE, SEALS):
            continue
        if section not in SECTIONS:
            raise Misconfigured(f"{source}: unknown section [{section[:40]}], expected one of {', '.join(SECTIONS)}, {TABLE}.NAME, {SEALS}.NUMBER")
        if not isinstance(table, dict):
            raise Misconfigured(f"{source}: {section} is a section, expected [{section}]")
        for name, value in table.items():
            values[section][name] = _checked(section, name, value, f"{source}: {section}.{name[:40]}")
    for variable, text in environ.items():
        section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
        if variable.startswith(PREFIX) and section in SECTIONS:
            where = f"environment variable {variable}"
            values[section][name] = _checked(section, name, _parsed(section, name, text, where), where)
    return Settings(**{name: kind(**values[name]) for name, kind in SECTIONS.items()}, units=units, seals=seals)


def _moved(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Files of the first instances say tsa.clock for what is clock.sources now."""
    tsa = found.get("tsa")
    if not isinstance(tsa, dict) or "clock" not in tsa or "clock" in found:
        return found
    return {**found, "tsa": {name: value for name, value in tsa.items() if name != "clock"}, "clock": {"sources": [tsa["clock"]]}}


def _known(section: str, name: str, where: str) -> "tuple[Field[Any], Any]":
    for known in fields(SECTIONS[section]):
        if known.name == name:
            return known, get_type_hints(SECTIONS[section])[name]
    raise Misconfigured(f"{where}: unknown setting, expected one of {', '.join(f.name for f in fields(SECTIONS[section]))}")


def _checked(section: str, name: str, value: Any, where: str) -> Any:
    known, kind = _known(section, name, where)
    if kind is float and type(value) is int:
        value = float(value)
    if kind == tuple[str, ...] and type(value) is list and all(type(item) is str for item in value):
        value = tuple(value)
    fits = type(value) is tuple if kind == tuple[str, ...] else type(value) is kind
    if not fits or (kind is float and not math.isfinite(value)):
        raise Misconfigured(f"{where}: expected {_WORDS[kind]}, got {type(value).__name__}")
    check: Check | None = known.metadata["check"]
    expected = check(value) if check else None
    if expected:
        raise Misconfigured(f"{where}: expected {expected}")
    return value


def _parsed(section: str, name: str, text: str, where: str) -> Any:
    """An environment variable's text as its setting's type; lists are separated by commas."""
    _, kind = _known(section, name, where)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.strip().lower()]
        if kind == tuple[str, ...]:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return kind(text)
    except (ValueError, KeyError) as error:
        raise Misconfigured(f"{where}: expected {_WORDS[kind]}") from error


def written(settings: Settings) -> str:
    """The settings file: what differs from the defaults is set, every default stands beside as a comment with its meaning."""
    lines = [
        "# Settings of this Kakuin instance. A line that begins with # shows a default: take the # away to change it.",
        f"# Each can be overridden by an environment variable {PREFIX}<SECTION>_<NAME>, for example {PREFIX}SERVICE_PORT.",
    ]
    for section, kind in SECTIONS.items():
        lines += ["", f"# {(kind.__doc__ or '').strip()}", f"[{section}]"]
        for known in fields(kind):
            value = getattr(getattr(settings, section), known.name)
            assignment = f"{known.name} = {_toml(value)}"
            default = known.default if known.default is not MISSING else None
            lines += [f"# {known.metadata['doc']}", assignment if value != default else f"# {assignment}"]
    tables = [f"\n{key_table(number, seal, SEALS)}" for number, seal in settings.seals.items()]
    return "\n".join(lines) + "\n" + "".join(tables)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            escaped = "".join(
                c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in value
            )
            return f'"{escaped}"'
        case tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)
