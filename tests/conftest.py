"""What all tests share: one office a session, with documents to seal."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.office import Office

# The same examples each time: what a run finds, the next one finds too. New ones are looked for by `python -m tests.fuzz`.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")

# A shell's background job ignores interruptions, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = Office.create(tmp_path_factory.mktemp("office") / "instance")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The demonstration's own PDF and CSV."""
    from eseal.demonstration import csv, pdf

    folder = tmp_path_factory.mktemp("documents")
    made = {"pdf": folder / "notice.pdf", "csv": folder / "dataset.csv"}
    made["pdf"].write_bytes(pdf())
    made["csv"].write_bytes(csv())
    return made


@pytest.fixture(scope="module")
def cheap_keys() -> Iterator[None]:
    """Stretching passphrases is what makes keys slow to write; these guard nothing."""
    from trust.edge import keystore

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keystore, "_SCRYPT_COST", 256)
        yield


@pytest.fixture(scope="module")
def pattern(cheap_keys: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demonstration's installation, to be copied: none of the tests writes in it."""
    from trust.edge.founding import make_instance

    folder = tmp_path_factory.mktemp("pattern") / "instance"
    make_instance(folder).close()
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    """An installation of the test's own."""
    return Path(shutil.copytree(pattern, tmp_path / "instance"))
