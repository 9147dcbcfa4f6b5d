"""Where the database is that the settings mean."""

from __future__ import annotations

import os

from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import Settings, read_settings


def configured_url() -> str:
    """The database that the environment means, for shells and for `alembic`.

    Raises:
        ConfigurationError: a setting cannot be read, or the folder cannot be made.
    """
    return database_url(read_settings(os.environ))


def database_url(settings: Settings) -> str:
    """The configured database, or else the one in the data folder, which is made.

    Raises:
        ConfigurationError: the folder cannot be made.
    """
    if settings.database_url:
        return settings.database_url
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {folder} cannot be made: {error.strerror};"
            " set TASKWIRE_DATA_DIR to another one"
        ) from None
    return f"sqlite:///{folder / 'taskwire.db'}"
