"""How a command ends: every error becomes one line and its exit code, here and nowhere else."""

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from trust.edge.files import plainly
from trust.errors import KakuinError
from trust.language import from_environment

USAGE, INPUT_OUTPUT, INTERRUPTED, BROKEN_PIPE = 2, 74, 130, 141


def coded(work: Callable[[], Any]) -> int:
    """The exit code of `work`: what it gives, 0 for nothing, or that of the error that it ended with."""
    try:
        return int(work() or 0)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("kakuin: interrupted", err=True)
        return INTERRUPTED
    except KakuinError as error:
        kind = f"{error.japanese}: " if from_environment(os.environ) == "ja" else ""
        click.echo(f"kakuin: {kind}{error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`kakuin verify … | head`): nothing is wrong, and nothing more can be said.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return BROKEN_PIPE
    except OSError as error:
        # What nobody said more of: a disk that fails, a descriptor too many.
        told = plainly(error, f"go on with {error.filename!r}" if isinstance(error.filename, str) else "go on")
        click.echo(f"kakuin: {told}", err=True)
        return INPUT_OUTPUT
