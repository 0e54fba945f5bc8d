"""Receipts handed over together with what they show: fetched from where an answer says that they are (`trust.log.links`), or waited for here."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from trust import VERSION
from trust.codecs import cms
from trust.errors import Malformed, NotFound, Unavailable
from trust.log import reading
from trust.log.layout import said_by
from trust.log.note import parse_checkpoint
from trust.log.publish import Publisher
from trust.log.receipt import MAX_RECEIPT, Receipt, leaf_data, parse_receipt, sealed_digest
from trust.log.sources import capped
from trust.log.stored import Stored
from trust.log.tree import includes, leaf_hash

if TYPE_CHECKING:
    from trust.edge.instance import Instance

PATIENCE = 60.0
"""Seconds until a receipt that is asked for is given up: log.interval_ms, and what witnesses take."""
WAIT = 20
"""Seconds of that for one answer."""


def fetched(
    address: str, sha256: str | None = None, transport: httpx.BaseTransport | None = None, sleep: Callable[[float], None] = time.sleep
) -> Receipt:
    """The receipt at `address`. `sha256`: of the sealed file, for a log that shows its entries to nobody else. Unavailable where it does not come."""
    fields = {"User-Agent": f"kakuin/{VERSION}", "Prefer": f"wait={WAIT}"}
    ends = time.monotonic() + PATIENCE
    with httpx.Client(transport=transport, follow_redirects=False, timeout=WAIT + 10.0, headers=fields, trust_env=False) as client:
        while True:
            try:
                with client.stream("GET", address, params={"sha256": sha256} if sha256 else None) as answer:
                    if answer.status_code == 200:
                        return parse_receipt(capped(answer, address, MAX_RECEIPT))
                    status = answer.status_code
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise Unavailable(f"{address} does not answer ({type(error).__name__})") from error
            if status == 404:
                raise NotFound(f"{address} knows no such receipt")
            if status != 503 or time.monotonic() >= ends:
                raise Unavailable(f"{address} gave no receipt: it answered {status}")
            sleep(1.0)


def of_instance(instance: "Instance", issued: bytes | int) -> bytes:
    """Of what this installation issued, a token (DER) or the entry of a number. NotFound where it did not, or where its log has no key."""
    publisher = instance.publisher()
    stored = Stored(instance.engine, instance.settings.log.quorum)
    index = issued if isinstance(issued, int) else stored.token(issued, cms.token(issued).serial).index
    return bytes(awaited(index, stored, publisher))


def indexer(instance: "Instance") -> Callable[[bytes], int] | None:
    """Finds the entry that a TimeStampResp of this installation is of. None where its log has no key."""
    from trust.log.api import token_in

    try:
        _ = instance.log_key
    except NotFound:
        return None
    stored = Stored(instance.engine)
    return lambda reply: stored.token(*token_in(reply)).index


def awaited(index: int, stored: Stored, publisher: Publisher, sleep: Callable[[float], None] = time.sleep) -> Receipt:
    """That of an entry of this installation, as soon as a checkpoint covers it. Unavailable when none does."""
    entry = reading.entry(stored.engine, index)
    ends = time.monotonic() + PATIENCE
    while (newest := publisher.covering(index, stored)) is None:
        if time.monotonic() >= ends:
            raise Unavailable(f"entry {index} is not under a checkpoint yet: `kakuin log prove inclusion {index}` makes its receipt later")
        sleep(publisher.pause)
    return stored.receipt(entry, newest)


def require_token(receipt: Receipt, token: bytes) -> None:
    """The receipt shows this token under its checkpoint, whose signature is for `kakuin log verify`. Malformed."""
    _require(receipt, leaf_data(receipt, token))


def require_seal(receipt: Receipt, sha256: str) -> None:
    """The same of a sealed file by its digest (hexadecimal)."""
    data = receipt.extra or b""
    said = said_by(data)
    if said.kind != "seal" or sealed_digest(said.body) != sha256:
        raise Malformed("the receipt is of another sealed file")
    _require(receipt, data)


def _require(receipt: Receipt, data: bytes) -> None:
    shown = parse_checkpoint(receipt.note.text)
    if not includes(leaf_hash(data), receipt.index, shown.size, receipt.path, shown.root):
        raise Malformed(f"the receipt's proof does not lead to its checkpoint: this is not entry {receipt.index}")
