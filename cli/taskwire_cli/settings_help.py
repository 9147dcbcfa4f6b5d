"""The settings as a list for `--help`, from the one place that defines them."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from datetime import timedelta
from typing import Any

from taskwire_core.settings import PREFIX, Settings


def settings_help() -> str:
    """One line for each setting: its variable, what it is, its default."""
    lines = ["\b", "Settings, environment variables all of them:"]
    for field in fields(Settings):
        lines.append(f"  {PREFIX}{field.name.upper()}")
        lines.append(f"      {field.metadata['help']}{_default(field)}")
    return "\n".join(lines)


def _default(field: Field[Any]) -> str:  # a field of any type
    value = field.default
    if value is MISSING or value in ("", ()):
        return ""
    if isinstance(value, timedelta):
        return f" [{value.total_seconds():g}s]"
    return f" [{value}]"
