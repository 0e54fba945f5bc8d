"""JAdES and plain JWS (ETSI TS 119 182-1, RFC 7515): compact, flattened and general, the payload inside or detached."""

from verifier.formats.jades.reader import claims, read

__all__ = ["claims", "read"]
