"""The rows of the fault matrix, each a function in a module of this folder."""

from __future__ import annotations

import importlib
import pkgutil

from tests.chaos.rows.registry import ROWS, Row

__all__ = ["Row", "all_rows"]


def all_rows() -> list[Row]:
    """Every row, by number."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return sorted(ROWS.values(), key=lambda each: (-ord(each.number[0]), int(each.number[1:])))
