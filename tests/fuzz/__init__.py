"""Hostile bytes for every reader and codec: `python -m tests.fuzz TARGET --seconds N`, and a short seeded run among the tests.

Only Malformed and TooLarge may escape, in at most 2 seconds of processor time and 256 MiB. tests/fuzz/test_found.py holds what runs found, and
test_patterns.py tries every regular expression with what its repetitions invite.
"""
