"""Alembic's way in: the connection comes from trust.edge.engine, which holds the transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
