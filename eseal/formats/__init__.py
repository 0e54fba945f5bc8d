"""One module a format, each with seal() and extend()."""
