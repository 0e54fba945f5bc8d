"""The corpora beside the project, where they are: tests that need them skip by name without them."""

from pathlib import Path

import pytest

from tests.services import REQUIRED

SHARED = Path(__file__).resolve().parents[2] / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir() and not REQUIRED, reason="the validation corpora (../shared) are not here")
