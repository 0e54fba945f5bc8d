"""kakuin: the command line, and the one place where the parts are put together.

`kakuin --help` imports click and nothing else: a command is imported when it is called, and imports what it needs when it runs.
"""

import functools
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust import VERSION
from trust.errors import KakuinError, Misconfigured

if TYPE_CHECKING:
    from eseal.service import Sealer
    from trust.edge.instance import Instance
    from trust.log.journal import Journal
    from trust.pki.service import CertificateAuthority
    from tsa.service import Authority
    from verifier.service import Verifier

# name -> (where it is, what it does). The help is written from here, so that it costs no import.
COMMANDS = {
    "init": ("trust.commands:init", "Make an instance: keys, a small PKI, a database."),
    "serve": ("serve:serve", "Serve the authority, the sealer, the verifier and the PKI over HTTP."),
    "seal": ("eseal.commands:seal", "Seal a document for an organisation."),
    "verify": ("verifier.commands:verify", "Verify files: one verdict, then why, then what to do."),
    "stamp": ("tsa.commands:stamp", "Time-stamp a file (RFC 3161)."),
    "inspect": ("verifier.commands:inspect", "Show what a file carries, without judging it."),
    "ca": ("trust.commands:ca", "Certificates: list, show, issue, revoke, write CRLs."),
    "apikey": ("eseal.commands:apikey", "API keys of the sealing service: create, list, revoke."),
    "doctor": ("trust.commands:doctor", "Say what is wrong with an instance, and what to do."),
    "demo": ("serve:demo", "Seal and verify a demonstration, then serve it."),
    "completion": ("trust.commands:completion", "Print the completion script of a shell."),
}
