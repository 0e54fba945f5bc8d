"""One operation, three doors: the command line, HTTP and Python offer the same choices of sealing and of extending, told from their code.

What one door has and another has not stands in a table here, with the reason.
"""

import inspect
from collections.abc import Mapping
from dataclasses import fields

import click
import pytest

from eseal import openapi
from eseal.api import Options
from eseal.claims import NAMES as CLAIMS
from eseal.commands import seal
from eseal.extend import Wanted
from eseal.extend_api import BESIDE, DETACHED
from eseal.extend_api import OPERATION as EXTENDING
from eseal.extend_commands import extend
from eseal.extend_service import Asked
from eseal.hashes import openapi as hash_openapi
from eseal.pdf_seal import FILES
from eseal.pdf_seal import OPTIONS as ON_PAPER
from eseal.spec import Spec, choose

PLACES = {"instance", "passphrase_file", "server", "api_key_file", "output", "as_json"}
"""Options that say where the work is done and what becomes of the answer, which are no choices of a seal."""
RENAMED = {"format_": "format", "password_file": "password", "certificates": "certificate", "crls": "crl", "ocsps": "ocsp"}
"""On the command line -> over HTTP: a secret stands in a file there, and what may be repeated has a name of its own."""
ONLY_COMMAND = {
    seal: {
        "files": "the document is the body, or files of a form",
        "hash_only": "another route, POST /v1/seals/hashes",
        "receipt": "the field Prefer",
    },
    extend: {
        "file": "the document is the body, or a file of a form",
        "hash_only": "another route, POST /v1/extensions/hashes",
        "allow_private_networks": "of a service it is the operator's setting verifier.allow_private_networks",
    },
}
ONLY_PYTHON = {"pdf": "said by the options of PDF, one by one", "claims": "said by the options of claims, one by one", "head": "the document"}


def on_command_line(command: click.Command) -> set[str]:
    names = {RENAMED.get(p.name or "", p.name or "") for p in command.params}
    return names - PLACES - set(ONLY_COMMAND[command])


def described(operation: Mapping[str, object]) -> tuple[set[str], set[str]]:
    """Names in the query, and names in the form but for the document's and `options`'."""
    parameters: list[dict[str, str]] = operation["parameters"]  # type: ignore[assignment]
    body: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]] = operation["requestBody"]  # type: ignore[assignment]
    form = set(body["content"]["multipart/form-data"]["schema"]["properties"])
    return {p["name"] for p in parameters if p["in"] == "query"}, form - {"document", "options"}


def test_sealing() -> None:
    over_http = {f.name for f in fields(Options)}
    assert on_command_line(seal) == over_http | set(FILES)
    query, form = described(openapi.OPERATION)
    assert query == over_http - {"password"}
    assert form == over_http | set(FILES)


def test_sealing_in_python() -> None:
    """What `choose` takes is what makes a Spec, and what HTTP takes is what `choose`, claims and PDF take."""
    taken = set(inspect.signature(choose).parameters)
    assert taken - {"head"} == {f.name for f in fields(Spec)}
    over_http = {f.name for f in fields(Options)} - {"organisation"}  # the operation's own argument
    assert over_http == (taken - set(ONLY_PYTHON)) | set(CLAIMS) | set(ON_PAPER)


def test_sealing_by_digests_takes_no_choice_that_sealing_has_not() -> None:
    body: dict[str, dict[str, dict[str, dict[str, object]]]] = hash_openapi.OPERATION["requestBody"]
    said = set(body["content"]["application/json"]["schema"]["properties"]) - {"documents"}  # type: ignore[arg-type]
    assert said < {f.name for f in fields(Options)}


def test_extending() -> None:
    query, form = described(EXTENDING)
    assert form == query | {"password", DETACHED, *BESIDE}
    assert on_command_line(extend) == form


def test_extending_in_python() -> None:
    given = {f.name for f in fields(Asked)} | {f.name for f in fields(Wanted)}
    assert (given - {"wanted", "known"}) | set(BESIDE) == on_command_line(extend)


@pytest.mark.parametrize("command", [seal, extend], ids=lambda command: command.name)
def test_both_commands_work_here_and_at_a_server(command: click.Command) -> None:
    assert {p.name for p in command.params} >= PLACES
