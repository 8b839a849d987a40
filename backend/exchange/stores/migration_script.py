"""The SQL that brings a database to the newest version: alembic writes it, in its offline mode.

Apart from `exchange.stores.postgres`, because alembic and its SQLAlchemy take half a second to import.
"""

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from exchange.stores.errors import MigrationsMissing


def upgrade_script(folder: Path, version: str | None) -> str:
    """SQL from the given version to the newest; empty when there is nothing to do.

    Raises MigrationsMissing when the folder is not there or does not know the version.
    """
    output = io.StringIO()
    config = Config(output_buffer=output, stdout=io.StringIO())
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    try:
        heads = ScriptDirectory.from_config(config).get_heads()
        if heads == [version]:
            return ""
        command.upgrade(config, "head" if version is None else f"{version}:head", sql=True)
    except CommandError as error:
        raise MigrationsMissing(folder, str(error)) from error
    return output.getvalue()
