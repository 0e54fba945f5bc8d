"""The house's layers hold, and each contract is seen to break when it is broken on purpose."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

# contract -> (a file to add, an import that it forbids)
BREACHES = {
    "trust imports no sibling": ("trust/codecs/breach.py", "import verifier.verdict"),
    "siblings never import one another": ("tsa/breach.py", "import eseal.spec"),
    "the kernel and the cores are pure": ("verifier/formats/breach.py", "import socket"),
    "nobody judges with pyhanko's validator": ("verifier/breach.py", "import pyhanko_certvalidator"),
    "only the sealer's PAdES package imports pyhanko": ("trust/pki/breach.py", "import pyhanko"),
}


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("trust", "tsa", "eseal", "verifier"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_is_caught(contract: str, copy: Path) -> None:
    name, statement = BREACHES[contract]
    (copy / name).write_text(statement + "\n")
    done = lint(copy)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout
