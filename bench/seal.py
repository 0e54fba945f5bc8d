"""Seals a second by format and level: P-256, everything local, one core, warm; our own check of each sealed document included. Beside the peers.

python -m bench.seal                      every format and level, and the peers that are installed: pyHanko, signxml
python -m bench.seal --only xades         what has that in its name
python -m bench.seal --service            through the confined processes too, as `kakuin serve` does it: by the wall clock

Times are processor time, so that a busy machine does not lengthen them; --service adds what waiting for other processes takes.
"""

import argparse
import contextlib
import cProfile
import functools
import io
import os
import pstats
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
from eseal.service import Sealer, here
from eseal.spec import OFFERED, Format, Level, Packaging, Spec
from trust.edge.instance import Answers, Instance
from trust.model import Document

TARGETS: Mapping[tuple[str, Level], float] = {
    ("cades", Level.B_B): 1.5, ("cades", Level.B_LTA): 8.0, ("xades", Level.B_B): 2.3, ("xades", Level.B_LTA): 12.0,
    ("jades", Level.B_B): 1.7, ("jades", Level.B_LTA): 13.0, ("asic", Level.B_B): 2.5, ("asic", Level.B_LTA): 12.0,
    ("pades", Level.B_B): 10.0, ("pades", Level.B_LTA): 63.0,
}  # fmt: skip
"""Milliseconds: a third of what EU DSS needs in a warm JVM; of PDF what it, or pyHanko's signer, needs."""


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
        return text + (f"  target {self.target:g}: {'met' if self.middle <= self.target else 'MISSED'}" if self.target else "")


def subject(format_: Format, packaging: Packaging) -> tuple[Document, ...]:
    if format_ is Format.PADES:
        return (Document.of(pdf(), "notice.pdf", "application/pdf"),)
    if packaging is Packaging.ENVELOPED:
        return (Document.of(XML, "notice.xml", "application/xml"),)
    return (Document.of(csv(), "prices.csv", "text/csv"),)


def target_of(format_: Format, level: Level) -> float | None:
    return next((ms for (name, at), ms in TARGETS.items() if format_.startswith(name) and at is level), None)


@contextlib.contextmanager
def installation(inline: bool) -> Iterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        with Instance.create(Path(folder) / "instance", Answers()):
            pass
        with House(Path(folder) / "instance") as house:
            if inline:
                house.__dict__["sandbox"] = Inline()
            house.sandbox.start()
            yield house


def ours(house: House, asked: argparse.Namespace, clock: Callable[[], float]) -> Iterator[Row]:
    number = house.organisation(None)
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
            inline = clock is time.process_time
            yield Row(f"kakuin {name}", tuple(took), middles if inline else {}, target_of(format_, level) if inline else None)


def repeated(name: str, asked: argparse.Namespace, call: Callable[[], object]) -> Row:
    took = []
    for turn in range(asked.warm + asked.times):
        begun = time.process_time()
        call()
        if turn >= asked.warm:
            took.append((time.process_time() - begun) * 1000)
    return Row(name, tuple(took))


# The peers, with a key, a chain of three, our time-stamping unit and lists in memory; none of them checks what it made.


def peers(house: House, asked: argparse.Namespace) -> Iterator[Row]:
    calls: dict[str, Callable[[], object]] = {}
    for maker in (_pyhanko, _signxml):
        try:
            calls.update(maker(house))
        except ImportError as error:
            print(f"{error.name}: not installed, not measured")
    for name, call in calls.items():
        if asked.only.split(" ")[0] in name:
            yield repeated(name, asked, call)


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
    from signxml.xades import XAdESSigner

    made, _ = _pki()
    chain = [p.certificate.x509.public_bytes(serialization.Encoding.PEM).decode() for p in (made.signer, made.ca)]

    def sign() -> None:
        signer = XAdESSigner(signature_algorithm=SignatureMethod.ECDSA_SHA256)
        etree.tostring(signer.sign(etree.fromstring(XML), key=made.signer.private, cert="\n".join(chain)))

    return {"signxml xades B-B": sign}


def profiled(house: House, asked: argparse.Namespace) -> None:
    """Where the time goes, by function."""
    with cProfile.Profile() as profile:
        for _ in ours(house, asked, time.process_time):
            pass
    pstats.Stats(profile).sort_stats(asked.profile).print_stats(45)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--warm", type=int, default=10, help="turns before the first that counts")
    parser.add_argument("--service", action="store_true", help="through the confined processes too")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--profile", choices=["tottime", "cumtime"], help="where the time goes instead")
    asked = parser.parse_args(words)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with installation(inline=True) as house:
        if asked.profile:
            profiled(house, asked)
            return 0
        for row in ours(house, asked, time.process_time):
            print(row, flush=True)
        for row in () if asked.no_peers else peers(house, asked):
            print(row, flush=True)
    if asked.service:
        print("\nthrough the confined processes, by the wall clock:")
        with installation(inline=False) as house:
            for row in ours(house, asked, time.perf_counter):
                print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
