"""`--server`: the same command, done by a service elsewhere."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

API_KEY = "KAKUIN_API_KEY"


def at_server(doing: str) -> Callable[[F], F]:
    """`--server URL` and `--api-key-file FILE`; `doing` is a verb, `Seal`."""
    address = click.option(
        "--server", metavar="URL", help=f"{doing} there instead of on the local instance; the API key is taken from {API_KEY} or --api-key-file."
    )
    key = click.option("--api-key-file", type=click.Path(path_type=Path, dir_okay=False), envvar=f"{API_KEY}_FILE", help="File with the API key.")
    return lambda command: address(key(command))


def api_key(file: Path | None) -> str:
    """From the file, or the environment; empty where there is none."""
    from trust.edge.keystore import text_in

    return text_in(file, "API key file").strip() if file is not None else os.environ.get(API_KEY, "")
