"""What a command is configured with."""

from __future__ import annotations

import os

from taskwire_core.settings import Settings, read_settings


def current_settings() -> Settings:
    """What the environment says.

    Raises:
        ConfigurationError: with every problem.
    """
    return read_settings(os.environ)
