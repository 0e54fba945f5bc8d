"""The log's side of its witnesses: each newest checkpoint is shown to them, and what they sign is added to it (C2SP tlog-witness)."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from sqlalchemy import Connection, Engine, select, update

from trust import VERSION
from trust.errors import KakuinError, Malformed, Misconfigured, Unavailable
from trust.log import tree
from trust.log.note import COSIGNING, MAX_NOTE, Note, Signature, VerifierKey, number, parse_note, signature_lines, verifier_key
from trust.log.page import Write
from trust.log.publish import alone
from trust.log.stored import Published, Stored
from trust.log.tables import CHECKPOINT
from trust.log.witness import Asked

SECONDS = 10.0
"""For one answer of a witness."""
PATIENCE = 30.0
"""Seconds until a witness that did not answer is asked again."""

_LOG = logging.getLogger("kakuin.log")


@dataclass(frozen=True, slots=True)
class Peer:
    """A witness that is asked."""

    url: str
    key: VerifierKey


def peer(text: str) -> Peer:
    """`https://witness.example NAME+ID+KEY`, as the setting log.witnesses has it. Misconfigured."""
    parts = text.split()
    if len(parts) != 2 or not parts[0].startswith(("http://", "https://")):
        raise Misconfigured("log.witnesses: expected an address, a space and a verifier key")
    try:
        key = verifier_key(parts[1])
    except Malformed as error:
        raise Misconfigured(f"log.witnesses: {error}") from error
    if key.kind not in COSIGNING:
        raise Misconfigured("log.witnesses: a witness's key is of type 4 or 6, got a log's")
    return Peer(parts[0].rstrip("/"), key)


class Cosigners:
    """Asks witnesses, each in a thread of its own: none of them has to wait for another. Several processes may do it over one database."""

    def __init__(
        self,
        engine: Engine,
        peers: tuple[Peer, ...],
        interval: float,
        transport: httpx.BaseTransport | None = None,
        alongside: Callable[[Write], None] | None = None,
    ) -> None:
        """`interval`: seconds from one look for a new checkpoint to the next. `alongside`: as for `Publisher`."""
        self._stored = Stored(engine)
        self._write = alongside or functools.partial(alone, engine)
        self._peers = peers
        self._interval = interval
        self._client = httpx.Client(transport=transport, timeout=SECONDS, follow_redirects=False, headers={"User-Agent": f"kakuin/{VERSION}"})
        self._known: dict[Peer, int] = {}
        """What each of them cosigned last, as far as it is known."""
        self._after: dict[Peer, float] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for each in self._peers:
            self._threads.append(threading.Thread(target=self._run, args=(each,), name=f"cosign {each.key.name}", daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Ask no more; an answer that is awaited is awaited as long as one may take."""
        self._stop.set()
        ends = time.monotonic() + SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        self._client.close()

    def _run(self, each: Peer) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.ask(each)
            except KakuinError as error:
                _LOG.warning("log: witness %s was not asked: %s", each.key.name, error)

    def ask(self, each: Peer) -> None:
        """Show it the newest checkpoint where it has not cosigned that. When it fails that is told in the log, and it is asked again later."""
        newest = self._stored.signed()
        if newest is None or time.monotonic() < self._after.get(each, 0.0):
            return
        if each.key not in parse_note(newest.note).signed_by([each.key]):
            self._try(each, newest)

    def _try(self, each: Peer, newest: Published) -> None:
        try:
            self._add(newest.size, self._cosigned(each, newest))
            self._known[each] = newest.size
        except KakuinError as error:
            self._after[each] = time.monotonic() + PATIENCE
            _LOG.warning("log: witness %s: %s", each.key.name, error)

    def _cosigned(self, each: Peer, newest: Published) -> tuple[Signature, ...]:
        old = min(self._known.get(each, 0), newest.size)
        answer = self._post(each, old, newest)
        if answer.status_code == 409:
            old = number(answer.text.removesuffix("\n"), "the size that a witness tells")
            if old > newest.size:
                raise Misconfigured(f"it has seen {old} entries of this log, and here are {newest.size}: was an older backup put back?")
            answer = self._post(each, old, newest)
        if answer.status_code != 200:
            raise Unavailable(f"it answered {answer.status_code}")
        text = parse_note(newest.note).text
        lines = Note(text, signature_lines(answer.text))
        if each.key not in lines.signed_by((each.key,)):
            raise Malformed("its answer is not its cosignature")
        return tuple(s for s in lines.signatures if (s.name, s.id) == (each.key.name, each.key.id))

    def _post(self, each: Peer, old: int, newest: Published) -> httpx.Response:
        note = parse_note(newest.note)
        ends = time.monotonic() + SECONDS
        asked = Asked(old, tree.consistency(self._stored.tiles, old, newest.size), Note(note.text, note.signatures[:1]))
        try:
            with self._client.stream("POST", f"{each.url}/add-checkpoint", content=bytes(asked), headers={"Content-Type": "text/plain"}) as answer:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_NOTE:
                        raise Unavailable(f"its answer is over {MAX_NOTE} bytes")
                    if time.monotonic() > ends:
                        raise Unavailable(f"its answer takes over {SECONDS:g} seconds")
                return httpx.Response(answer.status_code, content=bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"it does not answer ({type(error).__name__})") from error

    def _add(self, size: int, lines: tuple[Signature, ...]) -> None:
        """To the checkpoint as it stands now: another process may have added others meanwhile."""

        def work(connection: Connection) -> None:
            here = CHECKPOINT.c.size == size
            found = bytes(connection.execute(select(CHECKPOINT.c.note).where(here).with_for_update()).scalar_one())
            note = parse_note(found).with_signatures(lines)
            cosigned = len(note.signed_by(p.key for p in self._peers))
            connection.execute(update(CHECKPOINT).where(here).values(note=bytes(note), cosigned=cosigned))

        self._write(work)
