"""An operator may ask for an owner's rate class too, and the classes of all owners can be read."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE rate_classes (
        owner       TEXT PRIMARY KEY,
        rate_class  TEXT NOT NULL CHECK (rate_class IN ('standard', 'market_maker')),
        set_seq     BIGINT NOT NULL,
        set_ns      BIGINT NOT NULL
    )
    """,
    "ALTER TABLE operator_requests ADD COLUMN owner TEXT",
    "ALTER TABLE operator_requests ADD COLUMN rate_class TEXT",
    "ALTER TABLE operator_requests ALTER COLUMN account_id DROP NOT NULL",
    "ALTER TABLE operator_requests ALTER COLUMN state DROP NOT NULL",
    "ALTER TABLE operator_requests DROP CONSTRAINT operator_requests_action_check",
    # One action, and what it is about and nothing else.
    """
    ALTER TABLE operator_requests ADD CONSTRAINT operator_requests_action_check CHECK (
        (action = 'set_account_state' AND account_id IS NOT NULL AND state IS NOT NULL
            AND owner IS NULL AND rate_class IS NULL)
        OR (action = 'set_rate_class' AND owner IS NOT NULL AND rate_class IS NOT NULL
            AND rate_class IN ('standard', 'market_maker') AND account_id IS NULL AND state IS NULL)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
