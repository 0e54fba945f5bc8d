"""Bytes to nouns and back: strict, capped, without opinions."""
