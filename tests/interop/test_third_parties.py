"""Programs that are not ours, held against what we make: OpenSSL, EU DSS, pyHanko's command, pdfsig, xmlsec1, jwcrypto, cwt, rfc3161-client."""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.office import Office, run
from tests.services import program
from tests.shared import SHARED, needs_shared

pytestmark = pytest.mark.xdist_group("office")

PADES = ("B-B", "B-T", "B-LT", "B-LTA")
CADES = tuple((level, packaging) for level in PADES for packaging in ("attached", "detached"))
ASIC = tuple((kind, level) for kind in ("asic-s-cades", "asic-s-xades", "asic-e-cades", "asic-e-xades") for level in PADES)
JADES: dict[str, dict[str, str]] = {
    **{f"{level}.attached": {"packaging": "attached"} for level in PADES},
    **{f"{level}.detached-hash": {} for level in PADES},
    **{f"{level}.detached-payload": {"mechanism": "payload"} for level in PADES},
    **{f"{level}.detached-uri": {"mechanism": "uri"} for level in PADES},
    # EU DSS does not canonicalise, so that of components in the clear it cannot check an archive time-stamp.
    **{f"{level}.clear": {"packaging": "attached", "components": "clear"} for level in PADES[:3]},
    "B-LTA.general": {"packaging": "attached", "serialization": "general"},
    "B-B.compact": {"packaging": "attached", "serialization": "compact"},
    "B-B.compact-detached": {"mechanism": "payload", "serialization": "compact"},
}
XADES = tuple((level, packaging) for level in PADES for packaging in ("enveloped", "attached", "detached"))
NOTICE = '<?xml version="1.0" encoding="UTF-8"?>\n<通知 xml:lang="ja">\n <額 単位="円">1000</額>\n</通知>\n'
COSE = ("B-B.attached", "B-T.attached", "B-T.detached")


@pytest.fixture(scope="session")
def sealed(office: Office, documents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each format and level, sealed by the service: a command for each would start seventy times."""
    folder = tmp_path_factory.mktemp("sealed")
    notice = folder / "notice.xml"
    notice.write_text(NOTICE)
    csv, pdf = documents["csv"], documents["pdf"]
    made: dict[str, Path] = {}

    def seal(name: str, ending: str, *files: Path, **asked: str) -> None:
        made[name] = folder / f"{name}.{ending}"
        made[name].write_bytes(office.seal(*files, **asked))

    for level in PADES:
        seal(f"pades.{level}", "pdf", pdf, format="pades", level=level)
    for level, packaging in CADES:
        seal(f"cades.{level}.{packaging}", "p7s", csv, format="cades", level=level, packaging=packaging)
    for name, options in JADES.items():
        seal(f"jades.{name}", "json", csv, format="jades", level=name.split(".")[0], **options)
    for level, packaging in XADES:
        seal(f"xades.{level}.{packaging}", "xml", notice if packaging == "enveloped" else csv, format="xades", level=level, packaging=packaging)
    for name in COSE:
        level, packaging = name.split(".")
        seal(f"cose.{name}", "cose", csv, format="cose", level=level, packaging=packaging)
    for kind, level in ASIC:
        seal(f"{kind}.{level}", kind[:6].replace("-", ""), csv, *([pdf] if kind.startswith("asic-e") else []), format=kind, level=level)
    return made


ADDED = {
    "cades": (("--packaging", "detached"), "parallel"),
    "jades": (("--packaging", "attached"), "parallel"),
    "asic-e-cades": ((), "parallel"),
    "asic-e-xades": ((), "parallel"),
    "cades-over": (("--packaging", "attached"), "countersignature"),
    "jades-over": (("--packaging", "attached"), "countersignature"),
    "xades-over": (("--packaging", "attached"), "countersignature"),
}
"""Format -> how it is sealed first, and what is added."""


@needs_shared
def test_eu_dss_passes_both_signatures_and_a_time_stamp_alone(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    here, csv = ("--instance", office.folder), documents["csv"]
    jobs = []
    for name, (options, addition) in ADDED.items():
        first, second, kind = tmp_path / f"{name}.first", tmp_path / f"{name}.second", name.removesuffix("-over")
        run("seal", csv, *here, "--format", kind, *options, "--level", "B-LTA", "-o", first)
        apart = (csv,) if "detached" in options else ()
        level = "B-LTA" if addition == "parallel" else "B-T"
        run("seal", first, *apart, *here, "--format", kind, "--addition", addition, "--level", level, "-o", second)
        jobs.append({"id": name, "file": str(second), "trust": [str(office.root)], "detached": [str(d) for d in apart]})
    box = tmp_path / "stamped.asics"
    run("stamp", csv, *here, "--format", "asic-s", "-o", box)
    jobs.append({"id": "stamped", "file": str(box), "trust": [str(office.root)]})
    for job in jobs:
        job["crls"] = []
        for issuer in ("root", "ca"):
            crl = tmp_path / f"{issuer}.crl"
            crl.write_bytes(urllib.request.urlopen(f"{office.url}/pki/{issuer}.crl").read())
            job["crls"].append(str(crl))
    asked = "".join(json.dumps(j) + "\n" for j in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
    answers = {a["id"]: a for a in map(json.loads, done.stdout.splitlines())}
    stamped = answers.pop("stamped")
    assert [(t["intact"], t["indication"]) for t in stamped["timestamps"]] == [(True, "PASSED")]
    for name, answer in answers.items():
        found = [(s["intact"], s["indication"]) for s in answer["signatures"]]
        assert found == [(True, "TOTAL_PASSED")] * 2, name
        levels = [s["level"].rpartition("-")[2] for s in answer["signatures"]]
        assert levels[0] == "LTA" and (levels[1] == "LTA" or name.endswith("-over")), (name, levels)


def test_openssl_accepts_the_authoritys_tokens(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    openssl = program("openssl")
    query, reply, chain = tmp_path / "q.tsq", tmp_path / "r.tsr", tmp_path / "chain.pem"
    subprocess.run([openssl, "ts", "-query", "-data", documents["csv"], "-sha256", "-cert", "-out", query], check=True, capture_output=True)
    request = urllib.request.Request(office.url + "/tsa", query.read_bytes(), {"Content-Type": "application/timestamp-query"})
    reply.write_bytes(urllib.request.urlopen(request).read())
    chain.write_bytes(urllib.request.urlopen(office.url + "/tsa/certificates").read())
    verify = [openssl, "ts", "-verify", "-CAfile", office.root, "-untrusted", chain, "-in", reply]
    done = subprocess.run([*verify, "-data", documents["csv"]], capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout + done.stderr
    done = subprocess.run([*verify, "-queryfile", query], capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout + done.stderr
    done = subprocess.run([*verify, "-data", documents["pdf"]], capture_output=True, text=True, check=False)
    assert "Verification: FAILED" in done.stdout + done.stderr


@pytest.mark.parametrize(("level", "packaging"), CADES)
def test_openssl_accepts_cades(
    sealed: dict[str, Path], office: Office, documents: dict[str, Path], tmp_path: Path, level: str, packaging: str
) -> None:
    verify = [program("openssl"), "cms", "-verify", "-binary", "-inform", "DER", "-in", sealed[f"cades.{level}.{packaging}"], "-CAfile", office.root]
    verify += ["-purpose", "any", "-out", tmp_path / "out"]
    if packaging == "detached":
        verify += ["-content", documents["csv"]]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == documents["csv"].read_bytes()


@pytest.mark.parametrize("packaging", ["enveloped", "attached"])
@pytest.mark.parametrize("level", PADES)
def test_xmlsec1_accepts_xades(sealed: dict[str, Path], office: Office, level: str, packaging: str) -> None:
    # It knows XML Signature, and what an Id is only when told.
    command = [program("xmlsec1"), "--verify", "--trusted-pem", office.root, "--id-attr:Id", "SignedProperties", "--id-attr:Id", "Object"]
    done = subprocess.run([*command, sealed[f"xades.{level}.{packaging}"]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SignedInfo References (ok/all): 2/2" in done.stdout + done.stderr


@pytest.mark.parametrize("level", PADES)
def test_pdfsig_accepts_pades(sealed: dict[str, Path], level: str, tmp_path: Path) -> None:
    # Its trust store is in the home folder: an empty one, so that no certificate of this machine plays a part.
    done = subprocess.run([program("pdfsig"), sealed[f"pades.{level}"]], capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)})
    # Document time-stamps are beyond it: "Signature has not yet been verified".
    assert done.stdout.count("Signature Validation: Signature is Valid.") == 1, done.stdout
    # At B-LT the validation data stand after the signature, and nothing covers them yet.
    assert ("Total document signed" in done.stdout) == (level != "B-LT")


@pytest.mark.parametrize("level", PADES)
def test_pyhanko_accepts_pades(sealed: dict[str, Path], office: Office, level: str) -> None:
    pyhanko = Path(sys.executable).with_name("pyhanko")
    command = [pyhanko, "sign", "adesverify", "--executive-summary", "--trust-replace", "--trust", office.root, sealed[f"pades.{level}"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VALID" in done.stdout and "INVALID" not in done.stdout, done.stdout


@needs_shared
def test_eu_dss_passes_everything_at_the_level_that_was_asked_for(
    sealed: dict[str, Path], office: Office, documents: dict[str, Path], tmp_path: Path
) -> None:
    crls = []
    for name in ("root", "ca"):
        crls.append(tmp_path / f"{name}.crl")
        crls[-1].write_bytes(urllib.request.urlopen(f"{office.url}/pki/{name}.crl").read())
    jobs = []
    known = {name: path for name, path in sealed.items() if not name.startswith("cose.")}
    for name, path in known.items():
        job = {"id": name, "file": str(path), "trust": [str(office.root)]}
        if "B-B" in name or "B-T" in name:
            job["crls"] = [str(c) for c in crls]
        if "detached" in name:
            job["detached"] = [str(documents["csv"])]
        jobs.append(job)
    asked = "".join(json.dumps(j) + "\n" for j in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
    answers = {a["id"]: a for a in map(json.loads, done.stdout.splitlines())}
    found = {}
    for name in known:
        [signature] = answers[name]["signatures"]
        found[name] = (signature["level"], signature["intact"], signature["indication"])
    form = {"pades": "PAdES", "cades": "CAdES", "jades": "JAdES", "xades": "XAdES"}
    asked_for = {}
    for name in known:
        kind, level = name.split(".")[:2]
        asked_for[name] = (f"{form[kind.rpartition('-')[2]]}-BASELINE-{level.removeprefix('B-')}", True, "TOTAL_PASSED")
    assert found == asked_for


@pytest.mark.parametrize("name", JADES)
def test_jwcrypto_accepts_jades(sealed: dict[str, Path], documents: dict[str, Path], name: str) -> None:
    from cryptography import x509
    from jwcrypto import jwk, jws
    from jwcrypto.common import JWSEHeaderParameter, json_decode

    token = jws.JWS(header_registry={known: JWSEHeaderParameter(known, False, True, None) for known in ("sigD", "etsiU")})
    token.deserialize(sealed[f"jades.{name}"].read_text())
    header = json_decode((token.objects.get("signatures") or [token.objects])[0]["protected"])
    signer = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    apart = b"" if "hash" in name else documents["csv"].read_bytes() if "detached" in name else None
    token.verify(jwk.JWK.from_pyca(signer.public_key()), detached_payload=apart)
    if apart is None:
        assert token.payload == documents["csv"].read_bytes()


@pytest.mark.filterwarnings("ignore:::cwt")
@pytest.mark.parametrize("name", COSE)
def test_cwt_accepts_cose(sealed: dict[str, Path], documents: dict[str, Path], name: str) -> None:
    import cbor2
    import cwt
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    data, content = sealed[f"cose.{name}"].read_bytes(), documents["csv"].read_bytes()
    signer = x509.load_der_x509_certificate(cbor2.loads(cbor2.loads(data).value[0])[33][0])
    key = cwt.COSEKey.from_pem(signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), kid="01", alg="ES256")
    assert cwt.COSE.new().decode(data, [key], detached_payload=content if "detached" in name else None) == content


def test_rfc3161_client_accepts_the_authoritys_tokens(office: Office, documents: dict[str, Path]) -> None:
    import rfc3161_client
    from cryptography import x509

    data = documents["csv"].read_bytes()
    request = rfc3161_client.TimestampRequestBuilder().data(data).build()
    posted = urllib.request.Request(office.url + "/tsa", request.as_bytes(), {"Content-Type": "application/timestamp-query"})
    response = rfc3161_client.decode_timestamp_response(urllib.request.urlopen(posted).read())
    chain = x509.load_pem_x509_certificates(urllib.request.urlopen(office.url + "/tsa/certificates").read())
    builder = rfc3161_client.VerifierBuilder().add_root_certificate(x509.load_pem_x509_certificate(office.root.read_bytes()))
    for certificate in chain[1:]:
        builder = builder.add_intermediate_certificate(certificate)
    verifier = builder.tsa_certificate(chain[0]).build()
    assert verifier.verify_message(response, data)
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(response, data + b"x")


def test_the_csv_and_the_pdf_of_the_interop_set_verify_here_too(sealed: dict[str, Path], office: Office, documents: dict[str, Path]) -> None:
    for name, path in sealed.items():
        detached = ["--detached", documents["csv"]] if "detached" in name else []
        done = run("verify", path, *detached, "--trust", office.root, "--json", check=False)
        answer = json.loads(done.stdout)
        # Below B-LT nothing in the file tells of revocation, and nothing is fetched unasked: the honest answer is "cannot tell".
        expected = "passed" if "B-LT" in name else "indeterminate"
        assert answer["conclusion"] == expected, (name, done.stdout.decode()[:3000])
