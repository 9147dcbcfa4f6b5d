"""What the code says about itself, as the rows that the pages must have."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from taskwire.v1 import errors_pb2
from taskwire_core.failpoint_table import FAILPOINTS
from taskwire_core.settings import PREFIX, Settings
from tests.docs.pages import ROOT

_SERVER_ROOMS = ("core", "contracts", "db", "broker", "admin", "gateway", "worker")
_COMMENTED_VALUE = re.compile(r"((?: *//[^\n]*\n)+) *ERROR_REASON_([A-Z_]+) = \d+;")


def settings_rows() -> list[list[str]]:
    """Variable, default and meaning of every setting."""
    return [
        [f"`{PREFIX}{field.name.upper()}`", _default(field), _help(field)]
        for field in fields(Settings)
    ]


def _help(field: Field[Any]) -> str:  # a field of any type
    return str(field.metadata["help"])


def _default(field: Field[Any]) -> str:  # as above
    value = field.default
    if value is MISSING or value in ("", ()):
        return "none"
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    if isinstance(value, timedelta):
        return f"`{value.total_seconds():g}s`"
    return f"`{value}`"


def reason_rows() -> list[list[str]]:
    """Reason, code, whether any line raises it, and its comment, in the order of the contract."""
    comments = _comments()
    rows = []
    for name in errors_pb2.ErrorReason.keys()[1:]:
        reason = name.removeprefix("ERROR_REASON_")
        code, _, text = comments[reason].partition(": ")
        rows.append([f"`{reason}`", code, "yes" if reason in _words_of_servers() else "", text])
    return rows


def _comments() -> dict[str, str]:
    contract = (ROOT / "protos" / "taskwire" / "v1" / "errors.proto").read_text()
    return {
        reason: " ".join(line.strip().removeprefix("// ") for line in comment.splitlines())
        for comment, reason in _COMMENTED_VALUE.findall(contract)
    }


@cache
def _words_of_servers() -> frozenset[str]:
    """Every string literal in the rooms that make errors."""
    files = [file for room in _SERVER_ROOMS for file in (ROOT / room).rglob("*.py")]
    return frozenset(word for file in files for word in _literals(file))


def _literals(file: Path) -> list[str]:
    tree = ast.parse(file.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node.value for node in nodes if isinstance(node.value, str)]


def failpoint_rows() -> list[list[str]]:
    """Name and meaning of every failpoint, in the order of its table."""
    return [[f"`{name}`", meaning] for name, meaning in FAILPOINTS.items()]


def as_table(rows: list[list[str]]) -> str:
    """The rows as a page has them."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
