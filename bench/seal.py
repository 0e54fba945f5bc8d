"""Seals a second by format and level: P-256, everything local, one core, warm; our own check of each sealed document included. Beside the peers.

python -m bench.seal                      every format and level, and the peers that are installed: pyHanko, signxml
python -m bench.seal --only xades         what has that in its name
python -m bench.seal --service            by HTTP instead, from a `kakuin serve` of its own: by the wall clock, alone and with several callers
PYTHONPATH=FOLDER python -m bench.seal    with a signxml that was installed by `pip install --no-deps --target FOLDER signxml`

Times are processor time, so that a busy machine lengthens them less; on a quiet one they are half of those on a busy one. Peers check and record
nothing, so what we make without check and record stands beside them, and what signxml takes to verify what it made, chain included.
"""

import argparse
import atexit
import contextlib
import cProfile
import functools
import io
import os
import pstats
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli import House
from eseal.demonstration import csv, pdf
from eseal.draft import assembled
from eseal.drafting import Holder, draft
from eseal.service import Sealer, here
from eseal.spec import OFFERED, Format, Level, Packaging, Spec
from trust.edge.founding import Answers, make_instance
from trust.model import Document

DSS: Mapping[tuple[str, Level], float] = {
    ("cades", Level.B_B): 4.5, ("cades", Level.B_LTA): 25, ("xades", Level.B_B): 7, ("xades", Level.B_LTA): 37,
    ("jades", Level.B_B): 5, ("jades", Level.B_LTA): 40, ("pades", Level.B_B): 10, ("pades", Level.B_LTA): 65,
    ("asic-e-cades", Level.B_B): 5, ("asic-e-cades", Level.B_LTA): 32, ("asic-e-xades", Level.B_B): 10, ("asic-e-xades", Level.B_LTA): 40,
}  # fmt: skip
"""Milliseconds of EU DSS 6.4 in a warm JVM on one core, measured elsewhere: it seals, and neither checks nor records."""
SHARE = {Format.PADES: 1.0}
"""Of what EU DSS takes, that we want to take at most: a third where nothing is said."""


XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<n:notice xmlns:n="urn:n" xml:lang="ja"><n:to>\xe8\xa7\x92\xe5\x8d\xb0</n:to><n:amount unit="JPY">1000</n:amount></n:notice>
"""
"""Names in ASCII: signxml writes others so that it cannot read them again."""


class Inline:
    """Where the confined process would be, this one."""

    def run(self, target: str, *args: Any, calls: Any = None, returns: type[Any] = object) -> Any:
        return here(target, *args, calls=calls, returns=returns)

    def start(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Spent:
    """Processor time in the effects of one seal, by name, in seconds."""

    by: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any) -> Any:
            begun = time.process_time()
            try:
                return call(*args)
            finally:
                self.by[name] = self.by.get(name, 0.0) + time.process_time() - begun

        return timed

    def around(self, sealer: Sealer) -> Sealer:
        """The same sealer, with its effects timed."""
        timed = {name: self.timed(PART_OF.get(name, name), getattr(sealer, name)) for name in (*PARTS, *PART_OF)}
        return replace(sealer, **timed)


PART_OF = {"check_here": "check"}
PARTS = ("check", "stamp", "status", "record")


@dataclass(frozen=True)
class Row:
    """One line: milliseconds of each seal."""

    name: str
    took: tuple[float, ...]
    parts: Mapping[str, float] = field(default_factory=dict)
    """Medians."""
    peer: float | None = None
    """Milliseconds of EU DSS."""
    target: float | None = None

    @property
    def middle(self) -> float:
        return statistics.median(self.took)

    def __str__(self) -> str:
        tenth = max(1, len(self.took) // 10)
        low, high = sorted(self.took)[tenth - 1], sorted(self.took)[-tenth]
        text = f"{self.name:34} {1000 / self.middle:7.0f}/s {self.middle:7.2f} ms ({low:.2f} to {high:.2f})"
        if self.parts:
            rest = self.middle - sum(self.parts.values())
            text += "  " + " ".join(f"{name} {self.parts.get(name, 0):.2f}" for name in PARTS) + f" writing {rest:.2f}"
        if self.target is not None:
            text += f"  EU DSS {self.peer:g}, wanted {self.target:.1f}: {'met' if self.middle <= self.target else 'MISSED'}"
        return text


def subject(format_: Format, packaging: Packaging) -> tuple[Document, ...]:
    if format_ is Format.PADES:
        return (Document.of(pdf(), "notice.pdf", "application/pdf"),)
    if packaging is Packaging.ENVELOPED:
        return (Document.of(XML, "notice.xml", "application/xml"),)
    return (Document.of(csv(), "prices.csv", "text/csv"),)


def dss_of(format_: Format, level: Level) -> float | None:
    return next((ms for (name, at), ms in DSS.items() if format_.startswith(name) and at is level), None)


@contextlib.contextmanager
def installation(inline: bool) -> Iterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        with make_instance(Path(folder) / "instance", Answers()):
            pass
        with House(Path(folder) / "instance") as house:
            if inline:
                house.__dict__["sandbox"] = Inline()
            house.sandbox.start()
            yield house


def ours(house: House, asked: argparse.Namespace) -> Iterator[Row]:
    number, clock = house.organisation(None), time.process_time
    for (format_, packaging), levels in OFFERED.items():
        given = subject(format_, packaging)
        for level in levels:
            name = f"{format_} {packaging} {level}"
            if asked.only not in name:
                continue
            spec, spent, took, parts = Spec(format_, level, packaging), Spent(), list[float](), list[dict[str, float]]()
            sealer = spent.around(house.sealer)
            for turn in range(asked.warm + asked.times):
                # A new document each time: digests are remembered.
                documents = [Document.of(d.read(1 << 24), d.name, d.media_type) for d in given]
                spent.by, begun = {}, clock()
                sealer.seal(documents[0], spec, number, documents[1:])
                if turn >= asked.warm:
                    took.append((clock() - begun) * 1000)
                    parts.append(spent.by)
            middles = {part: statistics.median(p.get(part, 0) for p in parts) * 1000 for part in PARTS}
            peer = dss_of(format_, level)
            yield Row(f"kakuin {name}", tuple(took), middles, peer, None if peer is None else peer * SHARE.get(format_, 1 / 3))


def bare(house: House) -> dict[str, Callable[[], object]]:
    """What peers do, and no more: the seal as it is written, with and without the check."""
    number, made = house.organisation(None), dict[str, Callable[[], object]]()
    key, checked = house.instance.key(f"seal-{number}"), replace(house.sealer, record=lambda _kind, _body: 0)

    def write(spec: Spec, data: bytes) -> None:
        document = Document.of(data)
        effects = {"sign": key.sign, "stamp": house.sealer.stamp, "status": house.sealer.status}
        assembled(document, draft(document, spec, Holder.of(key), house.instance.clock(), **effects).pieces, "made", "").read(1 << 24)

    def write_and_check(spec: Spec, data: bytes) -> None:
        checked.seal(Document.of(data), spec, number)

    for format_, packaging in ((Format.PADES, Packaging.ENVELOPED), (Format.CADES, Packaging.DETACHED), (Format.XADES, Packaging.ENVELOPED)):
        spec, data = Spec(format_, Level.B_B, packaging), subject(format_, packaging)[0].read(1 << 24)
        name = f"kakuin {format_} {packaging} {Level.B_B}"
        made |= {f"{name}, alone": functools.partial(write, spec, data), f"{name}, with check": functools.partial(write_and_check, spec, data)}
    return made


def in_turns(calls: Mapping[str, Callable[[], object]], asked: argparse.Namespace) -> Iterator[Row]:
    """A call of each, then the next of each: what else the machine does, it does to all of them."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(asked.warm + asked.times):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            if turn >= asked.warm:
                took[name].append((time.process_time() - begun) * 1000)
    yield from (Row(name, tuple(times)) for name, times in took.items())


# The peers, with a key, a chain of three, our time-stamping unit and lists in memory; none of them checks what it made.


def peers(house: House) -> dict[str, Callable[[], object]]:
    calls: dict[str, Callable[[], object]] = {}
    for maker in (_pyhanko, _signxml):
        try:
            calls.update(maker(house))
        except ImportError as error:
            print(f"{error.name}: not installed, not measured")
    return calls


def _pki() -> Any:
    from datetime import UTC, datetime, timedelta

    from tests import pki as office

    now = datetime.now(UTC).replace(microsecond=0)
    top = office.root()
    ca = office.authority(top)
    made = office.Pki(top, ca, office.signer(ca, not_after=now + timedelta(days=900)), office.unit(ca), office.responder(ca))
    return made, now


def _pyhanko(house: House) -> dict[str, Callable[[], object]]:
    import asyncio

    from asn1crypto import crl, keys, tsp, x509
    from cryptography.hazmat.primitives import serialization
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers
    from pyhanko.sign.signers.pdf_cms import SimpleSigner
    from pyhanko.sign.timestamps import TimeStamper
    from pyhanko_certvalidator import ValidationContext
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    from tsa import issue

    made, now = _pki()
    authority = house.authority

    class OurUnit(TimeStamper):
        async def async_request_tsa_response(self, req: Any) -> Any:
            response = authority._issue(issue.read(req.dump()), authority._first).result()
            return tsp.TimeStampResp.load(response.der)

    def certificate(der: bytes) -> Any:
        return x509.Certificate.load(der)

    form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    store = SimpleCertificateStore.from_certs([certificate(p.certificate.der) for p in (made.root, made.ca)])
    signer = SimpleSigner(certificate(made.signer.certificate.der), keys.PrivateKeyInfo.load(made.signer.private.private_bytes(*form)), store)
    stamper, data, ca = OurUnit(), pdf(), house.instance.authority
    known = [certificate(made.ca.certificate.der), certificate(ca.certificate("ca").der)]
    anchors = [certificate(made.root.certificate.der), certificate(ca.certificate("root").der)]
    lists = [crl.CertificateList.load(c.der) for c in (*made.crls(now), *(ca.crl(name).crl for name in ("root", "ca")))]

    def pades(level: Level) -> None:
        long = level in (Level.B_LT, Level.B_LTA)
        context = ValidationContext(anchors, other_certs=known, crls=lists, revocation_mode="hard-fail")
        meta = signers.PdfSignatureMetadata(
            field_name="Seal1", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256",
            embed_validation_info=long, use_pades_lta=level is Level.B_LTA, validation_context=context if long else None,
        )  # fmt: skip
        wanted = None if level is Level.B_B else stamper
        signers.PdfSigner(meta, signer, timestamper=wanted).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(data)), output=io.BytesIO())

    def cades(level: Level) -> None:
        wanted = None if level is Level.B_B else stamper
        asyncio.run(signer.async_sign_general_data(csv(), "sha256", detached=True, timestamper=wanted, use_cades=True)).dump()

    found: dict[str, Callable[[], object]] = {f"pyHanko pades {level}": functools.partial(pades, level) for level in Level}
    return {**found, **{f"pyHanko cades {level}": functools.partial(cades, level) for level in (Level.B_B, Level.B_T)}}


def _signxml(_house: House) -> dict[str, Callable[[], object]]:
    from cryptography.hazmat.primitives import serialization
    from lxml import etree
    from signxml import SignatureMethod
    from signxml.xades import XAdESSigner, XAdESVerifier

    made, _ = _pki()
    chain = [p.certificate.x509.public_bytes(serialization.Encoding.PEM).decode() for p in (made.signer, made.ca)]
    anchors = Path(tempfile.mkdtemp()) / "root.pem"
    anchors.write_bytes(made.root.certificate.x509.public_bytes(serialization.Encoding.PEM))
    atexit.register(shutil.rmtree, anchors.parent)

    def sign() -> bytes:
        signer = XAdESSigner(signature_algorithm=SignatureMethod.ECDSA_SHA256)
        return bytes(etree.tostring(signer.sign(etree.fromstring(XML), key=made.signer.private, cert="\n".join(chain))))

    def sign_and_verify() -> None:
        XAdESVerifier().verify(sign(), ca_pem_file=str(anchors), expect_references=3)

    return {"signxml xades enveloped B-B, alone": sign, "signxml xades enveloped B-B, with check": sign_and_verify}


def profiled(house: House, asked: argparse.Namespace) -> None:
    """Where the time goes, by function."""
    with cProfile.Profile() as profile:
        for _ in ours(house, asked):
            pass
    pstats.Stats(profile).sort_stats(asked.profile).print_stats(45)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--warm", type=int, default=10, help="turns before the first that counts")
    parser.add_argument("--service", action="store_true", help="by HTTP instead")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--profile", choices=["tottime", "cumtime"], help="where the time goes instead")
    parser.add_argument("--callers", type=int, default=8, help="with --service: who seal at the same time")
    asked = parser.parse_args(words)
    if asked.service:
        from bench.seal_service import measured

        for line in measured(_given, asked.only, asked.times, asked.callers):
            print(line, flush=True)
        return 0
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with installation(inline=True) as house:
        if asked.profile:
            profiled(house, asked)
            return 0
        for row in ours(house, asked):
            print(row, flush=True)
        beside = {} if asked.no_peers else {name: call for name, call in (bare(house) | peers(house)).items() if asked.only.split(" ")[0] in name}
        for row in in_turns(beside, asked):
            print(row, flush=True)
    return 0


def _given(format_: Format, packaging: Packaging) -> tuple[bytes, str]:
    document = subject(format_, packaging)[0]
    return document.read(1 << 24), document.media_type or "application/octet-stream"


if __name__ == "__main__":
    sys.exit(main())
