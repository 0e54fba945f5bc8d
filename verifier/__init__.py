"""The verifier: readers for every format, and EN 319 102-1 once."""
