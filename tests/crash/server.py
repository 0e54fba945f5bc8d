"""An authority to be killed: `python -m tests.crash.server FOLDER PORT [before|after]`.

Key and certificates lie in the folder, so that a restart is the same unit. With `before` or `after` it kills itself at its tenth commit,
just before the commit or just after it and before any answer.
"""

import os
import signal
import sys
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives import serialization
from sqlalchemy import event

from tests import pki, tsu
from trust.log.journal import Journal
from trust.model import Cert
from tsa.api import Endpoint
from tsa.service import Authority

COMMITS = 10


def found(folder: Path) -> None:
    """A key and its certificates, once."""
    party = tsu.party()
    (folder / "unit.der").write_bytes(party.certificate.der)
    key = party.private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.der").write_bytes(key)


def holder(folder: Path) -> pki.Party:
    private = serialization.load_der_private_key((folder / "key.der").read_bytes(), None)
    return pki.Party(Cert((folder / "unit.der").read_bytes()), (), pki.usual_algorithm(private), private)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    folder, port, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
    engine = tsu.engine(folder)
    commits = [0]

    @event.listens_for(engine, "commit")
    def count(_connection: object) -> None:
        commits[0] += 1
        if moment == "before" and commits[0] == COMMITS:
            die()

    journal = Journal(engine, tsu.clock)
    if moment == "after":
        answer = journal._answer

        def last(outcomes: list[object]) -> None:
            if commits[0] >= COMMITS:
                die()
            answer(outcomes)  # type: ignore[arg-type]

        journal._answer = last  # type: ignore[method-assign, assignment]
    authority = Authority(tsu.unit(holder=holder(folder)), journal, tsu.clock)
    uvicorn.run(Endpoint(authority), port=port, http="httptools", loop="uvloop", log_level="error", access_log=False)
    journal.close()


if __name__ == "__main__":
    main()
