"""Associated Signature Containers (EN 319 162-1 and -2, TS 102 918, BDOC), OpenDocument signatures, and X-Road's message log containers."""

from verifier.formats.asic.reader import claims, read

__all__ = ["claims", "read"]
