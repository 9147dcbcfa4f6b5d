"""Which database a command means."""

from __future__ import annotations

from taskwire_cli.data_folder import made
from taskwire_core.settings import Settings


def database_url(settings: Settings) -> str:
    """The configured database, or else the one in the data folder, which is made.

    Raises:
        ConfigurationError: the folder cannot be made.
    """
    if settings.database_url:
        return settings.database_url
    return f"sqlite:///{made(settings.data_dir) / 'taskwire.db'}"
