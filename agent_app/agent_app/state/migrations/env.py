"""Runs the revisions on the connection that `agent_app.state.migrate` holds the lock with."""

from alembic import context

from agent_app.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
