"""`kakuin init`, `doctor`, `ca` and `completion`: an instance from the command line."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from trust.edge import options

if TYPE_CHECKING:
    from trust.edge.instance import Instance


class House(Protocol):
    """What these commands need of an instance."""

    @property
    def instance(self) -> "Instance": ...


Open = Callable[[Path, Path | None], AbstractContextManager[House]]

ASKED = {
    "organisation": "Organisation that seals (registered name)",
    "number": "Its corporate number (法人番号)",
    "base_url": "Address under which others reach the service",
}


@click.command()
@options.instance
@options.passphrase_file
@click.option("--organisation", help="Registered name of the organisation that seals. Default: a demonstration, and called so.")
@click.option("--corporate-number", "number", metavar="NUMBER", help="Its 法人番号, 13 digits; the check digit is verified.")
@click.option("--operator", help="Who runs the authority. Default: the organisation.")
@click.option("--operator-number", metavar="NUMBER", help="The operator's 法人番号.")
@click.option("--base-url", metavar="URL", help="Address under which others reach the service. Default: this machine.")
@click.option(
    "--pki-url",
    metavar="URL",
    help="Address of lists, OCSP and issuers; it is written into certificates. Default: --base-url with http, and /pki.",
)
@click.option("--tsa-policy", metavar="OID", help="Your policy of time-stamps. Default: an example.")
@click.option("--certificate-policy", metavar="OID", help="Your policy of certificates. Default: an example.")
@click.option("--port", type=int, help="Port of the service.  [default: that of --base-url, or 8318]")
@click.option("--key-type", default="p256", show_default=True, help="p256, p384, rsa3072 or ed25519.")
@click.option(
    "--seal-key",
    metavar="TYPE",
    help="Type of the organisation's seal key: p256, p384, p521, rsa3072, rsa3072-pss, rsa4096, rsa4096-pss, ed25519, ed448, ml-dsa-44, ml-dsa-65 "
    "or ml-dsa-87.  [default: --key-type]",
)
@click.option(
    "--database",
    "--database-url",
    "database_url",
    metavar="URL",
    default="",
    help="PostgreSQL instead of the SQLite file in the folder: postgresql://user@host/name.",
)
@click.option("--database-password-file", metavar="FILE", default="", help="File with its password. Default: as PGPASSFILE says.")
@click.option(
    "--clock",
    help="kernel, chrony, ntp, or several with commas; or the development clock by its full name. Default: kernel; in a demonstration that.",
)
@click.option("--yes", is_flag=True, help="Ask nothing, take the defaults.")
@options.as_json
def init(instance: Path, passphrase_file: Path | None, port: int | None, yes: bool, as_json: bool, **answers: str | None) -> None:
    """Make an instance: settings, a database, encrypted keys and a small PKI.

    Where there is a terminal it asks for what was not given; elsewhere it takes the defaults, which make a
    demonstration. A second run changes nothing.
    """
    import json
    import sys

    from trust.edge.founding import Answers, make_instance
    from trust.edge.keystore import passphrase

    fresh = not (instance / "kakuin.toml").exists()
    if fresh and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        _ask(answers, Answers())
    if port is None and (given := answers.get("base_url")):
        from urllib.parse import urlsplit

        parts = urlsplit(given)
        port = parts.port if parts.hostname in ("127.0.0.1", "localhost") else None
    asked = Answers(**{name: value for name, value in answers.items() if value is not None}, port=port)
    with make_instance(instance, asked, passphrase(passphrase_file)) as made:
        if as_json:
            row = {"instance": str(made.folder), "new": made.new, "anchors": str(made.anchors), "demonstration": made.demonstration}
            click.echo(json.dumps({**row, "pki_url": made.settings.pki_url}))
            return
        click.echo(f"{'made' if made.new else 'there is'} an instance in {made.folder}")
        for organisation in made.organisations:
            click.echo(f"  seals for    {organisation.name}, {organisation.number}")
        click.echo(f"  recipients   need {made.anchors / 'root.pem'}")
        click.echo(f"  status       is published at {made.settings.pki_url}, as the certificates say")
        for warning in _warnings(made):
            click.echo(f"  beware       {warning}")
        if made.demonstration:
            click.echo("  beware       this is a demonstration: its seals and time-stamps mean nothing, and its passphrase lies beside its keys")
        click.echo(f"  next         kakuin serve --instance {instance}")


def _warnings(made: "Instance") -> Iterator[str]:
    """What certificates say for years, and somebody may not have meant."""
    from urllib.parse import urlsplit

    from trust.edge.clock.keeper import looked
    from trust.edge.settings import DEVELOPMENT_CLOCK, Settings

    settings, examples = made.settings, Settings()
    if settings.pki_url.startswith("https:"):
        yield "lists and OCSP behind TLS can go in circles (RFC 5280 section 8): --pki-url http://…"
    if made.demonstration:
        return
    if settings.development_clock:
        yield f"{DEVELOPMENT_CLOCK}: time-stamps prove nothing; for real work --clock kernel"
    elif not (clock := looked(settings)).good:
        yield f"{clock.why}: as long as that is so, requests for time-stamps are refused (`kakuin clock`)"
    if urlsplit(settings.pki_url).hostname in ("127.0.0.1", "::1", "localhost"):
        yield "nobody but this machine reaches that address: --base-url, or --pki-url"
    if settings.tsa.policy == examples.tsa.policy or settings.pki.policy == examples.pki.policy:
        yield "policy identifiers are examples: --tsa-policy and --certificate-policy, before anything is issued"


def _ask(answers: dict[str, str | None], defaults: Any) -> None:
    """At a terminal, each open question with its default."""
    for name, question in ASKED.items():
        if answers[name] is None:
            answers[name] = click.prompt(question, default=getattr(defaults, name) or "", show_default=bool(getattr(defaults, name)))


@click.command()
@options.instance
@options.passphrase_file
@options.as_json
@click.pass_context
def doctor(ctx: click.Context, instance: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Say what is wrong with an instance, and what to do.

    Exit codes: 0 nothing is wrong, 1 something is.
    """
    import json

    from trust.edge.diagnosis import diagnose
    from trust.edge.keystore import passphrase

    findings = diagnose(instance, passphrase(passphrase_file))
    for finding in findings:
        if as_json:
            click.echo(json.dumps({"what": finding.what, "ok": finding.ok, "detail": finding.detail, "remedy": finding.remedy}, ensure_ascii=False))
            continue
        click.echo(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.what}: {finding.detail}")
        if finding.remedy:
            click.echo(f"       to do: {finding.remedy}")
    wrong = sum(not f.ok for f in findings)
    if not as_json:
        click.echo("nothing is wrong" if not wrong else f"{wrong} thing{'s' if wrong > 1 else ''} to mend")
    ctx.exit(1 if wrong else 0)


@click.group()
def ca() -> None:
    """Certificates of the instance's own authority."""


@ca.command(name="list")
@options.instance
@options.as_json
@click.pass_obj
def list_(open_house: Open, instance: Path, as_json: bool) -> None:
    """List what was issued, oldest first, with what became of it."""
    import json

    with open_house(instance, None) as house:
        for issued in house.instance.authority.certificates():
            certificate = issued.certificate
            state = f"revoked {issued.revoked_at:%Y-%m-%d} ({issued.reason})" if issued.revoked_at else "good"
            if as_json:
                row = {
                    "serial": f"{certificate.serial:x}",
                    "profile": issued.profile,
                    "subject": certificate.x509.subject.rfc4514_string(),
                    "not_before": certificate.not_before.isoformat(),
                    "not_after": certificate.not_after.isoformat(),
                    "revoked_at": issued.revoked_at.isoformat() if issued.revoked_at else None,
                    "reason": issued.reason,
                }
                click.echo(json.dumps(row, ensure_ascii=False))
            else:
                click.echo(f"{certificate.serial:<32x}  {issued.profile:5}  until {certificate.not_after:%Y-%m-%d}  {state:10}  {certificate.name}")


@ca.command()
@click.argument("serial")
@options.instance
@click.pass_obj
def show(open_house: Open, serial: str, instance: Path) -> None:
    """Print a certificate as PEM, by its serial number (hexadecimal)."""
    from trust.edge.keystore import pem_of
    from trust.errors import NotFound

    with open_house(instance, None) as house:
        found = [i.certificate for i in house.instance.authority.certificates() if i.certificate.serial == _serial(serial)]
        if not found:
            raise NotFound("no certificate with that serial number was issued here")
        click.echo(pem_of(tuple(found)).decode(), nl=False)


SEAL_KEY = click.option(
    "--key",
    "seal_key",
    metavar="TYPE",
    help="p256, p384, p521, rsa3072, rsa3072-pss, rsa4096, rsa4096-pss, ed25519, ed448, ml-dsa-44, ml-dsa-65 or ml-dsa-87.  [default: what "
    "kakuin.toml says]",
)


@ca.command()
@click.option("--organisation", required=True, help="Registered name.")
@click.option("--corporate-number", "number", metavar="NUMBER", required=True, help="Its 法人番号, 13 digits; the check digit is verified.")
@SEAL_KEY
@options.instance
@options.passphrase_file
@click.pass_obj
def enrol(open_house: Open, organisation: str, number: str, seal_key: str | None, instance: Path, passphrase_file: Path | None) -> None:
    """Give an organisation a seal: a key and its certificate.

    For a new organisation, and for one whose seal was revoked or has ended; the old key and certificate are kept. --key is written into
    [organisation.NUMBER] of kakuin.toml, where a key behind PKCS#11 is described too.
    """
    from trust.edge.seals import write_settings

    with open_house(instance, None) as house:
        write_settings(house.instance, number, seal_key)
    with open_house(instance, passphrase_file) as house:
        made = house.instance.add_organisation(organisation, number)
        click.echo(f"{made.name}, {made.number}: certificate {made.certificate.serial:x}, until {made.certificate.not_after:%Y-%m-%d}")


@ca.command()
@click.argument("name")
@SEAL_KEY
@options.instance
@options.passphrase_file
@options.as_json
@click.pass_obj
def renew(open_house: Open, name: str, seal_key: str | None, instance: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Give tsu, ocsp or seal-NUMBER a new key and certificate, before or after the old ones end.

    The old ones are kept, in the folders called retired; the journal says what follows what. A time-stamping unit gets a new
    number in its name. A service that runs goes on with the old key until it is started again. With --key a seal's new key is of another type.
    """
    import json

    from trust.edge.seals import organisation_of, write_settings
    from trust.errors import Unacceptable

    if seal_key is not None:
        if (number := organisation_of(name)) is None:
            raise Unacceptable("--key is of a seal: what the others are tell pki.key_type and [unit.NAME]")
        with open_house(instance, None) as house:
            write_settings(house.instance, number, seal_key)
    with open_house(instance, passphrase_file) as house:
        done = house.instance.renew(name)
        new, old = done.certificate, done.retired
        if as_json:
            row = {
                "name": name,
                "subject": new.name,
                "serial": f"{new.serial:x}",
                "not_after": new.not_after.isoformat(),
                "retired": f"{old.serial:x}",
            }
            click.echo(json.dumps(row, ensure_ascii=False))
            return
        click.echo(f"{name}: {new.name}, certificate {new.serial:x}, until {new.not_after:%Y-%m-%d}")
        click.echo(f"  kept         keys/retired/{name}-{old.serial:x}.pem and certificates/retired/{name}-{old.serial:x}.pem")
        click.echo("  next         start `kakuin serve` again if it runs: until then it goes on with the old key")


@ca.command()
@click.argument("serial")
@click.option("--reason", default="unspecified", show_default=True, help="keyCompromise, affiliationChanged, superseded, cessationOfOperation, …")
@click.option("--since", metavar="TIME", help="Since when, if earlier than now: 2026-06-01T09:00:00+09:00.")
@options.instance
@options.passphrase_file
@click.pass_obj
def revoke(open_house: Open, serial: str, reason: str, since: str | None, instance: Path, passphrase_file: Path | None) -> None:
    """Revoke a certificate for good, by its serial number (hexadecimal); the new list is published at once."""
    with open_house(instance, passphrase_file) as house:
        done = house.instance.authority.revoke(_serial(serial), reason, options.moment(since) if since else None)
        click.echo(f"{done.certificate.name} is revoked since {done.revoked_at:%Y-%m-%dT%H:%M:%SZ} ({done.reason})")


@ca.command()
@click.argument("issuer", type=click.Choice(["root", "ca"]))
@options.instance
@options.passphrase_file
@options.output
@click.pass_obj
def crl(open_house: Open, issuer: str, instance: Path, passphrase_file: Path | None, output: Path | None) -> None:
    """Write the list in force of the root, or of the issuing authority, as DER."""
    with open_house(instance, passphrase_file) as house:
        published = house.instance.authority.crl(issuer)
    options.written([published.crl.der], output or Path(f"{issuer}.crl"), replace=True)


def _serial(text: str) -> int:
    try:
        return int(text.replace(":", ""), 16)
    except ValueError as error:
        raise click.BadParameter("a serial number is hexadecimal, as `kakuin ca list` prints it") from error


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: eval "$(kakuin completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter("no completion for that shell")
    click.echo(found(ctx.find_root().command, {}, "kakuin", "_KAKUIN_COMPLETE").source())
