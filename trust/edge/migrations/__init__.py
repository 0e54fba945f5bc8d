"""The schema's history (Alembic), shipped with the code that needs it."""
