"""Real programs that tests run against: skipped by name where absent, a failure where CI requires them (KAKUIN_REQUIRE_ALL)."""

import os
import shutil

import pytest

REQUIRED = bool(os.environ.get("KAKUIN_REQUIRE_ALL"))


def absent(what: str) -> None:
    """Skip, or fail where everything is required."""
    if REQUIRED:
        pytest.fail(f"{what} is required here and absent", pytrace=False)
    pytest.skip(f"{what} is not installed")


def program(name: str) -> str:
    """Path of a program on this machine."""
    found = shutil.which(name)
    if found is None:
        absent(name)
    return found or ""
