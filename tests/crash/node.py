"""A node to be killed: `python -m tests.crash.node FOLDER PORT URL`, an authority on the database at URL."""

import sys
from pathlib import Path

import uvicorn

from tests import tsu
from tests.crash.server import holder
from trust.edge.engine import bring_up, connect
from trust.log.journal import Journal
from tsa.api import Endpoint
from tsa.service import Authority


def main() -> None:
    folder, port, url = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    engine = connect(url)
    bring_up(engine)
    journal = Journal(engine, tsu.clock)
    authority = Authority(tsu.unit(holder=holder(folder)), journal, tsu.clock)
    uvicorn.run(Endpoint(authority), port=port, http="httptools", loop="uvloop", log_level="critical", access_log=False)
    journal.close()


if __name__ == "__main__":
    main()
