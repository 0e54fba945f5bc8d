"""The append-only journal of everything that the installation issues."""
