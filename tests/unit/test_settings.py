"""Settings: documented defaults, a file, an environment, and one line for what is wrong."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from trust.edge.keystore import KEY_TYPES
from trust.edge.settings import FILE, KEY_TYPE_NAMES, SECTIONS, Database, Service, Settings, Tsa, combine, load, written
from trust.errors import Misconfigured, NotFound


def read(text: str, **environ: str) -> Settings:
    return combine(tomllib.loads(text), environ, FILE)


def test_the_written_file_is_all_defaults_with_their_meaning() -> None:
    text = written(Settings())
    assert read(text) == Settings()
    assert read("\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()[3:])) == Settings()
    for section, kind in SECTIONS.items():
        assert f"[{section}]" in text
        assert kind.__doc__
        for known in fields(kind):
            assert f"# {known.name} = " in text
            assert f"# {known.metadata['doc']}" in text


def test_what_was_chosen_is_set_and_the_rest_is_not() -> None:
    chosen = Settings(
        service=Service(host="::1", port=80, base_url="https://seal.example"),
        tsa=Tsa(hashes=("sha256",)),
        database=Database(url='postgresql://u"\\\u3042\x01@h/d'),
    )
    text = written(chosen)
    assert read(text) == chosen
    assert "\nport = 80\n" in text
    assert "\n# accuracy_ms = 1000\n" in text


def test_addresses_follow_from_one_another() -> None:
    assert Settings().base_url == "http://127.0.0.1:8318"
    assert Settings().pki_url == "http://127.0.0.1:8318/pki"
    assert Settings(service=Service(host="::1")).base_url == "http://[::1]:8318"
    public = read('[service]\nbase_url = "https://seal.example"')
    assert public.pki_url == "https://seal.example/pki"
    assert read('[pki]\nbase_url = "http://status.example/x"').pki_url == "http://status.example/x"


def test_the_environment_overrides_the_file() -> None:
    found = read("[service]\nport = 1\n", KAKUIN_SERVICE_PORT="2", KAKUIN_TSA_HASHES="sha256, sha512", KAKUIN_CONFINED_SECONDS="1.5", PORT="3")
    assert found.service.port == 2
    assert found.tsa.hashes == ("sha256", "sha512")
    assert found.confined.seconds == 1.5


def test_variables_of_other_purposes_are_let_be() -> None:
    others = {"KAKUIN_INSTANCE": "x", "KAKUIN_PASSPHRASE_FILE": "x", "KAKUIN_PASSPHRASE": "x", "KAKUIN_REQUIRE_ALL": "1", "kakuin_service_port": "x"}
    assert combine({}, others, FILE) == Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[servise]", "unknown section [servise], expected one of service, tsa"),
        ("service = 1", "expected [service]"),
        ("[service]\nporrt = 1", "service.porrt: unknown setting, expected one of host, port"),
        ('[service]\nport = "80"', "service.port: expected a whole number, got str"),
        ("[service]\nport = true", "service.port: expected a whole number, got bool"),
        ("[service]\nport = 1.0", "service.port: expected a whole number, got float"),
        ("[service]\nport = 65536", "service.port: expected a number from 0 to 65535"),
        ("[service]\nhost = 1", "service.host: expected text, got int"),
        ('[service]\nbase_url = "https://a.example/"', "service.base_url: expected an http or https address"),
        ('[service]\nbase_url = "ftp://a.example"', "service.base_url: expected an http or https address"),
        ('[service]\nbase_url = "http://[1"', "service.base_url: expected an http or https address"),
        ('[tsa]\npolicy = "1.2.x"', "tsa.policy: expected an object identifier"),
        ('[tsa]\npolicy = "3.1"', "tsa.policy: expected an object identifier"),
        ('[tsa]\nhashes = ["md5"]', "tsa.hashes: expected some of sha256"),
        ("[tsa]\nhashes = []", "tsa.hashes: expected some of sha256"),
        ('[tsa]\nhashes = ["sha256", 1]', "tsa.hashes: expected a list of texts, got list"),
        ('[tsa]\nclock = "development"', "clock.sources: expected some of kernel, chrony, ntp, each once; or unsafe-development-clock alone"),
        ('[pki]\nkey_type = "rsa1024"', "pki.key_type: expected one of p256"),
        ("[confined]\nseconds = nan", "confined.seconds: expected a number"),
        ('[database]\nurl = "mysql://x"', "database.url: expected sqlite:///"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(text)
    assert says in str(caught.value)
    assert FILE in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KAKUIN_SERVICE_PORT", "eighty", "KAKUIN_SERVICE_PORT: expected a whole number"),
        ("KAKUIN_SERVICE_PROT", "80", "KAKUIN_SERVICE_PROT: unknown setting"),
        ("KAKUIN_CLOCK_SOURCES", "x", "KAKUIN_CLOCK_SOURCES: expected some of"),
        ("KAKUIN_CONFINED_SECONDS", "inf", "KAKUIN_CONFINED_SECONDS: expected a number"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_is_not_repeated(name: str, value: str, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        combine({}, {name: value}, FILE)
    assert says in str(caught.value)


def test_a_password_in_an_address_is_never_repeated() -> None:
    with pytest.raises(Misconfigured) as caught:
        read('[database]\nurl = "postgres://u:swordfish@h/d"')
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:swordfish@h/d", "postgresql+psycopg://:swordfish@/d", "postgresql://h/d?sslmode=require&password=swordfish"]
)
def test_a_password_is_no_part_of_an_address(url: str) -> None:
    with pytest.raises(Misconfigured, match="password_file") as caught:
        read(f'[database]\nurl = "{url}"')
    assert "swordfish" not in str(caught.value)


def test_a_folder_without_settings_is_no_instance(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="kakuin init"):
        load(tmp_path, {})
    (tmp_path / FILE).write_text("[service\n")
    with pytest.raises(Misconfigured, match="is not TOML"):
        load(tmp_path, {})
    (tmp_path / FILE).write_bytes(b"\xff")
    with pytest.raises(Misconfigured, match="is not TOML"):
        load(tmp_path, {})
    (tmp_path / FILE).write_text("[service]\nport = 9\n")
    assert load(tmp_path, {}) == replace(Settings(), service=Service(port=9))


def test_the_key_types_are_those_of_the_key_store() -> None:
    assert set(KEY_TYPE_NAMES) == set(KEY_TYPES)


def test_values_are_frozen() -> None:
    settings: Any = Settings()
    with pytest.raises(AttributeError):
        settings.service.port = 1
