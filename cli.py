"""kakuin: the command line, and the one place where the parts are put together.

`kakuin --help` imports click and nothing else: a command is imported when it is called, and imports what it needs when it runs.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust import VERSION
from trust.edge.exits import coded

if TYPE_CHECKING:
    from eseal.extend_material import Known
    from eseal.extend_service import Extender, Look
    from eseal.service import Sealer
    from eseal.store import ApiKeys
    from trust.edge.clock.keeper import Timekeeper
    from trust.edge.instance import Instance
    from trust.edge.operations.commons import Commons
    from trust.edge.operations.limits import Shelf
    from trust.edge.operations.tally import Tally
    from trust.edge.operations.watch import Watch
    from trust.edge.sandbox import Sandbox
    from trust.model import Digest, Document
    from tsa.service import Authority
    from verifier.assembly import Desk
    from verifier.bench import Bench
    from verifier.service import Verifier

# name -> (where it is, what it does). The overview is written from here, so that it costs no import.
COMMANDS = {
    "init": ("trust.commands:init", "Make an instance: keys, a small PKI, a database."),
    "serve": ("trust.edge.operations.commands:serve", "Serve the authority, the sealer, the verifier and the PKI over HTTP."),
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
    "demo": ("eseal.demo_command:demo", "Seal and verify a demonstration, then serve it."),
    "completion": ("trust.commands:completion", "Print the completion script of a shell."),
}

CONFINED = (
    *("verifier.service", "verifier.shapes", "verifier.report.etsi"),
    *(f"verifier.formats.{reader}" for reader in ("pades", "ers", "tst", "cades", "xades", "asic", "jades", "cose")),
    "eseal.drafting",
    "eseal.extend",
    "eseal.hashes.archive",
    *(f"eseal.formats.{writer}" for writer in ("pades", "cades", "xades", "jades", "cose", "asic")),
    *(f"eseal.formats.{raiser}" for raiser in ("cades_extend", "xades.extend", "jades_extend", "cose_extend", "asic_extend")),
    *(f"eseal.formats.{adder}" for adder in ("cades_added", "xades.countersigned", "jades_added", "asic_added")),
)
"""What the confined process imports before the first stranger's file."""
REHEARSAL = ("tsa.rehearsal:office", "eseal.rehearsal:seals", "verifier.rehearsal:verdicts")
REHEARSED_AGAIN = ("verifier.rehearsal:page", "eseal.rehearsal:page", "verifier.rehearsal:paper", "eseal.rehearsal:paper")
"""What that of a service does before it, once, and in each child that waits for a job."""


class House:
    """One instance with its parts put together: who is given what. Each part is made when it is first asked for."""

    def __init__(self, folder: Path, passphrase_file: Path | None = None, *, worker: int = 0, workers: int = 1) -> None:
        """`worker`: which of so many processes this is; the first one looks after the log for all."""
        self._folder = folder
        self._passphrase_file = passphrase_file
        self.worker = worker
        self._workers = workers
        self.commons: Commons | None = None
        """What all processes of the service count together."""
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
        from trust.edge.rehearsal import known_of
        from trust.edge.sandbox import Sandbox

        limits = self.instance.settings.confined
        jobs = max(1, (limits.processes or os.cpu_count() or 1) // self._workers)
        return Sandbox(
            CONFINED,
            memory_bytes=limits.memory_bytes,
            seconds=limits.seconds,
            jobs=jobs,
            waiting=-(-limits.waiting // self._workers),
            rehearsal=REHEARSAL,
            again=REHEARSED_AGAIN,
            known=functools.partial(known_of, self.instance),
        )

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
        from tsa.assembly import authority_of

        return authority_of(self.instance, self.timekeeper)

    def evidence(self, digest: "Digest") -> bytes:
        """A token as an evidence record holds it: with what its own validation needs, so that the record is whole."""
        return self.completed(self.authority.stamper()(digest))

    def completed(self, token: bytes) -> bytes:
        """A token with the status of its chain beside its signature, where the chain is this installation's."""
        from eseal.assembly import completed

        return completed(token, self.instance.authority.status)

    def receipt(self, issued: "bytes | int") -> bytes:
        """Of a token, or of the entry of a number, as soon as the log's checkpoint covers it."""
        from trust.log.handing import of_instance

        return of_instance(self.instance, issued)

    @staticmethod
    def boxed(document: "Document", token: bytes) -> "Document":
        """An ASiC-S container of a document and the time-stamp over it; it reads the document that was given."""
        from eseal.assembly import boxed

        return boxed(document, token)

    def _stamp(self, digest: "Digest") -> bytes:
        """trust.ports.Stamper: without a time-stamp neither unit nor clock is asked."""
        from tsa.assembly import for_documents

        return for_documents(self.authority.stamper())(digest)

    @functools.cached_property
    def sealer(self) -> "Sealer":
        from eseal.assembly import font_of, found
        from eseal.service import Sealer

        instance = self.instance
        return Sealer(
            keys=lambda number: instance.key(f"seal-{number}"),
            stamp=self._stamp,
            status=instance.authority.status,
            record=instance.journal.append,
            clock=instance.clock,
            check=found(self.desk.checked),
            check_here=found(self.desk.checked_here),
            check_inner=found(self.desk.checked_inner),
            run=self.sandbox.run,
            examine=self.desk.examined,
            font=functools.partial(font_of, instance),
        )

    def seal_files(self, documents: "Sequence[Document]", organisation: str | None) -> "Document":
        """Several files under one seal: a report with its parts."""
        from eseal.spec import FOR_SEVERAL, choose

        first, *more = documents
        return self.sealer.seal(first, choose(b"", format=FOR_SEVERAL), self.organisation(organisation), more).document

    @functools.cached_property
    def extender(self) -> "Extender":
        """Fetches only where the operator lets the service fetch."""
        online = self.instance.settings.verifier.online
        return self._extender(self.desk.looked) if online else self._extender(None)

    def extender_online(self, *, allow_private: bool) -> "Extender":
        """The same for somebody at this machine, who may say so himself."""
        return self._extender(functools.partial(self.desk.looked, allow_private=allow_private))

    def _extender(self, look: "Look | None") -> "Extender":
        from eseal.extend_service import Extender

        instance = self.instance
        return Extender(
            stamp=self._stamp,
            status=instance.authority.status,
            record=instance.journal.append,
            clock=instance.clock,
            examine=self.desk.examined,
            run=self.sandbox.run,
            look=look,
            anchors=self.verifier.anchors,
        )

    @staticmethod
    def bench() -> "Bench":
        """Without an instance: a confined process with our own verifier in it."""
        from verifier.bench import Bench

        return Bench(CONFINED)

    def known(self, trust: "Sequence[Path]", certificates: "Sequence[Path]", crls: "Sequence[Path]", ocsps: "Sequence[Path]") -> "Known":
        """What is given beside a document as files, and folders of files."""
        from eseal.extend_material import Known
        from verifier import sources

        return Known(*sources.given(trust, certificates, crls, ocsps))

    @staticmethod
    def known_in(files: "Mapping[str, Sequence[bytes]]") -> "Known":
        """The same as bytes, by the names of the fields that they came in."""
        from eseal.extend_material import Known
        from verifier import sources

        return Known(*sources.given_in(files))

    def detached(self, paths: "Sequence[Path]") -> "tuple[Document, ...]":
        from verifier import sources

        return sources.detached(paths)

    @functools.cached_property
    def api_keys(self) -> "ApiKeys":
        from eseal.assembly import api_keys_of
        from trust.edge.operations.assembly import KEYS

        return api_keys_of(self.instance, self._shelf(KEYS))

    def _shelf(self, name: str) -> "Shelf[str] | None":
        return None if self.commons is None else self.commons.shelf(name)

    @functools.cached_property
    def verifier(self) -> "Verifier":
        """Trusts this instance's anchors where a request names none."""
        from verifier.assembly import verifier_of

        return verifier_of(self.instance)

    @functools.cached_property
    def desk(self) -> "Desk":
        """Where questions are answered."""
        from verifier.assembly import Desk

        return Desk(self.instance, self.sandbox, self.verifier)

    def shown(self, document: "Document", detached: "Sequence[Document]") -> str:
        """The verdict on a document, as the terminal shows it."""
        from verifier.report.text import render
        from verifier.terminal import style

        return render(self.desk.answer(self.verifier.question(document, detached)), style(sys.stdout))

    def organisation(self, number: str | None) -> str:
        """The corporate number as it was given, or the only organisation's."""
        from eseal.assembly import organisation

        return organisation(self.instance, number)

    def _log(self) -> Any:
        """The log's routes, with its checkpoints and their cosignatures made in the background, for all processes by the first."""
        from trust.log.assembly import routes_of

        routes, workers = routes_of(self.instance)
        for each in workers if self.worker == 0 else ():
            each.start()
            self._background.append(each)
        return routes

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
        return Tally(series, rows=self._workers, row=self.worker, handle=handle)

    @functools.cached_property
    def watch(self) -> "Watch":
        """How the service does."""
        from trust.edge.operations.assembly import watch_of
        from tsa.assembly import seen

        return watch_of(self.instance, self.timekeeper, lambda: seen(self.authority))

    @property
    def shares(self) -> bool:
        """Other processes accept from the same socket."""
        return self._workers > 1

    def begins_to_end(self) -> None:
        """From now on health says that the service is ending."""
        self.watch.draining = True

    def application(self) -> Any:
        """Everything over HTTP, the authority's endpoint in front, and a gate before all."""
        from trust.codecs.tsp import Failure, rejection
        from trust.edge.operations import assembly
        from trust.edge.operations.description import schema
        from trust.edge.operations.gate import Gate, Over
        from trust.log.handing import indexer
        from tsa.api import REPLY, Endpoint, front
        from tsa.watching import Counting

        settings = self.instance.settings
        every = settings.operations.log_requests == "all"
        assembly.watched(self.instance.journal, self.tally)
        watch = Counting(self.tally, self.authority.names, every=every)
        endpoint = Endpoint(self.authority, limit=settings.tsa.request_limit_bytes, watch=watch, index=indexer(self.instance))
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
            shelf=self._shelf,
        )

    def _web(self) -> Any:
        """All that goes through the framework."""
        from eseal.api import router as seals
        from eseal.extend_api import router as extensions
        from eseal.hashes.api import router as hashes
        from eseal.hashes.extend_api import router as hash_extensions
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
                hash_extensions(self.sealer, self.api_keys),
                extensions(self.extender, self.api_keys, repeats, self.known_in, limit),
                verifications(self.verifier, functools.partial(self.desk.counted, self.tally), etsi=self.desk.etsi, limit_bytes=limit),
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


def main(args: Sequence[str] | None = None) -> int:
    """The entry point."""
    return coded(lambda: kakuin.main(args=args, prog_name="kakuin", standalone_mode=False))
