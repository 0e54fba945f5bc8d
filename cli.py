"""kakuin: the command line, and the one place where the parts are put together.

`kakuin --help` imports click and nothing else: a command is imported when it is called, and imports what it needs when it runs.
"""

import functools
import importlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust import VERSION
from trust.edge import options
from trust.errors import KakuinError, NotFound, Unavailable

if TYPE_CHECKING:
    from eseal.extend_material import Known
    from eseal.extend_service import Extender, Look
    from eseal.service import Finding, Sealer
    from eseal.store import ApiKeys
    from trust.edge.clock.keeper import Timekeeper
    from trust.edge.instance import Instance
    from trust.edge.operations.tally import Tally
    from trust.edge.operations.watch import Watch
    from trust.edge.sandbox import Sandbox
    from trust.model import Digest, Document
    from tsa.issue import Unit
    from tsa.service import Authority
    from verifier.report.parties import Json
    from verifier.service import Question, Verifier

# name -> (where it is, what it does). The overview is written from here, so that it costs no import.
COMMANDS = {
    "init": ("trust.commands:init", "Make an instance: keys, a small PKI, a database."),
    "serve": ("cli:serve", "Serve the authority, the sealer, the verifier and the PKI over HTTP."),
    "seal": ("eseal.commands:seal", "Seal a document for an organisation."),
    "extend": ("eseal.extend_commands:extend", "Raise signatures to a higher level, or renew their archive time-stamps."),
    "verify": ("verifier.commands:verify", "Verify files: one verdict, then why, then what to do."),
    "tsa": ("tsa.unit_commands:tsa", "Time-stamping units: create, list, roll over, retire."),
    "stamp": ("tsa.commands:stamp", "Time-stamp a file (RFC 3161)."),
    "inspect": ("verifier.commands:inspect", "Show what a file carries, without judging it."),
    "ca": ("trust.commands:ca", "Certificates: list, show, enrol, renew, revoke, write CRLs."),
    "log": ("trust.log.commands:log", "What was issued here: list, show, export, check, prove, verify."),
    "audit": ("verifier.audit.commands:audit", "Audit the time-stamps of a period: a row each, gaps, doubles, order, clock."),
    "monitor": ("trust.log.watching:monitor", "Follow a log: that it only grows and holds nothing that it must not."),
    "witness": ("trust.log.watching:witness", "Cosign the checkpoints of others' logs."),
    "apikey": ("eseal.commands:apikey", "API keys of the sealing service: create, list, revoke."),
    "clock": ("trust.edge.clock.commands:clock", "What vouches for the time of time-stamps, and what the journal says of it."),
    "doctor": ("trust.commands:doctor", "Say what is wrong with an instance, and what to do."),
    "demo": ("cli:demo", "Seal and verify a demonstration, then serve it."),
    "completion": ("trust.commands:completion", "Print the completion script of a shell."),
}

USAGE_EXIT, INTERRUPTED_EXIT, BROKEN_PIPE_EXIT = 2, 130, 141

CONFINED = (
    *("verifier.service", "verifier.shapes", "verifier.report.etsi"),
    *(f"verifier.formats.{reader}" for reader in ("pades", "ers", "tst", "cades", "xades", "asic", "jades", "cose")),
    "eseal.drafting",
    "eseal.extend",
    "eseal.hash_archive",
    *(f"eseal.formats.{writer}" for writer in ("pades", "cades", "xades", "jades", "cose", "asic")),
    *(f"eseal.formats.{raiser}" for raiser in ("cades_extend", "xades.extend", "jades_extend", "cose_extend", "asic_extend")),
    *(f"eseal.formats.{adder}" for adder in ("cades_added", "xades.countersigned", "jades_added", "asic_added")),
)
"""What the confined process imports before the first stranger's file."""


class House:
    """One instance with its parts put together: who is given what. Each part is made when it is first asked for."""

    def __init__(self, folder: Path, passphrase_file: Path | None = None, *, worker: int = 0, workers: int = 1) -> None:
        """`worker`: which of so many processes this is; the first one looks after the log for all."""
        self._folder = folder
        self._passphrase_file = passphrase_file
        self._worker = worker
        self._workers = workers
        self._background: list[Any] = []
        self.hurry: Callable[[], None] = lambda: None
        """What waits for company waits no longer: the service is ending."""

    def __enter__(self) -> "House":
        return self

    def __exit__(self, *_: object) -> None:
        """Requests in flight are recorded first; then the signing threads, the confined process and the database go."""
        made = self.__dict__
        if "watch" in made:
            self.watch.close()
        for each in self._background:
            each.close()
        if (keeper := made.get("timekeeper")) is not None:
            keeper.close()  # what the last tokens rested on goes into the journal
        if "instance" in made:
            self.instance.close()
        if "authority" in made:
            self.authority.close()
        if "sandbox" in made:
            self.sandbox.close()

    @functools.cached_property
    def instance(self) -> "Instance":
        from trust.edge.instance import Instance
        from trust.edge.keystore import passphrase

        return Instance.open(self._folder, passphrase(self._passphrase_file))

    @functools.cached_property
    def sandbox(self) -> "Sandbox":
        """Where strangers' documents are parsed: no key is in that process."""
        from trust.edge.sandbox import Sandbox

        limits = self.instance.settings.confined
        jobs = limits.processes or max(1, (os.cpu_count() or 1) // self._workers)
        return Sandbox(CONFINED, memory_bytes=limits.memory_bytes, seconds=limits.seconds, jobs=jobs)

    @functools.cached_property
    def timekeeper(self) -> "Timekeeper | None":
        """What vouches for the time of time-stamps, and has looked at it; None under the development clock."""
        if self.instance.settings.development_clock:
            return None
        from trust.edge.clock.keeper import keeper_of

        keeper = keeper_of(self.instance.settings, functools.partial(self.instance.journal.append, "event"))
        keeper.begin()
        return keeper

    @functools.cached_property
    def authority(self) -> "Authority":
        from trust.edge.units import DEFAULT_UNIT
        from tsa.service import Authority
        from tsa.units import Place

        instance = self.instance
        settings = instance.settings
        names = (DEFAULT_UNIT, *(name for name in instance.units if name != DEFAULT_UNIT))
        places = []
        for name in names:
            fallback = settings.units[name].fallback if name in settings.units else ""
            reopen = functools.partial(self._reopened, name)
            places.append(Place(name, self._unit(name), fallback if fallback in names else None, reopen, self._standing))
        accuracy = min(place.unit.policy.accuracy_us for place in places)
        clock = instance.clock if self.timekeeper is None else self.timekeeper.clock(accuracy)
        return Authority(places, instance.journal, clock)

    def _unit(self, name: str) -> "Unit":
        """The time-stamping unit `name`, as its settings say."""
        from trust.edge.eight import sure_of
        from trust.edge.units import UnitSettings, key_name
        from tsa.events import serials
        from tsa.issue import Unit
        from tsa.policy import Policy

        settings = self.instance.settings
        general, said = settings.tsa, settings.units.get(name, UnitSettings())
        policy = Policy(
            settings.token_policy(said.policy or general.policy),
            also=frozenset() if settings.development_clock else frozenset(said.policies),
            digests=frozenset(said.hashes or general.hashes),
            accuracy_us=said.accuracy_us or general.accuracy_ms * 1000,
            ordering=said.ordering,
            names_unit=said.names_unit,
            qualified=said.qualified,
        )
        key = self.instance.key(key_name(name))
        # Named after its certificate: a serial is never used twice under one name, whatever key comes later.
        return Unit.of(serials(key.certificate), policy, key, sure_of if general.eight_at_once else None)

    def _reopened(self, name: str) -> "Unit":
        from trust.edge.units import key_name

        self.instance.forget(key_name(name))
        return self._unit(name)

    def _standing(self, unit: "Unit") -> str | None:
        """Why a unit must not issue: its certificate was revoked."""
        return "its certificate was revoked" if self.instance.authority.is_revoked(unit.key.certificate) else None

    def evidence(self, digest: "Digest") -> bytes:
        """A token as an evidence record holds it: with what its own validation needs, so that the record is whole."""
        return self.completed(self.authority.stamper()(digest))

    def completed(self, token: bytes) -> bytes:
        """A token with the status of its chain beside its signature, where the chain is this installation's."""
        from eseal.formats import archive
        from eseal.levels import material, token_chain
        from trust.codecs import cms

        return archive.completed(token, material([token_chain(cms.token(token))], self.instance.authority.status))

    @staticmethod
    def boxed(document: "Document", token: bytes) -> "Document":
        """An ASiC-S container of a document and the time-stamp over it; it reads the document that was given."""
        from eseal.draft import assembled
        from eseal.formats.asic import stamped_box
        from eseal.spec import MEDIA_TYPE, Format, Packaging
        from trust.codecs.cms import token as token_of

        media_type, ending = MEDIA_TYPE[Format.ASIC_S_CADES, Packaging.ATTACHED]
        pieces = stamped_box(document, token, token_of(token).gen_time)
        return assembled(document, pieces, (document.name or "document") + ending, media_type)

    def _stamp(self, digest: "Digest") -> bytes:
        """trust.ports.Stamper: without a time-stamp neither unit nor clock is asked. A unit or a clock that fails is an authority that is away,
        and no fault of the document."""
        from tsa.issue import Refused, UnitFailed
        from tsa.refusals import OWN

        try:
            return self.authority.stamper()(digest)
        except Refused as error:
            if error.failure not in OWN:
                raise
            why = "no unit can issue now, and `kakuin tsa list` says why" if isinstance(error, UnitFailed) else error.why
            raise Unavailable(why) from error

    @functools.cached_property
    def sealer(self) -> "Sealer":
        from eseal.service import Sealer

        instance = self.instance
        return Sealer(
            keys=lambda number: instance.key(f"seal-{number}"),
            stamp=self._stamp,
            status=instance.authority.status,
            record=instance.journal.append,
            clock=instance.clock,
            check=self._check,
            check_inner=self._check_inner,
            run=self.sandbox.run,
            examine=self._examine,
            font=self._font,
        )

    def _font(self) -> "Document | None":
        """Of visible seals, where none comes with the document."""
        from trust.edge.fonts import font

        return font(self.instance.settings.visible.font)

    def seal_files(self, documents: "Sequence[Document]", organisation: str | None) -> "Document":
        """Several files under one seal: a report with its parts."""
        from eseal.spec import FOR_SEVERAL, choose

        first, *more = documents
        return self.sealer.seal(first, choose(b"", format=FOR_SEVERAL), self.organisation(organisation), more).document

    @functools.cached_property
    def extender(self) -> "Extender":
        """Fetches only where the operator lets the service fetch."""
        return self._extender(self._looked if self.instance.settings.verifier.online else None)

    def extender_online(self, *, allow_private: bool) -> "Extender":
        """The same for somebody at this machine, who may say so himself."""
        return self._extender(functools.partial(self._looked, allow_private=allow_private))

    def _extender(self, look: "Look | None") -> "Extender":
        from eseal.extend_service import Extender

        instance = self.instance
        return Extender(
            stamp=self._stamp,
            status=instance.authority.status,
            record=instance.journal.append,
            clock=instance.clock,
            examine=self._examine,
            run=self.sandbox.run,
            look=look,
            anchors=self.verifier.anchors,
        )

    def _examine(self, document: "Document", detached: "Sequence[Document]", known: "Known") -> "Json":
        return self.sandbox.run("verifier.service:brief", self._asked(document, detached, known), returns=dict)

    def _looked(self, document: "Document", detached: "Sequence[Document]", known: "Known", *, allow_private: bool | None = None) -> "Known":
        private = self.instance.settings.verifier.allow_private_networks if allow_private is None else allow_private
        found = self._fetched(self._asked(document, detached, known), allow_private=private)
        return replace(known, certificates=found.certificates, crls=found.crls, ocsps=found.ocsps)

    def _asked(self, document: "Document", detached: "Sequence[Document]", known: "Known") -> "Question":
        """Whoever is trusted by the caller is trusted besides this instance: its own time-stamps are in what comes out."""
        anchors = tuple(dict.fromkeys((*known.anchors, *self.verifier.anchors)))
        asked = self.verifier.question(document, detached, anchors=anchors, certificates=known.certificates, crls=known.crls, ocsps=known.ocsps)
        return self._informed(asked)

    def known(self, trust: "Sequence[Path]", certificates: "Sequence[Path]", crls: "Sequence[Path]", ocsps: "Sequence[Path]") -> "Known":
        """What is given beside a document as files, and folders of files."""
        from eseal.extend_material import Known
        from verifier import sources

        files = sources.detached_files
        return Known(
            sources.certificates(trust),
            sources.certificates(certificates),
            sources.crls(path for path, _ in files(crls)),
            sources.ocsps(path for path, _ in files(ocsps)),
        )

    @staticmethod
    def known_in(files: "Mapping[str, Sequence[bytes]]") -> "Known":
        """The same as bytes, by the names of the fields that they came in."""
        from eseal.extend_material import Known
        from verifier import sources

        def each(name: str, read: "Callable[[bytes], list[Any]]") -> tuple[Any, ...]:
            return tuple(found for data in files.get(name, ()) for found in read(data))

        return Known(
            each("trust", sources.certificates_in),
            each("certificate", sources.certificates_in),
            each("crl", sources.crls_in),
            each("ocsp", sources.ocsps_in),
        )

    def detached(self, paths: "Sequence[Path]") -> "tuple[Document, ...]":
        from verifier import sources

        return sources.detached(paths)

    @functools.cached_property
    def api_keys(self) -> "ApiKeys":
        from eseal.store import ApiKeys

        return ApiKeys(self.instance.engine, self.instance.clock, self._admit())

    def _admit(self) -> "Callable[[str], None]":
        """How much one API key may ask."""
        from trust.edge.operations.limits import KeyLimit, rate

        said = self.instance.settings.limits
        found = rate(said.seals)
        return (lambda _: None) if found is None else KeyLimit(found, time.monotonic, said.clients)

    @functools.cached_property
    def verifier(self) -> "Verifier":
        """Trusts this instance's anchors where a request names none."""
        from verifier import sources
        from verifier.service import Verifier

        return Verifier(self.instance.clock, anchors=sources.certificates([self.instance.anchors]))

    def answer(self, question: "Question") -> "Json":
        """The JSON report on a stranger's document, read in the confined process."""
        return self.sandbox.run("verifier.service:answer", self._informed_online(self._informed(question)), returns=dict)

    def etsi(self, question: "Question") -> bytes:
        """The same as an ETSI validation report."""
        return self.sandbox.run("verifier.shapes:etsi_report", self._informed_online(self._informed(question)), returns=bytes)

    def _informed(self, question: "Question") -> "Question":
        """With this authority's own status lists: a seal below B-LT carries none."""
        lists = tuple(self.instance.authority.crl(issuer).crl for issuer in ("root", "ca"))
        return replace(question, crls=(*question.crls, *lists))

    def _informed_online(self, question: "Question") -> "Question":
        """With what is missing, where the operator lets the service fetch."""
        settings = self.instance.settings.verifier
        return self._fetched(question, allow_private=settings.allow_private_networks) if settings.online else question

    def _fetched(self, question: "Question", *, allow_private: bool) -> "Question":
        """With what is missing. The confined process asks, and has no network itself."""
        from trust.edge.fetch import Fetcher
        from verifier.service import Question

        fetcher = Fetcher(allow_private=allow_private)
        calls: dict[str, Callable[..., Any]] = {"get": fetcher.get, "post": fetcher.post}
        known = self.sandbox.run("verifier.online:informed", question, calls=calls, returns=Question)
        # The documents come back without their content; what was fetched is a stranger's anyhow.
        found = {name: getattr(known, name) for name in ("certificates", "crls", "ocsps", "unobtained")}
        return replace(question, **found)

    def _check(self, sealed: "Document", detached: "Sequence[Document]", signature: bytes) -> "Finding":
        return self._found(self._informed(self.verifier.question(sealed, detached)), signature)

    def _check_inner(self, sealed: "Document", detached: "Sequence[Document]", signature: bytes) -> "Finding":
        """Of the CMS of a PDF, without the PDF, in which the signing time stands."""
        question = self._informed(self.verifier.question(sealed, detached, policy=self.verifier.policy.without_signing_time()))
        return self._found(question, signature)

    def _found(self, question: "Question", signature: bytes) -> "Finding":
        from eseal.service import Finding

        passed, level, why, exposed = self.sandbox.run("verifier.service:finding", question, signature, returns=tuple)
        return Finding(bool(passed), str(level), str(why), tuple(map(str, exposed)))

    def organisation(self, number: str | None) -> str:
        """The corporate number as it was given, or the only organisation's."""
        from trust.registry import corporate_number

        there = self.instance.organisations
        if number is not None:
            return corporate_number(number)
        if len(there) != 1:
            names = ", ".join(f"{o.number} ({o.name})" for o in there)
            raise NotFound(
                f"several organisations have a seal here, name one with --organisation: {names}" if there else "no organisation has a seal here"
            )
        return there[0].number

    def _log(self) -> Any:
        """The log's routes, with its checkpoints and their cosignatures made in the background; where it has no key, routes that say so."""
        from trust.log import api
        from trust.log.cosign import Cosigners, peer
        from trust.log.stored import Stored

        instance, said = self.instance, self.instance.settings.log
        try:
            publisher = instance.publisher()
        except NotFound:
            return api.absent()
        witnesses = tuple(map(peer, said.witnesses))
        cosigners = Cosigners(instance.engine, witnesses, said.interval_ms / 1000, alongside=instance.journal.alongside)
        for each in (publisher, cosigners) if self._worker == 0 else ():
            each.start()
            self._background.append(each)
        return api.router(Stored(instance.engine, said.quorum), publisher, instance.log_key, entries=said.entries)

    @functools.cached_property
    def tally(self) -> "Tally":
        """What is counted."""
        return self.tally_of()

    def tally_of(self, handle: int | None = None) -> "Tally":
        """`handle`: of memory that all processes of the service share."""
        from eseal.spec import Format, Level
        from trust.edge.operations import gate, metrics
        from trust.edge.operations.tally import Tally
        from tsa.watching import FAILURES
        from verifier.verdict import Conclusion

        series = metrics.catalogue(
            routes=gate.CLASSES,
            units=self.instance.units,
            failures=FAILURES,
            formats=tuple(Format),
            kinds=("PDF", "CMS", "XML", "JWS", "COSE", "ASiC-S", "ASiC-E", "ODF"),
            levels=tuple(Level),
            conclusions=tuple(Conclusion),
        )
        return Tally(series, rows=self._workers, row=self._worker, handle=handle)

    @functools.cached_property
    def watch(self) -> "Watch":
        """How the service does."""
        from trust.edge.operations.assembly import watch_of
        from trust.edge.operations.health import UnitSeen

        def units() -> tuple[UnitSeen, ...]:
            return tuple(UnitSeen(each.name, each.algorithm, each.ends, each.fault, each.fallback) for each in self.authority.states)

        return watch_of(self.instance, self.timekeeper, units)

    @property
    def shares(self) -> bool:
        """Other processes accept from the same socket."""
        return self._workers > 1

    def begins_to_end(self) -> None:
        """From now on health says that the service is ending."""
        self.watch.draining = True

    def _counted_answer(self, question: "Question") -> "Json":
        from trust.edge.operations.metrics import VERIFICATIONS

        try:
            made = self.answer(question)
        except KakuinError:
            self.tally.count(VERIFICATIONS, "failed_to_judge")
            raise
        self.tally.count(VERIFICATIONS, str(made.get("conclusion")))
        return made

    def application(self) -> Any:
        """Everything over HTTP, the authority's endpoint in front, and a gate before all."""
        from trust.codecs.tsp import Failure, rejection
        from trust.edge.operations import assembly
        from trust.edge.operations.description import schema
        from trust.edge.operations.gate import Gate, Over
        from tsa.api import REPLY, Endpoint, front
        from tsa.watching import Counting

        settings = self.instance.settings
        every = settings.operations.log_requests == "all"
        assembly.watched(self.instance.journal, self.tally)
        endpoint = Endpoint(self.authority, limit=settings.tsa.request_limit_bytes, watch=Counting(self.tally, self.authority.names, every=every))
        return Gate(
            front(endpoint, self._web()),
            clients=assembly.clients_of(settings),
            limits=assembly.limits_of(settings),
            remembered=settings.limits.clients,
            stamping=endpoint.serves,
            over=Over(rejection(Failure.SYSTEM_FAILURE, "too many requests: try again later"), REPLY),
            watch=self.watch,
            tally=self.tally,
            schema=schema(),
            alive=lambda: self.instance.journal.alive,
        )

    def _web(self) -> Any:
        """All that goes through the framework."""
        from eseal.api import router as seals
        from eseal.extend_api import router as extensions
        from eseal.hash_api import router as hashes
        from eseal.store import Repeats
        from trust.edge.operations.description import description as operations
        from trust.edge.web import application
        from trust.pki.api import router as certificates
        from tsa import batch_api
        from tsa.api import description
        from tsa.batch_current import Aggregator
        from verifier.api import router as verifications

        instance, settings = self.instance, self.instance.settings
        limit, batches = settings.service.document_limit_bytes, settings.batches
        current = Aggregator(self.evidence, seconds=batches.seconds, most=batches.most, waiting=batches.waiting)
        repeats = Repeats(instance.engine, instance.clock)
        self.hurry = current.hurry
        return application(
            "Kakuin",
            (
                seals(self.sealer, self.api_keys, repeats, limit),
                hashes(self.sealer, self.api_keys, repeats),
                extensions(self.extender, self.api_keys, repeats, self.known_in, limit),
                verifications(self.verifier, self._counted_answer, etsi=self.etsi, limit_bytes=limit),
                certificates(instance.authority, instance.clock),
                self._log(),
                description(),
                operations(),
                batch_api.router(self.evidence, current, settings.batches.limit),
            ),
            description="Seal documents for an organisation, verify what others sealed, and look up certificates. `POST /tsa` answers RFC 3161.",
            base_url=settings.base_url,
            body_limit=settings.service.body_limit_bytes,
            limits={"/v1/seals": limit, "/v1/extensions": limit, "/v1/verifications": limit, batch_api.PATH: batch_api.body_limit(batches.limit)},
        )


class Table(click.Group):
    """The commands of the table, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in COMMANDS.items()])


@click.command(cls=Table, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="kakuin")
@click.pass_context
def kakuin(ctx: click.Context) -> None:
    """Timestamp authority, e-seal issuer and verifier (角印).

    Exit codes: 0 passed, 1 failed, 2 usage, 3 cannot tell, 4 nothing signed; errors as in sysexits(3).
    """
    ctx.obj = House


def _listen(host: str, port: int) -> socket.socket:
    """A taken port is told before anything else is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        why = (error.strerror or "it does not").lower()
        raise Unavailable(f"cannot listen on {host} port {port} ({why}): choose another with --port, or stop what listens there") from error
    return listener


def _serve(house: House, listener: socket.socket, said: Callable[[], None]) -> None:
    """Until SIGINT or SIGTERM; requests in flight are answered first (trust.edge.operations.serving)."""
    from trust.edge.operations.assembly import clients_of, hall_of, level_of
    from trust.edge.operations.serving import Ending, Server
    from trust.edge.settings import DEVELOPMENT_CLOCK
    from trust.edge.web import logging_to

    if house.instance.settings.development_clock:
        click.echo(f"beware: {DEVELOPMENT_CLOCK}: nobody checks this machine's time, so time-stamps prove nothing", err=True)
    house.sandbox.start()
    application = house.application()
    if house.timekeeper is not None and not (clock := house.timekeeper.status()).good:
        click.echo(f"beware: {clock.why}: requests for time-stamps are refused; `kakuin clock` says what to do", err=True)

    settings = house.instance.settings
    service = settings.service
    hall = hall_of(settings, clients_of(settings), house.tally)
    ending = Ending(service.notice_seconds, service.drain_seconds, shared=house.shares, begins=house.begins_to_end, hurry=house.hurry)
    with logging_to(sys.stderr, level=level_of(settings), requests=settings.operations.log_requests != "none"):
        Server(application, hall, ending, started=said).run(sockets=[listener])
    click.echo("stopped", err=True)


@click.command()
@options.instance
@options.passphrase_file
@click.option("--host", help="Address to listen on.  [default: the setting service.host]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: the setting service.port]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer; more than one want PostgreSQL.")
def serve(instance: Path, passphrase_file: Path | None, host: str | None, port: int | None, workers: int) -> None:
    """Serve the authority (/tsa), the sealer (/v1/seals), the verifier (/v1/verifications) and the PKI (/pki) until Ctrl-C."""
    from trust.edge.settings import load

    settings = load(instance.absolute(), os.environ).service
    with _listen(host or settings.host, settings.port if port is None else port) as listener:
        address = _address(listener)
        said = functools.partial(click.echo, f"serving {instance} on {address} (its API: {address}/openapi.json); Ctrl-C ends it")
        if workers == 1:
            with House(instance, passphrase_file) as house:
                _serve(house, listener, said)
        else:
            _serve_together(instance, passphrase_file, listener, workers, said)


def _serve_together(instance: Path, passphrase_file: Path | None, listener: socket.socket, workers: int, said: Callable[[], None]) -> None:
    """In several processes. Nothing is opened before they part."""
    from trust.edge.operations.tally import shared
    from trust.edge.workers import Workers

    counted = shared(workers)

    def work(number: int, ready: Callable[[], None]) -> int:
        def serve() -> None:
            with House(instance, passphrase_file, worker=number, workers=workers) as house:
                house.tally = house.tally_of(handle=counted)
                _serve(house, listener, ready)

        return _coded(serve)

    code = Workers(workers, work, ready=said, tell=functools.partial(click.echo, err=True), ends=listener.close).run()
    if code:
        raise SystemExit(code)


@click.command()
@click.option("--folder", type=options.folder_path, default="demo", show_default=True, help="Where the demonstration lies.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: the setting service.port, 8318]")
@click.option("--serve/--no-serve", "serving", default=True, help="Leave the service running at the end.")
def demo(folder: Path, port: int | None, serving: bool) -> None:
    """Seal a PDF and a dataset for an invented organisation, verify both, then serve.

    What is there already is kept: a second run starts at once.
    """
    from trust.edge.files import told
    from trust.edge.instance import Answers, Instance

    with told(f"make {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    instance = folder / "instance"
    with Instance.create(instance, Answers(port=port)) as made:
        wanted = made.settings.service
    listener = _listen(wanted.host, wanted.port if port is None else port) if serving else None
    try:
        with House(instance) as house:
            _demonstrate(house, folder)
            if listener is not None:
                _serve(house, listener, functools.partial(click.echo, _try_next(folder, _address(listener))))
    finally:
        if listener is not None:
            listener.close()


def _demonstrate(house: House, folder: Path) -> None:
    from eseal.demonstration import CSV_NAME, PDF_NAME, csv, pdf
    from eseal.spec import choose
    from trust.edge.files import write_atomically
    from trust.edge.source import document_of
    from verifier.report.text import render
    from verifier.terminal import style

    for name, draw, packaging in ((PDF_NAME, pdf, "enveloped"), (CSV_NAME, csv, "detached")):
        path = folder / name
        if not path.exists():
            write_atomically(path, draw())
        document = document_of(path)
        spec = choose(document.head(4096), level="B-LTA", packaging=packaging)
        ending = ".sealed.pdf" if name == PDF_NAME else ".csv.p7s"
        target = path.with_suffix(ending)
        if not target.exists():
            made = house.sealer.seal(document, spec, house.organisation(None))
            options.written(options.pieces(made.document.open()), target, replace=False)
            click.echo(f"sealed {path} at {made.spec.level}: {target}")
        detached = (document,) if name == CSV_NAME else ()
        given = f" --detached {path}" if detached else ""
        click.echo(f"\n$ kakuin verify {target}{given} --trust {folder / 'instance' / 'anchors'}")
        click.echo(render(house.answer(house.verifier.question(document_of(target), detached)), style(sys.stdout)))
    key = folder / "api-key"
    if not key.exists():
        text, _ = house.api_keys.create(house.organisation(None), "demonstration")
        write_atomically(key, text.encode(), mode=0o600)


def _try_next(folder: Path, address: str) -> str:
    return f"""
serving on {address}; Ctrl-C ends it. Try, in another terminal, with a PDF of your own:

  curl --data-binary @yours.pdf -H "Authorization: Bearer $(cat {folder}/api-key)" -H "Content-Type: application/pdf" \\
       "{address}/v1/seals?level=B-LTA" -o sealed.pdf
  curl --data-binary @sealed.pdf -H "Content-Type: application/pdf" -H "Accept: text/plain" {address}/v1/verifications

The API is described at {address}/openapi.json"""


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main(args: Sequence[str] | None = None) -> int:
    """The entry point."""
    return _coded(lambda: kakuin.main(args=args, prog_name="kakuin", standalone_mode=False))


def _coded(work: Callable[[], Any]) -> int:
    """Every error becomes one line and its exit code, here and nowhere else."""
    try:
        return int(work() or 0)
    except click.ClickException as error:
        error.show()
        return USAGE_EXIT
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED_EXIT
    except KakuinError as error:
        click.echo(f"kakuin: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`kakuin verify … | head`): nothing is wrong, and nothing more can be said.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return BROKEN_PIPE_EXIT
