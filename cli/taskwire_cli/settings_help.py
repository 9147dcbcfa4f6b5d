"""The settings as people read them, from the one place that defines them."""

from __future__ import annotations

import textwrap
from dataclasses import fields

from taskwire_core.settings import PREFIX, Settings, default_text

_EXAMPLE = """\
# Every setting of taskwire with its default; `taskwire settings` prints this file.
# It is for env_file of Docker and EnvironmentFile of systemd: take the # away and change the value.
# What has no value here has no default.
"""


def settings_help() -> str:
    """One line for each setting: its variable, what it is, its default."""
    lines = ["\b", "Settings, environment variables all of them:"]
    for field in fields(Settings):
        default = default_text(field)
        lines.append(f"  {PREFIX}{field.name.upper()}")
        lines.append(f"      {field.metadata['help']}{f' [{default}]' if default else ''}")
    return "\n".join(lines)


def settings_example() -> str:
    """A file with every setting, commented out."""
    parts = [_EXAMPLE]
    for field in fields(Settings):
        meaning = "".join(f"# {line}\n" for line in textwrap.wrap(field.metadata["help"], 97))
        parts.append(f"{meaning}#{PREFIX}{field.name.upper()}={default_text(field)}\n")
    return "\n".join(parts)
