"""Alembic's environment. It only writes SQL; `exchange.stores.postgres.migrate` runs that over asyncpg.

So every version is raw SQL through `op.execute` and asks the database nothing while it is written. Versions
are numbered and linear, and there is no way back: every `downgrade` raises, a backup is restored instead.
"""

from alembic import context

if not context.is_offline_mode():
    raise RuntimeError("these migrations are applied by the exchange itself, not by alembic's command line")

# The caller holds one transaction around everything, with its lock: no BEGIN and COMMIT of ours. The dialect
# only decides how text is written; this one leaves a % alone. (A colon before a word would be a parameter.)
context.configure(dialect_name="postgresql+asyncpg", transactional_ddl=False)
context.run_migrations()
