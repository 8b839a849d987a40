"""A request of an operator is noted before it is submitted, so that a restart does not submit it again."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE operator_requests ADD COLUMN taken_ms BIGINT",
    "ALTER TABLE operator_requests DROP CONSTRAINT operator_requests_done_check",
    """
    ALTER TABLE operator_requests ADD CONSTRAINT operator_requests_done_check
        CHECK ((done_ms IS NULL OR taken_ms IS NOT NULL) AND (seq IS NULL OR done_ms IS NOT NULL)
            AND (done_ms IS NULL OR seq IS NOT NULL OR refusal IS NOT NULL))
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
