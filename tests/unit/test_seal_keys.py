"""Seal keys of every type: chosen by one word, written into the settings, made, certified, used and verified."""

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from eseal.spec import choose
from trust.edge.diagnosis import diagnose
from trust.edge.founding import Answers, make_instance
from trust.edge.instance import Instance
from trust.edge.keystore import SEAL_KEY_TYPES
from trust.edge.seals import CHOICES, organisation_of, read_seals, seal_settings
from trust.edge.settings import written
from trust.edge.units import KeySettings
from trust.errors import Conflict, Misconfigured, Unacceptable
from trust.model import Document
from trust.registry import DEMONSTRATION, CorporateNumber, check_digit
from verifier.service import Verifier

SEAL = f"seal-{DEMONSTRATION}"
ALGORITHMS = {
    "p256": "ecdsa with sha256",
    "p384": "ecdsa with sha384",
    "p521": "ecdsa with sha512",
    "rsa3072": "rsa-pkcs1 with sha256",
    "rsa3072-pss": "rsa-pss with sha256",
    "ed25519": "ed25519",
    "ed448": "ed448",
    "ml-dsa-44": "ml-dsa-44",
    "ml-dsa-65": "ml-dsa-65",
    "ml-dsa-87": "ml-dsa-87",
}
"""What each signs with; RSA-4096, which takes seconds to make, differs from RSA-3072 in its size alone."""


@pytest.fixture(scope="module")
def folder(cheap_keys: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys") / "instance"
    make_instance(made, Answers(seal_key="ed25519")).close()
    return made


def number(stem: int) -> str:
    digits = f"{stem:012d}"
    return f"{check_digit(digits)}{digits}"


def test_there_is_a_word_for_each_type() -> None:
    assert {c.removesuffix("-pss") for c in CHOICES} == set(SEAL_KEY_TYPES)
    assert set(ALGORITHMS) | {"rsa4096", "rsa4096-pss"} == set(CHOICES)


@pytest.mark.parametrize("choice", ALGORITHMS)
def test_a_seal_of_each_type_is_made_and_passes(folder: Path, choice: str) -> None:
    organisation = number(100 + list(ALGORITHMS).index(choice))
    asked = ["ca", "enrol", "--organisation", f"Office {choice}", "--corporate-number", organisation, "--key", choice, "--instance", str(folder)]
    done = CliRunner().invoke(cli.kakuin, asked, obj=cli.House, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    table = tomllib.loads((folder / "kakuin.toml").read_text())["organisation"][organisation]
    assert table == seal_settings(choice)
    with cli.House(folder) as house:
        assert str(house.instance.key(f"seal-{organisation}").algorithm) == ALGORITHMS[choice]
        for form, level in (("jades", "B-LT"), ("cades", "B-B")):
            if choice == "ed448" and form == "cades":
                continue
            made = house.sealer.seal(Document.of(b"a,b\n", "a.csv"), choose(b"", format=form, level=level, packaging="attached"), organisation)
            lists = tuple(house.instance.authority.crl(issuer).crl for issuer in ("root", "ca"))
            verdict = Verifier(house.instance.clock, anchors=house.verifier.anchors).verify(made.document, crls=lists)
            assert verdict.conclusion == "passed", verdict


def test_the_first_organisation_gets_its_type_too(folder: Path) -> None:
    with Instance.open(folder) as opened:
        assert opened.settings.seals[DEMONSTRATION] == KeySettings(key_type="ed25519")
        assert str(opened.key(SEAL).algorithm) == "ed25519"
        assert str(opened.key("ca").algorithm) == "ecdsa with sha256"
    assert all(f.ok for f in diagnose(folder, None) if "clock" not in f.what.lower() and "time" not in f.what.lower())


def test_the_next_key_may_be_of_another_type(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    make_instance(folder).close()
    for choice, algorithm in (("p384", "ecdsa with sha384"), ("p384", "ecdsa with sha384")):
        done = CliRunner().invoke(
            cli.kakuin, ["ca", "renew", SEAL, "--key", choice, "--instance", str(folder)], obj=cli.House, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        with Instance.open(folder) as opened:
            assert str(opened.key(SEAL).algorithm) == algorithm
    other = CliRunner().invoke(cli.kakuin, ["ca", "renew", SEAL, "--key", "ed25519", "--instance", str(folder)], obj=cli.House)
    assert isinstance(other.exception, Conflict) and "change its key_type and padding there" in str(other.exception)
    unit = CliRunner().invoke(cli.kakuin, ["ca", "renew", "tsu", "--key", "p384", "--instance", str(folder)], obj=cli.House)
    assert isinstance(unit.exception, Unacceptable) and "--key is of a seal" in str(unit.exception)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "organisation is a section of tables"),
        ({"1": {}}, "corporate number"),
        ({"1234567890123": {}}, "check digit"),
        ({number(5): 3}, "is a table, expected"),
        ({number(5): {"key_type": "rsa1024"}}, "key_type: expected one of p256"),
        ({number(5): {"key_type": "p256", "padding": "pss"}}, "padding: expected pkcs1: p256 is no RSA key"),
        ({number(5): {"policy": "1.2.3"}}, "unknown setting, expected one of key_type"),
        ({number(5): {"pkcs11_token": "t"}}, "pkcs11_module: expected the path of the PKCS#11 library"),
    ],
)
def test_settings_that_cannot_be_are_refused(tables: object, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        read_seals(tables, "kakuin.toml")


def test_what_is_written_is_read_again() -> None:
    answers = Answers(seal_key="rsa4096-pss").settings()
    again = read_seals(tomllib.loads(written(answers))["organisation"], "kakuin.toml")
    assert again == answers.seals == {DEMONSTRATION: KeySettings(key_type="rsa4096", padding="pss")}


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(Unacceptable, match=r"a seal's key is one of p256, .*rsa3072-pss.*, got 'rsa1024'"):
        seal_settings("rsa1024")
    assert organisation_of("tsu") is None and organisation_of(SEAL) == CorporateNumber(DEMONSTRATION)
