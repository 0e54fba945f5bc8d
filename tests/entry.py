"""`python -m tests.entry …` is `kakuin …`, wherever the tests run."""

import sys

import cli

if __name__ == "__main__":
    sys.exit(cli.main())
